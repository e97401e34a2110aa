"""Marks in tables: the significantly best method of a task, and references that no method beats."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmark.records.record import Record
from benchmark.report.compare import SIGNIFICANT, conditions, outcomes_of, values_of
from benchmark.report.paired import Array, holm, paired
from metrics import METRICS

BEST = "*"
BEST_NOTE = (
    f"{BEST}: better than every other method on the same queries, under each seed, and each p (the larger of bootstrap "
    f"and sign flips, Holm-corrected over the comparisons with the apparent best) below {SIGNIFICANT}; it covers the "
    "choice of queries, not of trainings; references do not compete; what has no value for every query at every r "
    "(FID, KID, numbers over some queries only) gets no mark"
)
UNTOLD = "no mark, because its methods differ in queries or seeds, or outcomes are no longer on disk; run them again"


class Marks(NamedTuple):
    """The marks of a table, and their notes."""

    best: frozenset[tuple[str, str, str]]
    """Marked cells as (task, method, metric)."""
    notes: tuple[str, ...]


UNMARKED = Marks(frozenset(), ())
"""No marks, for tables without the outcomes of single queries."""


# -- the best of all methods -------------------------------------------------------------------------------------------


def best(records: Sequence[Record], runs: Path) -> Marks:
    """Mark the significantly best method of each task and metric, at the smallest relaxation.

    It must be the best under each seed, and differ significantly from each other method, with p Holm-corrected over
    these comparisons. A task gets no mark, but a note, if its methods have different queries or seeds, or outcomes are
    no longer on disk.
    """
    competing = [record for record in records if record.status == "ok" and not record.reference]
    strongest = min((r for record in records for r in record.relaxations), default=0.0)
    found: set[tuple[str, str, str]] = set()
    notes: dict[str, None] = {}
    for task in dict.fromkeys(record.task for record in competing):
        methods: dict[str, list[Record]] = {}
        for record in sorted(competing, key=lambda record: record.seed):
            if record.task == task:
                methods.setdefault(record.method, []).append(record)
        if len(methods) < 2:
            continue
        if (winners := _best_of_task(methods, runs, strongest)) is None:
            notes[f"{task}: {UNTOLD}"] = None
        else:
            found |= {(task, method, metric) for method, metric in winners}
            notes[BEST_NOTE] = None
    return Marks(frozenset(found), tuple(notes))


def _best_of_task(methods: Mapping[str, Sequence[Record]], runs: Path, strongest: float) -> set[tuple[str, str]] | None:
    """(method, metric) of the significantly best of `methods` (one record per seed); None if undetermined."""
    asked = {tuple((record.seed, *conditions(record).values()) for record in records) for records in methods.values()}
    kept = {method: [outcomes_of(record, runs) for record in records] for method, records in methods.items()}
    if len(asked) > 1 or not all(part for parts in kept.values() for part in parts):
        return None
    images = [part["asked"].numpy() for part in next(iter(kept.values()))]
    ends = np.cumsum([len(part) for part in images])[:-1]
    columns: dict[tuple[str, str], list[Array]] = {}
    for name, metric in METRICS.items():
        relaxation = strongest if metric.per_relaxation else None
        found = {method: values_of(records, kept[method], name, relaxation) for method, records in methods.items()}
        values = {method: part for method, part in found.items() if part is not None}
        if metric.better and len(values) > 1 and values.keys() == _measured_by(name, methods):
            sign = 1 if metric.better == "higher" else -1
            winner = max(values, key=lambda method: sign * values[method].mean())
            ahead = [values[winner] - part for method, part in values.items() if method != winner]
            if all(sign * of_seed.mean() > 0 for part in ahead for of_seed in np.split(part, ends)):
                columns[winner, name] = ahead
    if not columns:
        return set()
    differences = np.stack([part for parts in columns.values() for part in parts], axis=1)
    ps = iter(paired(differences, np.concatenate(images)))
    corrected = {key: holm([next(ps).p for _ in parts]) for key, parts in columns.items()}
    return {key for key, family in corrected.items() if max(family) < SIGNIFICANT}


def _measured_by(metric: str, methods: Mapping[str, Sequence[Record]]) -> set[str]:
    """The methods that have a number for `metric`, with or without values of single queries."""
    return {
        method
        for method, records in methods.items()
        if any(row.metric == metric for record in records for row in record.rows)
    }


# -- references that no method beats -----------------------------------------------------------------------------------

UNBEATEN = "†"
"""Mark of a reference's number that no method beats."""
UNBEATEN_NOTE = (
    f"{UNBEATEN}: no method beats this trivial reference, so this number alone cannot tell a good explanation from none"
)


def unbeaten_in(numbers: pd.DataFrame, references: set[str]) -> set[tuple[str, str, str]]:
    """(task, reference, metric) of the references' numbers that no method beats."""
    found: set[tuple[str, str, str]] = set()
    for (task, name), group in numbers.groupby(["task", "metric"]):
        metric = METRICS.get(str(name))
        if metric is None or not metric.better:
            continue
        means = group.groupby("method")["value"].mean().dropna() * (1 if metric.better == "higher" else -1)
        own = means.index.isin(references)
        best = means[~own].max()  # NaN if no method has the number
        found |= {(str(task), str(method), str(name)) for method in means[own & (means >= best)].index}
    return found
