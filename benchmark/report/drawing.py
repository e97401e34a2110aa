"""How all figures look, how wide their texts are, and how they are written: small, and the same in every run."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from textwrap import wrap

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath
from numpy.typing import NDArray
from PIL import Image

from methods.files import write_whole

FORMATS = ("png",)
"""Of figures unless others are asked for."""
DPI = 150
COLOURS = 256
"""In a palette."""
CLOSE, RARE = 8, 0.005
"""A difference, of 255, that nobody sees, and the share of pixels that may differ by more."""
UNDATED = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}


@contextmanager
def styled() -> Iterator[None]:
    """How all figures look; and nothing in them that differs from run to run."""
    with sns.axes_style("whitegrid"), sns.plotting_context("paper"), mpl.rc_context({"svg.hashsalt": "benchmark"}):
        yield


def save(figure: Figure, path: Path, formats: Sequence[str] = FORMATS) -> list[Path]:
    """The figure in all `formats`, without anything that differs from run to run."""
    files = [path.with_name(f"{path.name}.{suffix}") for suffix in formats]
    for suffix, file in zip(formats, files, strict=True):
        write_whole(file, small(drawn(figure)) if suffix == "png" else _vectors(figure, suffix))
    return files


def _vectors(figure: Figure, suffix: str) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format=suffix, dpi=DPI, metadata=UNDATED.get(suffix))
    return buffer.getvalue()


def drawn(figure: Figure) -> NDArray[np.uint8]:
    """The pixels of a figure: (H, W, 3)."""
    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call] # nor has the next
    pixels: NDArray[np.uint8] = np.asarray(canvas.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]
    return pixels


def small(pixels: NDArray[np.uint8]) -> bytes:
    """A picture (H, W, 3) as PNG with a palette, or with all its colours where the difference could be seen."""
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    reduced = picture.quantize(COLOURS, dither=Image.Dither.NONE)
    palette = np.array(reduced.getpalette()).reshape(-1, 3)
    some = np.s_[::3, ::3]  # of the pixels are enough to judge by
    lost = np.abs(palette[np.asarray(reduced)[some]] - pixels[some]).max(axis=2)
    buffer = BytesIO()
    (reduced if (lost > CLOSE).mean() <= RARE else picture).save(buffer, format="png", optimize=True, dpi=(DPI, DPI))
    return buffer.getvalue()


def width_of(text: str, size: float) -> float:
    """How wide a line of text is, in inches; `size` in points."""
    return float(TextPath((0, 0), text, size=size).get_extents().width) / 72 if text.strip() else 0.0


def height_of(lines: int, size: float) -> float:
    """How high so many lines of text are, in inches; `size` in points."""
    return 1.4 * size / 72 * lines


def wrapped(text: str, characters: int) -> list[str]:
    """The lines of a text, none longer than so many characters if a space is in it; those that are there stay."""
    return [piece for line in text.splitlines() for piece in wrap(line, characters, break_long_words=False)]
