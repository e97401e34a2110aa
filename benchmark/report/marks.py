"""Marks in tables: the significantly best method of a task, and references that no method beats."""

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmark.records.record import Record
from benchmark.report.compare import Kept, conditions, images_of, needs_flips, outcomes_of, seeds_of, values_of
from benchmark.report.paired import SIGNIFICANT, Array, holm, paired
from metrics import METRICS
from metrics.trainings import LEAST

BEST = "*"
BEST_NOTE = (
    f"{BEST}: better than every other method under each of {LEAST} seeds or more, by more than chance of queries and "
    f"trainings: each p below {SIGNIFICANT} (the largest of Student's t, bootstrap and sign flips, Holm-corrected over "
    "the comparisons with the apparent best); how answers look is compared over all queries and over those that both "
    "methods flip; references do not compete, nor methods that flip under half of the queries, or not twice as many "
    "as their reconstruction; what has no value for every query at every r (FID, KID, numbers over some queries only) "
    "gets no mark"
)
FEW_NOTE = f"no {BEST} (significantly best) with fewer than {LEAST} seeds"
FLIPPING = 0.5
"""The flip rate from which a method competes, ours: below, most of its answers are no counterfactuals."""
OWN_SHARE = 0.5
"""The largest part of the flips that the reconstruction alone may make, ours."""
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

    It must be the best under each of three seeds or more, and differ significantly from each other method that
    competes, with p Holm-corrected over these comparisons. A task gets no mark, but a note, if its methods have
    different queries or seeds, too few seeds, or outcomes are no longer on disk.
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
        asked, kept = Asked.of(methods, runs)
        if asked is None:
            notes[f"{task}: {UNTOLD}"] = None
        elif len(set(asked.seeds)) < LEAST:
            notes[f"{task}: {FEW_NOTE}"] = None
        else:
            found |= {(task, method, metric) for method, metric in _best_of_task(methods, kept, asked, strongest)}
            notes[BEST_NOTE] = None
    return Marks(frozenset(found), tuple(notes))


class Asked(NamedTuple):
    """What all methods of a task were asked: an entry for each query of each seed."""

    images: np.ndarray
    seeds: np.ndarray

    @classmethod
    def of(cls, methods: Mapping[str, Sequence[Record]], runs: Path) -> tuple["Asked | None", dict[str, list[Kept]]]:
        """The queries of `methods` (one record per seed), None if they differ or are lost; and what is kept of them."""
        different = {tuple((one.seed, *conditions(one).values()) for one in records) for records in methods.values()}
        kept = {method: [outcomes_of(record, runs) for record in records] for method, records in methods.items()}
        if len(different) > 1 or not all(part for parts in kept.values() for part in parts):
            return None, kept
        first = next(iter(methods))
        return cls(images_of(kept[first]), seeds_of(methods[first], kept[first])), kept


Lead = dict[tuple[str, str], dict[str, Array]]
"""(apparent best, metric) -> each other method -> how far it is behind, a value a query of each seed."""


def _best_of_task(
    methods: Mapping[str, Sequence[Record]], kept: Mapping[str, Sequence[Kept]], asked: Asked, strongest: float
) -> set[tuple[str, str]]:
    """(method, metric) of the significantly best of `methods`."""
    flips: dict[str, Array] = {}
    for method, records in methods.items():
        found = values_of(records, kept[method], "flip_rate", strongest)
        if found is not None and competes(found, values_of(records, kept[method], "reconstruction_flips", None)):
            flips[method] = found
    methods = {method: methods[method] for method in flips}
    leads = _leads(methods, kept, strongest)
    everything = dict.fromkeys(methods, np.ones(len(asked.seeds), dtype=bool))
    leads = _sure(leads, {winner: everything for winner, _ in leads}, asked)
    looks = {key: lead for key, lead in leads.items() if needs_flips(key[1])}
    both = {
        winner: {method: (flips[winner] > 0) & (other > 0) for method, other in flips.items()} for winner, _ in looks
    }
    return {*leads} - {*looks} | {*_sure(looks, both, asked)}


def competes(flips: Array | None, own: Array | None) -> bool:
    """Whether a method flips most queries itself: at most half as many flip by the reconstruction, its `own` flips."""
    if flips is None or flips.mean() < FLIPPING:
        return False
    return own is None or bool(own.mean() <= OWN_SHARE * flips.mean())


def _leads(methods: Mapping[str, Sequence[Record]], kept: Mapping[str, Sequence[Kept]], strongest: float) -> Lead:
    """Who looks best by each metric, and how far the others are behind."""
    found: Lead = {}
    for name, metric in METRICS.items():
        relaxation = strongest if metric.per_relaxation else None
        of_each = {method: values_of(records, kept[method], name, relaxation) for method, records in methods.items()}
        values = {method: part for method, part in of_each.items() if part is not None}
        if metric.better and len(values) > 1 and values.keys() == _measured_by(name, methods):
            sign = 1 if metric.better == "higher" else -1
            winner = max(values, key=lambda method: sign * values[method].mean())
            behind = {method: sign * (values[winner] - part) for method, part in values.items() if method != winner}
            found[winner, name] = behind
    return found


def _sure(leads: Lead, where: Mapping[str, Mapping[str, np.ndarray]], asked: Asked) -> Lead:
    """Those `leads` that are positive under each seed, and by more than chance, on the queries that `where` gives.

    `where` has, for each apparent best and each other method, which queries count, (M,) bool.
    """
    parts = {key: [(part, where[key[0]][method]) for method, part in lead.items()] for key, lead in leads.items()}
    parts = {key: rows for key, rows in parts.items() if all(_positive(*row, asked.seeds) for row in rows)}
    if not parts:
        return {}
    behind, counted = (np.stack(side, axis=1) for side in zip(*chain(*parts.values()), strict=True))
    differences = iter(paired(behind, asked.images, asked.seeds, counted))
    corrected = {key: holm([next(differences).p for _ in rows]) for key, rows in parts.items()}
    return {key: leads[key] for key, ps in corrected.items() if max(ps) < SIGNIFICANT}


def _positive(part: Array, counted: np.ndarray, seeds: np.ndarray) -> bool:
    """Whether the mean of the `counted` differences is positive under each seed."""
    of_seeds = [part[counted & (seeds == seed)] for seed in np.unique(seeds)]
    return all(len(of_seed) and of_seed.mean() > 0 for of_seed in of_seeds)


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
