"""What a page holds beside the numbers of a run: papers, planted biases, each a chapter that others write."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from benchmark.report.cells import Table

Kind = Literal["holds", "fails", "open", "untested"]


def unmarked(note: str) -> str:
    """A note without the marks of Markdown."""
    return note.replace("**", "").replace("`", "")


@dataclass(frozen=True)
class Verdict:
    """A cell of a matrix of claims: what came of a claim on a task."""

    kind: Kind
    words: str
    number: str = ""
    because: str = ""
    """All numbers behind it; it is folded."""


@dataclass(frozen=True)
class Line:
    """A claim, with a cell a task."""

    claim: str
    cells: Sequence[Verdict]


@dataclass(frozen=True)
class Matrix:
    """Claims down, tasks across."""

    columns: Sequence[str]
    rows: Sequence[Line]


@dataclass(frozen=True)
class Picture:
    """A picture inside the page."""

    address: str
    """A data address."""
    meaning: str


@dataclass(frozen=True)
class Part:
    """A table, notes or pictures under a heading that folds them."""

    title: str
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    notes: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    open: bool = False

    @classmethod
    def of(cls, table: Table, *, is_open: bool = False) -> "Part":
        """A table of a report as part of a page, references last."""
        cells = pd.concat([table.methods, table.references]).fillna("")
        rows = [[str(text).strip("*") for text in row] for row in cells.itertuples(index=False)]
        notes = [unmarked(note) for note in table.notes]
        return cls(table.title, list(cells.columns), rows, notes, open=is_open)


@dataclass(frozen=True)
class Chapter:
    """One section of a page."""

    name: str
    """Of a word or two."""
    title: str
    texts: Sequence[str] = ()
    matrix: Matrix | None = None
    parts: Sequence[Part] = field(default_factory=tuple)
    command: str = ""
    """What makes this very chapter again."""
