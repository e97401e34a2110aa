"""Cells -> LaTeX that fits a page; it needs pdflatex and the packages booktabs and graphicx."""

import re
import unicodedata
from itertools import pairwise, takewhile

import pandas as pd

COMMANDS = {
    **{sign: f"\\{sign}" for sign in "%&#_${}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"<": "$<$", ">": "$>$", "|": "$|$", "*": "$*$", "†": r"\textdagger{}"},
    **{"↑": r"$\uparrow$", "↓": r"$\downarrow$", "→": r"$\rightarrow$", "←": r"$\leftarrow$"},
    **{"−": "$-$", "±": r"$\pm$", "×": r"$\times$", "·": r"$\cdot$", "′": "$'$", "√": r"$\surd$"},
    **{"≤": r"$\leq$", "≥": r"$\geq$", "≈": r"$\approx$", "≠": r"$\neq$", "∞": r"$\infty$", "∈": r"$\in$"},
    **{"ϕ": r"$\phi$", "φ": r"$\varphi$", "ε": r"$\varepsilon$", "…": r"\dots{}"},
}
"""Character -> LaTeX."""
ACCENTS = {"\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0307": ".", "\u0308": '"'}
"""Combining character -> LaTeX's accent."""
LATIN = 0x17F
"""The last character that pdflatex prints without a command."""
PUNCTUATION = "–—‘’“”"

WIDTH = 105
"""Characters per row that fit a text width in letters of at least 7 points; a gap between columns counts 3."""
WRAPPED = 32
"""Characters above which a cell is broken into lines."""
HEIGHT = 45
"""Lines on a page."""
KEYS = ("task", "method", "n", "seed")
"""Columns on the left that each part of a wide table repeats."""


def escaped(text: str) -> str:
    r"""Text of a cell for LaTeX; of Markdown, only cells that are bold as a whole are supported.

    >>> escaped("x\u0303_1")
    '\\~{x}\\_1'
    >>> escaped("**97 %**")
    '\\textbf{97 \\%}'
    """
    if bold := re.fullmatch(r"\*\*(.+)\*\*", text):
        return rf"\textbf{{{escaped(bold[1])}}}"
    parts: list[str] = []
    for sign in unicodedata.normalize("NFC", text):
        if sign in ACCENTS and parts:
            parts.append(f"\\{ACCENTS[sign]}{{{parts.pop()}}}")
        else:
            parts.append(_command(sign))
    return "".join(parts)


def _command(sign: str) -> str:
    if sign in COMMANDS or ord(sign) <= LATIN or sign in PUNCTUATION:
        return COMMANDS.get(sign, sign)
    name = unicodedata.name(sign, "")
    if greek := re.fullmatch("GREEK (SMALL|CAPITAL) LETTER ([A-Z]+)", name):
        letter = greek[2].replace("LAMDA", "LAMBDA").lower()
        return f"$\\{letter if greek[1] == 'SMALL' else letter.capitalize()}$"
    return f"U+{ord(sign):04X}"  # pdflatex has no glyph for it


def commented(*notes: str) -> str:
    """Notes as comments, and the packages that the table needs."""
    told = ("\\usepackage{booktabs,graphicx}", *(" ".join(note.split()) for note in notes))
    return "".join(f"% {note}\n" for note in told)


def tabulars(cells: pd.DataFrame, below: int = 0) -> str:
    """`cells` in small print, with the last `below` rows under a rule; wide and long tables in several parts.

    Each part repeats the columns on the left, and is shrunk to the text width if its estimated width was too small.
    """
    parts = [_tabular(cells[columns], rows, len(cells) - below) for columns in _groups(cells) for rows in _pages(cells)]
    return "{\\footnotesize\\setlength{\\tabcolsep}{3pt}\n" + "\n\\par\\medskip\n".join(parts) + "\n\\par}\n"


def _groups(cells: pd.DataFrame) -> list[list[str]]:
    """The columns of each part: those on the left, and as many others as fit."""
    names = [str(name) for name in cells]
    count = len(list(takewhile(KEYS.__contains__, names)))
    keys = names[: max(1, count)]
    groups, left = [keys], WIDTH - sum(_width(cells[name]) for name in keys)
    room = left
    for name in names[len(keys) :]:
        room -= _width(cells[name])
        if room < 0 and len(groups[-1]) > len(keys):
            groups.append(keys)
            room = left - _width(cells[name])
        groups[-1] = [*groups[-1], name]
    return groups


def _pages(cells: pd.DataFrame) -> list[range]:
    """The rows of each part: as many as fit on a page."""
    starts, lines = [0], 0
    for row, texts in enumerate(cells.itertuples(index=False)):
        high = max(-(-len(str(text)) // WRAPPED) for text in (*texts, " "))
        if lines + high > HEIGHT and row > starts[-1]:
            starts.append(row)
            lines = 0
        lines += high
    return [range(*ends) for ends in pairwise([*starts, len(cells)])]


def _width(column: pd.Series) -> int:
    """Characters that a column takes, with the gap to the next."""
    return 3 + min(WRAPPED, _longest(column))


def _longest(column: pd.Series) -> int:
    return max(len(text.strip("*")) for text in (str(column.name), *column.astype(str)))


def _tabular(cells: pd.DataFrame, rows: range, end: int) -> str:
    """The rows of one part, with a rule before row `end` if it is in this part and not row 0."""
    kinds = ["l" if _longest(cells[name]) <= WRAPPED else r"p{.4\linewidth}" for name in cells]
    lines = [rf"\begin{{tabular}}{{{''.join(kinds)}}}", r"\toprule", _line(cells.columns), r"\midrule"]
    for row in rows:
        lines += [r"\midrule"] * (row == end and row > rows.start)
        lines.append(_line(cells.iloc[row]))
    lines += [r"\bottomrule", r"\end{tabular}"]
    return (
        "\\noindent\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%\n" + "\n".join(lines) + "}"
    )


def _line(cells: "pd.Series | pd.Index") -> str:
    return " & ".join(escaped(" ".join(str(text).split())) for text in cells) + r" \\"
