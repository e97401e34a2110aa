"""A baseline for the regression check: its numbers in one run and in retrainings of it.

It is a csv file, one row per number. Lines that begin with "#" say how it was made.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.errors import UserError
from benchmark.records.record import Record
from benchmark.report.cells import tidy
from benchmark.report.exact import read_table
from metrics import METRICS

KEY = ["task", "seed", "method", "relaxation", "metric"]
"""The columns that identify a number."""
COLUMNS = [*KEY, "n", "weights", "value"]
"""Columns of a baseline; "retrained_1", "retrained_2" and so on follow, one per retraining."""
LEAST_RETRAININGS = 3


def read_baseline(path: Path) -> pd.DataFrame:
    """The baseline at `path`; lines that begin with "#" are comments.

    Raises
    ------
    UserError
        If the file is missing, is no baseline, or has no number, a number twice or a number out of its range.
    """
    try:
        table = read_table(path, comment="#", dtype={"weights": str})
    except (OSError, ValueError) as error:
        where = "run in the repository's root, or name another by --baseline"
        raise UserError(f"cannot read the baseline {path}; {where}: {error}") from error
    retrained = list(table.columns[len(COLUMNS) :])
    if list(table.columns[: len(COLUMNS)]) != COLUMNS or retrained != _retrained(len(retrained)):
        raise UserError(f"{path} is no baseline: its columns are not {', '.join(COLUMNS)}, retrained_1, ...")
    if len(retrained) < LEAST_RETRAININGS or table.empty:
        what = "no number" if table.empty else f"{len(retrained)} retrainings, and needs {LEAST_RETRAININGS}"
        raise UserError(f"the baseline {path} holds {what}; write it with results/baseline.py")
    if unknown := sorted(set(table["metric"].fillna("").astype(str)) - METRICS.keys()):
        raise UserError(f"the baseline {path} holds metrics that there are not: {', '.join(unknown)}")
    if (twice := table.duplicated(KEY)).any():
        row = table[twice].iloc[0]
        raise UserError(f"the baseline {path} holds a number twice: {row['metric']} of {row['method']}")
    numbers = table[["seed", "n", "value", *retrained]].apply(pd.to_numeric, errors="coerce")
    broken = ~np.isfinite(numbers).all(axis=1) | table[["task", "method", "weights"]].isna().any(axis=1)
    relaxations = pd.to_numeric(table["relaxation"], errors="coerce")
    broken |= (relaxations.isna() & table["relaxation"].notna()) | (relaxations < 0) | (relaxations > 1)
    broken |= (numbers["seed"] % 1 != 0) | (numbers["seed"] < 0) | (numbers["n"] % 1 != 0) | (numbers["n"] < 1)
    lowest, highest = (table["metric"].map(lambda name, end=end: METRICS[name].range[end]) for end in (0, 1))
    values = numbers[["value", *retrained]]
    broken |= values.lt(lowest, axis=0).any(axis=1) | values.gt(highest, axis=0).any(axis=1)
    if broken.any():
        row = table[broken].iloc[0]
        raise UserError(f"the baseline {path} holds a number that is none: {row['metric']} of {row['method']}")
    whole = numbers.astype({"seed": int, "n": int})
    return table.assign(relaxation=relaxations, **{name: whole[name] for name in whole})


def values_of(baseline: pd.DataFrame) -> list[str]:
    """The columns with values of a number, one per training."""
    return ["value", *baseline.columns[len(COLUMNS) :]]


def with_weights(records: Sequence[Record]) -> pd.DataFrame:
    """The tidy table of `records`, with a column "weights": the hash of the trained networks behind a number."""
    weights = {(record.task, record.method, record.seed): record.weights for record in records}
    numbers = tidy(records)
    return numbers.assign(weights=[weights[job] for job in jobs_of(numbers)])


def baseline_of(runs: Sequence[pd.DataFrame], held: Mapping[str, Mapping[str, Sequence[str]]]) -> pd.DataFrame:
    """A baseline from several runs of the same jobs: the values of the first run, and of its retrainings.

    Parameters
    ----------
    runs
        Tidy tables with the column "weights", as `with_weights` returns them.
    held
        Method -> "every_r", "strongest" (the smallest r alone) and "once" -> names of metrics.

    Raises
    ------
    UserError
        If a run lacks a number, or two runs have the same trained networks.
    """
    first, *others = (_held(run, held).set_index(KEY) for run in runs)
    for place, other in enumerate(others, start=1):
        if not first.index.equals(other.index.intersection(first.index, sort=False)):
            raise UserError(f"run {place} lacks numbers of the first")
        same = first["weights"] == other.loc[first.index, "weights"]
        if same.any():
            raise UserError(f"run {place} has the same trained networks as the first: {first[same].index[0]}")
    retrained = {f"retrained_{place}": other.loc[first.index, "value"] for place, other in enumerate(others, start=1)}
    return first.assign(**retrained).reset_index()[[*COLUMNS, *retrained]]


def _held(run: pd.DataFrame, held: Mapping[str, Mapping[str, Sequence[str]]]) -> pd.DataFrame:
    """The rows of a tidy table that the baseline needs, over all queries."""
    run = run[run["subset"] == "all"]
    strongest = run["relaxation"] == run["relaxation"].min()
    parts = [
        run[(run["method"] == method) & run["metric"].isin(names) & where]
        for method, asked in held.items()
        for names, where in (
            (asked.get("every_r", ()), run["relaxation"].notna()),
            (asked.get("strongest", ()), strongest),
            (asked.get("once", ()), run["relaxation"].isna()),
        )
    ]
    return pd.concat(parts)


def _retrained(count: int) -> list[str]:
    return [f"retrained_{place}" for place in range(1, count + 1)]


def was_run(baseline: pd.DataFrame, records: Sequence[Record]) -> pd.Series:
    """For each row, whether its job has a record, of success or failure."""
    jobs = {(record.task, record.method, record.seed) for record in records}
    return pd.Series([job in jobs for job in jobs_of(baseline)], index=baseline.index, dtype=bool)


def names_of(baseline: pd.DataFrame) -> list[str]:
    """The jobs of a baseline's rows as text."""
    return [f"{method} on {task}, seed {seed}" for task, method, seed in dict.fromkeys(jobs_of(baseline))]


def jobs_of(table: pd.DataFrame) -> list[tuple[str, str, int]]:
    """(task, method, seed) of each row."""
    return list(zip(table["task"], table["method"], table["seed"], strict=True))
