"""A figure for a paper: of the width of its column, as a vector graphic or a bitmap."""

import re
from io import BytesIO
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmark.errors import UserError
from methods.files import write_whole

UNDATED = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
UNITS = {"in": 1.0, "cm": 1 / 2.54, "mm": 1 / 25.4, "pt": 1 / 72.27}
"""Unit -> inches; points are TeX's."""
LEAST, MOST = 1.0, 40.0
"""Inches."""


def inches_of(width: str) -> float:
    """The inches of a width such as 3.3in, 84mm, 8.4cm or 240pt.

    Raises
    ------
    UserError
        If the text is no width, or out of bounds.
    """
    found = re.fullmatch(rf"(\d+\.?\d*)\s*({'|'.join(UNITS)})", width.strip())
    inches = float(found[1]) * UNITS[found[2]] if found else 0.0
    if not LEAST <= inches <= MOST:
        raise UserError(f"--width takes {LEAST:g} to {MOST:g} inches, as in 3.3in, 84mm, 8.4cm or 240pt, not '{width}'")
    return inches


def write_figure(figure: Figure, path: Path, form: str, width: float | None = None) -> None:
    """Write a figure as "pdf", "svg" or "png", `width` inches wide, with the same bytes in every run.

    The height is scaled too; letters keep their size.
    """
    if width is not None:
        wide, high = figure.get_size_inches()
        figure.set_size_inches(width, max(high * width / wide, 0.6 * width))
    buffer = BytesIO()
    with mpl.rc_context({"svg.hashsalt": "benchmark", "pdf.fonttype": 42}):  # embedded fonts that journals accept
        figure.savefig(buffer, format=form, dpi=300, metadata=UNDATED.get(form))
    write_whole(path, buffer.getvalue())
