"""Numbers without records: a metrics.csv as results, and selections by method, task and r."""

from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.errors import UserError, unknown
from benchmark.records.record import Record
from benchmark.report.cells import COLUMNS, Results
from benchmark.report.exact import read_table
from methods import METHODS
from metrics import METRICS


def read_numbers(path: Path) -> Results:
    """The numbers of a metrics.csv as results: a record per job, with numbers but without settings.

    Raises
    ------
    UserError
        If the file is missing, has other columns or no number, or has text in place of a number or one that its metric
        cannot have.
    """
    try:
        table = read_table(path)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}") from error
    if list(table.columns) != COLUMNS:
        raise UserError(f"{path} is no metrics.csv: its columns are not {', '.join(COLUMNS)}")
    numbers = table[["seed", "relaxation", "value", "low", "high", "n"]].apply(pd.to_numeric, errors="coerce")
    broken = (table[numbers.columns].notna() & numbers.isna()).any(axis=1)
    broken |= table[["task", "method", "seed", "metric", "subset", "n"]].isna().any(axis=1)
    broken |= (numbers[["seed", "n"]] % 1 > 0).any(axis=1)
    if table.empty or broken.any():
        what = "no number" if table.empty else f"something else than a number in row {broken.idxmax() + 2}"
        raise UserError(f"{path} holds {what}")
    table = table.assign(**numbers).astype({"seed": int, "n": int})
    outside = ~table["relaxation"].fillna(0).between(0, 1) | (table[["seed", "n"]] < 0).any(axis=1)
    outside |= np.isinf(numbers).any(axis=1) | ~_possible(table)
    outside |= table.duplicated(["task", "method", "seed", "relaxation", "metric", "subset"])
    if outside.any():
        raise UserError(f"{path} holds a number twice, or one out of its range, in row {outside.idxmax() + 2}")
    jobs = table[["task", "method", "seed"]].drop_duplicates().itertuples(index=False)
    results = Results(_record(*job) for job in jobs)
    results.numbers = table
    return results


def _possible(table: pd.DataFrame) -> pd.Series:
    """Whether each value lies in its metric's range, but for rounding; of an unknown metric any does."""
    limits = {name: metric.range for name, metric in METRICS.items()}
    low, high = (table["metric"].map({name: ends[end] for name, ends in limits.items()}) for end in (0, 1))
    room = 1e-9 * table["value"].abs().clip(lower=1)
    return table["value"].isna() | low.isna() | table["value"].between(low - room, high + room)


def _record(task: str, method: str, seed: int) -> Record:
    reference = method in METHODS and METHODS[method].reference
    return Record(task=task, method=method, seed=seed, preset="", split="", reference=reference, status="ok")


def only(results: Results, methods: Iterable[str], tasks: Iterable[str], seeds: Iterable[int]) -> Results:
    """The results of the named methods, tasks and seeds; an empty list means all.

    Raises
    ------
    UserError
        For a name or a seed without results, and if nothing is left.
    """
    wanted = (tuple(methods), tuple(tasks), tuple(str(seed) for seed in seeds))
    there = [(record.method, record.task, str(record.seed)) for record in results]
    for kind, names, known in zip(("method", "task", "seed"), wanted, zip(*there, strict=True), strict=True):
        for name in names:
            if name not in known:
                raise unknown(kind, name, dict.fromkeys(known))
    found = results.only(lambda record: _asked(record, *wanted))
    if not found:
        raise UserError("there is no such combination of methods, tasks and seeds")
    return found


def _asked(record: Record, methods: Collection[str], tasks: Collection[str], seeds: Collection[str]) -> bool:
    own = ((record.method, methods), (record.task, tasks), (str(record.seed), seeds))
    return all(not names or name in names for name, names in own)


def at(numbers: pd.DataFrame, relaxation: float | None) -> tuple[float, pd.DataFrame]:
    """The rows over all queries at one r (by default the smallest that was run), and those without an r.

    Raises
    ------
    UserError
        If nothing was run at `relaxation`.
    """
    known = sorted(numbers["relaxation"].dropna().unique())
    asked = min(known, default=0.0) if relaxation is None else relaxation
    near = [r for r in known if abs(r - asked) < 1e-9]
    if known and not near:
        raise UserError(f"nothing was run at r = {asked:.15g}; there is r = {', '.join(f'{r:.15g}' for r in known)}")
    here = numbers["relaxation"].isna() | numbers["relaxation"].isin(near)
    return asked, numbers[here & (numbers["subset"] == "all")]
