"""Which differences on the same queries are more than chance, in words: of each method to the best at each r."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmark.records.record import Record
from benchmark.report.compare import SIGNIFICANT, Kept, conditions, outcomes_of, values_of
from benchmark.report.paired import Array, Difference, holm, paired
from metrics import METRICS

TESTED = ("flip_rate", "oracle_aware_flips", "l1", "mse")
"""The columns whose differences are tested; a distance of sets has no value of each query."""
UNTOLD = "not tested: the methods were not all asked the same, or what they rest on is gone"

Words = dict[str, list[dict[str, str]]]
"""Column -> a relaxation each, or one -> method -> what a reader of the cell is told."""


class Pair(NamedTuple):
    """What is tested: a method against the best of a column at one relaxation."""

    name: str
    place: int
    best: str
    method: str


def significance(records: Sequence[Record], relaxations: Sequence[float], runs: Path) -> Words:
    """Of one task: each method against the one that looks best, over all seeds; references do not compete.

    p is Holm-corrected over the methods of a column at one relaxation. It knows the choice of queries, not that of
    trainings.
    """
    methods: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda record: record.seed):
        if not record.reference:
            methods.setdefault(record.method, []).append(record)
    asked = {tuple((record.seed, *conditions(record).values()) for record in each) for each in methods.values()}
    kept = {method: [outcomes_of(record, runs) for record in each] for method, each in methods.items()}
    if len(methods) < 2:
        return {}
    if len(asked) > 1 or not all(part for parts in kept.values() for part in parts):
        return {name: [dict.fromkeys(methods, UNTOLD)] * _places(name, relaxations) for name in TESTED}
    pairs = _pairs(methods, kept, relaxations)
    images = np.concatenate([part["asked"].numpy() for part in next(iter(kept.values()))])
    return _in_words(pairs, images, relaxations) if pairs else {}


def _places(name: str, relaxations: Sequence[float]) -> int:
    return len(relaxations) if METRICS[name].per_relaxation else 1


def _pairs(
    methods: Mapping[str, Sequence[Record]], kept: Mapping[str, Sequence[Kept]], relaxations: Sequence[float]
) -> dict[Pair, Array]:
    """What is tested -> the best one's values less the method's, of each query."""
    found: dict[Pair, Array] = {}
    for name in TESTED:
        for place in range(_places(name, relaxations)):
            at = relaxations[place] if METRICS[name].per_relaxation else None
            values = {method: values_of(each, kept[method], name, at) for method, each in methods.items()}
            there = {method: part for method, part in values.items() if part is not None}
            if len(there) > 1:
                sign = 1 if METRICS[name].better == "higher" else -1
                best = max(there, key=lambda method: sign * there[method].mean())
                others = {method: part for method, part in there.items() if method != best}
                found |= {Pair(name, place, best, method): there[best] - part for method, part in others.items()}
    return found


def _in_words(pairs: Mapping[Pair, Array], images: np.ndarray, relaxations: Sequence[float]) -> Words:
    words: Words = {name: [{} for _ in range(_places(name, relaxations))] for name in TESTED}
    tested = zip(pairs, paired(np.stack(list(pairs.values()), axis=1), images), strict=True)
    for (name, place), family in groupby(tested, key=lambda item: (item[0].name, item[0].place)):
        group = list(family)
        corrected = holm([difference.p for _, difference in group])
        told = words[name][place]
        for (pair, difference), p in zip(group, corrected, strict=True):
            told[pair.method] = _against(pair, difference, p)
        told[group[0][0].best] = _of_best([pair.method for pair, _ in group], corrected)
    return words


def _against(pair: Pair, difference: Difference, p: float) -> str:
    """What sets a method apart from the best one."""
    if not difference.value:
        return f"equal to {pair.best}, the best here"
    shown = METRICS[pair.name].shown
    low, high = sorted((abs(difference.low), abs(difference.high)))
    unit = " points" if shown.percent else ""
    side = "below" if difference.value > 0 else "above"
    apart = f"{shown.text(abs(difference.value))}{unit} {side} {pair.best}, the best here"
    if p >= SIGNIFICANT:
        return f"{apart}: no more than chance (p = {p:.2g})"
    return f"{apart} [{shown.text(low)}, {shown.text(high)}]: more than chance (p = {p:.2g})"


def _of_best(others: Sequence[str], corrected: Sequence[float]) -> str:
    """What sets the best one apart from all others."""
    alike = [method for method, p in zip(others, corrected, strict=True) if p >= SIGNIFICANT]
    if not alike:
        return "best here, and better than every other method by more than chance"
    return f"best here, but by no more than chance better than {', '.join(alike)}"
