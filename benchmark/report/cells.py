"""Records -> one tidy table -> cells of a table, and a table as csv, Markdown and LaTeX."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from tabulate import tabulate

from benchmark.records.record import Record
from benchmark.report.latex import commented, tabulars
from benchmark.report.trainings import interval_of
from methods.files import write_whole
from metrics import Metric
from metrics.metric import Format

COLUMNS = ["task", "method", "seed", "relaxation", "metric", "subset", "value", "low", "high", "n"]
"""Columns of the tidy file; `relaxation` is empty if it does not apply."""

FORMATS = ("md",)
"""Default file formats of a table."""


@dataclass(frozen=True)
class Table:
    """A table of text, and its notes."""

    name: str
    title: str
    methods: pd.DataFrame
    """Text, one row per method; bold cells as in Markdown, `**1.0**`."""
    references: pd.DataFrame
    """The same columns for the references, which are no explanations."""
    notes: tuple[str, ...]

    def markdown(self) -> str:
        """GitHub's Markdown: methods, references, notes."""
        parts = [f"### {self.title}", _text(self.methods, "github")]
        if len(self.references):
            parts += ["References, which are no explanations but give the scale:", _text(self.references, "github")]
        return "\n\n".join(parts) + "\n\n" + "".join(f"- {note}\n" for note in self.notes)

    def latex(self) -> str:
        """LaTeX that fits a page, with the packages booktabs and graphicx; references below a rule."""
        both = pd.concat([self.methods, self.references])
        return commented(self.title, *self.notes) + tabulars(both, len(self.references))

    def csv(self) -> str:
        """The same cells, with a column that marks the references."""
        both = pd.concat([self.methods.assign(reference=False), self.references.assign(reference=True)])
        return str(both.replace(r"^\*\*(.*)\*\*$", r"\1", regex=True).to_csv(index=False))

    def write(self, folder: Path, formats: Collection[str] = FORMATS) -> None:
        """Write the table to `folder` as "md", "tex" or "csv"."""
        texts = {"md": self.markdown, "tex": self.latex, "csv": self.csv}
        for suffix in (suffix for suffix in texts if suffix in formats):
            write_whole(folder / f"{self.name}.{suffix}", texts[suffix]().encode())


def _text(cells: pd.DataFrame, style: str) -> str:
    return tabulate(cells.to_dict("list"), headers="keys", tablefmt=style, showindex=False, disable_numparse=True)


def tidy(records: Sequence[Record], *, timings: bool = False) -> pd.DataFrame:
    """One row per number of the successful records: either seconds and memory, or all other numbers.

    The two are separate because the other numbers are equal to the last digit when a run is repeated.
    """
    rows = [
        {"task": record.task, "method": record.method, "seed": record.seed, **number.model_dump()}
        for record in records
        if record.status == "ok"
        for number in (record.timings if timings else record.rows)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


class Results(tuple[Record, ...]):
    """Records, and their numbers as one tidy table, which is computed once."""

    @classmethod
    def of(cls, records: Sequence[Record]) -> "Results":
        """`records` as results; results are returned unchanged."""
        return records if isinstance(records, cls) else cls(records)

    @cached_property
    def numbers(self) -> pd.DataFrame:
        """One row per number of the successful records, as in metrics.csv."""
        return tidy(self)

    @property
    def tasks(self) -> list[str]:
        """The tasks, in the order of the records."""
        return list(dict.fromkeys(record.task for record in self))

    @property
    def good(self) -> "Results":
        """The successful records."""
        return self.only(lambda record: record.status == "ok")

    def on(self, task: str) -> "Results":
        """The records of one task."""
        return self.only(lambda record: record.task == task)

    def only(self, wanted: Callable[[Record], bool]) -> "Results":
        """The records that are `wanted`, with their rows of the table."""
        found = Results(record for record in self if wanted(record))
        rows = pd.MultiIndex.from_frame(self.numbers[["task", "method", "seed"]])
        found.numbers = self.numbers[rows.isin([(record.task, record.method, record.seed) for record in found])]
        return found


def as_table(
    name: str, title: str, rows: list[dict[str, str]], records: Sequence[Record], notes: tuple[str, ...]
) -> Table:
    """A table of `rows`, with references apart and without empty columns."""
    cells = pd.DataFrame(rows).fillna("")
    cells = cells.loc[:, (cells != "").any()]
    references = cells["method"].isin({record.method for record in records if record.reference})
    return Table(name, title, cells[~references], cells[references], notes)


def count(group: pd.DataFrame) -> str:
    """Text of the number of queries (per seed)."""
    counts = group[group["metric"] == "flip_rate"]["n"]
    return "" if counts.empty else str(int(counts.max()))


class Mean(NamedTuple):
    """One number of one method, for tables; NaN if undefined."""

    value: float
    """The mean over seeds."""
    std: float
    """Standard deviation over seeds; NaN for one seed."""
    low: float
    high: float
    """Ends of the 95 % interval, which is about what `benchmark.report.trainings.about` says; NaN for two seeds."""
    n: int
    """Number of queries or images per seed."""
    seeds: tuple[int, ...]

    @classmethod
    def of(cls, numbers: pd.DataFrame) -> "Mean":
        """The mean of `numbers`: rows of the tidy table, one per seed."""
        values = numbers["value"].dropna()
        name = str(numbers["metric"].iloc[0]) if len(numbers) else ""
        ends = interval_of(name, *(numbers[column] for column in ("value", "low", "high", "n")))
        n, seeds = int(numbers["n"].max()) if len(numbers) else 0, tuple(sorted(set(numbers["seed"])))
        return cls(values.mean(), values.std(), *ends, n, seeds)


def means(numbers: pd.DataFrame) -> pd.DataFrame:
    """The means over seeds, one row per task, method, relaxation, metric and subset of the tidy table `numbers`."""
    keys = ["task", "method", "relaxation", "metric", "subset"]
    rows = []
    for key, group in numbers.groupby(keys, sort=False, dropna=False):
        mean = Mean.of(group)
        rows.append((*key, *mean[:5], " ".join(map(str, mean.seeds))))
    return pd.DataFrame(rows, columns=[*keys, "mean", "std", "low", "high", "n", "seeds"])


def cell(numbers: pd.DataFrame, metric: Metric) -> str:
    """Text of one metric of one method (one row per seed): value, ± std over several seeds, perhaps [interval]."""
    mean = Mean.of(numbers)
    if np.isnan(mean.value):
        return ""
    return written(metric.shown, *(mean[:4] if metric.shown.interval else (*mean[:2], np.nan, np.nan)))


def written(shown: Format, value: float, std: float, low: float, high: float) -> str:
    """Text of a number in tables: value ± std over seeds [interval]; parts that are NaN are left out."""
    text = shown.text(value)
    if np.isfinite(std):
        text += f" ± {shown.text(std)}"
    if np.isfinite([low, high]).all():
        text += f" [{shown.text(low)}, {shown.text(high)}]"
    return text
