"""Records -> rows of numbers -> cells of a table, and a table as csv, Markdown and LaTeX."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from tabulate import tabulate

from benchmark.records.record import Record
from methods.files import write_whole
from metrics import Metric

COLUMNS = ["task", "method", "seed", "relaxation", "metric", "subset", "value", "low", "high", "n"]
"""Of the tidy file; `relaxation` is empty where it does not apply."""

LATEX = {"↑": r"\textuparrow{}", "↓": r"\textdownarrow{}", "†": r"\textdagger{}"}


@dataclass(frozen=True)
class Table:
    """A table as it is shown, and what its reader has to know."""

    name: str
    title: str
    methods: pd.DataFrame
    """Text, a row a method."""
    references: pd.DataFrame
    """The same columns; what is no explanation stands apart."""
    notes: tuple[str, ...]

    def markdown(self) -> str:
        """GitHub's Markdown: methods, references, notes."""
        parts = [f"### {self.title}", _text(self.methods, "github")]
        if len(self.references):
            parts += ["References, which are no explanations but give the scale:", _text(self.references, "github")]
        return "\n\n".join(parts) + "\n\n" + "".join(f"- {note}\n" for note in self.notes)

    def latex(self) -> str:
        """LaTeX for the booktabs package; references below a rule."""
        both = pd.concat([self.methods, self.references])
        lines = _text(both, "latex_booktabs").splitlines()
        if len(self.references) and len(self.methods):
            lines.insert(len(lines) - 2 - len(self.references), r"\midrule")
        cells = "\n".join(lines)
        for sign, command in LATEX.items():
            cells = cells.replace(sign, command)
        return "".join(f"% {note}\n" for note in (self.title, *self.notes)) + cells + "\n"

    def csv(self) -> str:
        """The same cells, with a column that marks the references."""
        both = pd.concat([self.methods.assign(reference=False), self.references.assign(reference=True)])
        return str(both.to_csv(index=False))

    def write(self, folder: Path) -> None:
        """The three files of this table."""
        for suffix, text in (("md", self.markdown()), ("tex", self.latex()), ("csv", self.csv())):
            write_whole(folder / f"{self.name}.{suffix}", text.encode())


def _text(cells: pd.DataFrame, style: str) -> str:
    return tabulate(cells.to_dict("list"), headers="keys", tablefmt=style, showindex=False, disable_numparse=True)


def tidy(records: Sequence[Record], *, timings: bool = False) -> pd.DataFrame:
    """A row a number of every successful record: seconds and memory, or all the others.

    The two are kept apart because the others are the same to the last digit whenever a run is repeated.
    """
    rows = [
        {"task": record.task, "method": record.method, "seed": record.seed, **number.model_dump()}
        for record in records
        if record.status == "ok"
        for number in (record.timings if timings else record.rows)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def as_table(
    name: str, title: str, rows: list[dict[str, str]], records: Sequence[Record], notes: tuple[str, ...]
) -> Table:
    """A table of `rows`, references apart, columns without any number left out."""
    cells = pd.DataFrame(rows).fillna("")
    cells = cells.loc[:, (cells != "").any()]
    references = cells["method"].isin({record.method for record in records if record.reference})
    return Table(name, title, cells[~references], cells[references], notes)


def count(group: pd.DataFrame) -> str:
    """The number of queries (of each seed)."""
    counts = group[group["metric"] == "flip_rate"]["n"]
    return "" if counts.empty else str(int(counts.max()))


def cell(numbers: pd.DataFrame, metric: Metric) -> str:
    """One metric of one method, a row a seed: the value, over several seeds mean ± std, and some intervals.

    Over several seeds the interval is the mean of theirs: their test images overlap, so they are not pooled.
    """
    values = numbers["value"].dropna()
    if values.empty:
        return ""
    shown = metric.shown
    text = shown.text(values.mean())
    if len(values) > 1:
        text += f" ± {shown.text(values.std())}"
    if shown.interval and numbers["low"].notna().any():
        text += f" [{shown.text(numbers['low'].mean())}, {shown.text(numbers['high'].mean())}]"
    return text
