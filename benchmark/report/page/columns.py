"""The numbers of the page's table: every metric that a table shows, and what answers cost, as text and as numbers."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchmark.records.record import Record
from benchmark.report.cells import Results, tidy, written
from benchmark.report.summary import TITLES
from benchmark.report.trainings import interval_of
from metrics import METRICS
from metrics.metric import Format

FIRST = ("flip_rate", "oracle_aware_flips", "l1", "fid_oracle", "mse", "seconds_per_counterfactual")
"""The columns that are shown unless others are chosen."""
ALL_SEEDS = "mean"
"""The choice of all seeds, where there are several; every other choice is a seed."""
DIGITS = 6
"""Significant ones of what is drawn or sorted; what is read is the text."""


class Column(NamedTuple):
    """One number of a method, and how it is written."""

    name: str
    heading: str
    title: str
    """The heading with unit and direction."""
    meaning: str
    better: str
    """"higher", "lower", or "" where neither is."""
    shown: Format
    per_relaxation: bool

    def facts(self) -> dict[str, Any]:
        """What the page has to know of it."""
        facts = self._asdict()
        del facts["shown"]
        return facts | {"first": self.name in FIRST, "interval": self.shown.interval}


COSTS = (
    Column(
        "seconds_per_counterfactual",
        "seconds",
        "seconds ↓",
        "seconds to answer one query at all r, on the machine that the end of this page names",
        "lower",
        Format(4),
        per_relaxation=False,
    ),
    Column(
        "fit_seconds",
        "training",
        "training s ↓",
        "seconds to train it, on the machine that the end of this page names; 0 where the training was there",
        "lower",
        Format(1),
        per_relaxation=False,
    ),
    Column(
        "classifier_calls",
        "calls",
        "calls ↓",
        "how often the classifier judged a picture, or features of one, to answer one query at all r",
        "lower",
        Format(0),
        per_relaxation=False,
    ),
)
"""What answers cost. Not in the registry of metrics: a run counts it as it asks, and it is no property of answers."""


def columns() -> list[Column]:
    """All columns, from the left: those of the summary first."""
    tables = tuple(TITLES)
    shown = [(name, metric) for name, metric in METRICS.items() if metric.table]
    shown.sort(key=lambda item: (tables.index(item[1].table), item[1].place))
    found = [
        Column(name, metric.heading, metric.title, metric.meaning, metric.better, metric.shown, metric.per_relaxation)
        for name, metric in shown
    ]
    first = [column for name in FIRST for column in (*found, *COSTS) if column.name == name]
    return first + [column for column in (*found, *COSTS) if column not in first]


def choices_of(seeds: Sequence[int]) -> list[str]:
    """What can be chosen of several seeds: their mean, or one."""
    return [*([ALL_SEEDS] if len(seeds) > 1 else []), *map(str, seeds)]


Cell = list[Any]
"""[value, low, high, n, text]; the first three are None where they are not defined."""
Cells = dict[str, dict[str, dict[str, list[Cell | None]]]]
"""Choice -> method -> column -> a cell a relaxation, or one where no relaxation applies."""


def cells_of(results: Results, relaxations: Sequence[float]) -> Cells:
    """The cells of one task's successful results, each text as the tables write it."""
    numbers = pd.concat([results.numbers, tidy(results, timings=True)])
    numbers = numbers[numbers["subset"] == "all"]
    seeds = sorted({record.seed for record in results})
    known = {column.name: column for column in columns()}
    found: Cells = {}
    for choice in choices_of(seeds):
        mine = numbers if choice == ALL_SEEDS else numbers[numbers["seed"] == int(choice)]
        found[choice] = _cells(mine[mine["metric"].isin(known)], known, relaxations)
    return found


def _cells(
    numbers: pd.DataFrame, known: Mapping[str, Column], relaxations: Sequence[float]
) -> dict[str, dict[str, list[Cell | None]]]:
    """Method -> column -> cells. Mean and interval over seeds are those of `cells.Mean`, of all rows at once."""
    keys = ["method", "metric", "relaxation"]
    grouped = numbers.groupby(keys, sort=False, dropna=False)
    means = grouped.agg(value=("value", "mean"), std=("value", "std"), n=("n", "max"))
    rows = numbers[["value", "low", "high", "n"]].to_numpy(dtype=float)
    of_group = grouped.ngroup().to_numpy()
    parts = np.split(rows[of_group.argsort(kind="stable")], np.bincount(of_group).cumsum()[:-1])
    ends = [interval_of(str(key[1]), *part.T) for key, part in zip(means.index, parts, strict=True)]
    means[["low", "high"]] = np.array(ends).reshape(-1, 2)
    places = {relaxation: place for place, relaxation in enumerate(relaxations)}
    found: dict[str, dict[str, list[Cell | None]]] = {}
    for (method, name, relaxation), row in zip(means.index, means.itertuples(index=False), strict=True):
        column = known[name]
        empty: list[Cell | None] = [None] * (len(relaxations) if column.per_relaxation else 1)
        line = found.setdefault(str(method), {}).setdefault(name, empty)
        line[0 if pd.isna(relaxation) else places[relaxation]] = _cell(column, row)
    return found


def _cell(column: Column, row: Any) -> Cell | None:  # noqa: ANN401 - a row of a table
    if np.isnan(row.value):
        return None
    ends = (row.low, row.high) if column.shown.interval else (np.nan, np.nan)
    text = written(column.shown, row.value, row.std, *ends)
    return [rounded(row.value), rounded(row.low), rounded(row.high), int(row.n), text]


def rounded(value: float) -> float | None:
    """A number that is drawn or sorted; None if it is not defined."""
    return float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None


def relaxations_of(records: Sequence[Record]) -> list[float]:
    """All that any of the records was asked at, the strongest, which is the smallest, first."""
    return sorted({relaxation for record in records for relaxation in record.relaxations})
