"""Which differences on the same queries are more than chance, in words: of each method to the best at each r."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmark.records.record import Record
from benchmark.report.compare import Kept, needs_flips, values_of
from benchmark.report.marks import Asked, competes
from benchmark.report.paired import Array, Difference, holm, paired
from metrics import METRICS
from metrics.trainings import LEAST

TESTED = ("flip_rate", "oracle_aware_flips", "l1", "mse")
"""The columns whose differences are tested; a distance of sets has no value of each query."""
UNTOLD = "not tested: the methods were not all asked the same, or what they rest on is gone"

NOT_COMPETING = "not compared: most of its answers do not flip, or its reconstruction does the flipping"
ONE_OR_TWO = ("", "one training", "two trainings")

Words = dict[str, list[dict[str, str]]]
"""Column -> a relaxation each, or one -> method -> what a reader of the cell is told."""


class Pair(NamedTuple):
    """What is tested: a method against the best of a column at one relaxation, over all queries or where both flip."""

    name: str
    place: int
    best: str
    method: str
    flipped: bool


def significance(records: Sequence[Record], relaxations: Sequence[float], runs: Path) -> Words:
    """Of one task: each method against the one that looks best, over all seeds.

    References do not compete, nor methods that do not flip by themselves (`marks.competes`). p is Holm-corrected over
    the methods of a column at one relaxation. It knows queries and trainings, of three seeds and more.
    """
    methods: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda record: record.seed):
        if not record.reference:
            methods.setdefault(record.method, []).append(record)
    if len(methods) < 2:
        return {}
    asked, kept = Asked.of(methods, runs)
    if asked is None:
        return {name: [dict.fromkeys(methods, UNTOLD)] * _places(name, relaxations) for name in TESTED}
    words: Words = {name: [{} for _ in range(_places(name, relaxations))] for name in TESTED}
    pairs: dict[Pair, tuple[Array, np.ndarray]] = {}
    for name in TESTED:
        for place in range(_places(name, relaxations)):
            flips = {method: _flips(methods, kept, method, relaxations[place]) for method in methods}
            competing = [method for method, found in flips.items() if competes(*found)]
            values = _values(methods, kept, name, relaxations[place])
            if needs_flips(name):
                words[name][place] |= {method: NOT_COMPETING for method in values if method not in competing}
                values = {method: part for method, part in values.items() if method in competing}
            pairs |= _pairs(name, place, values, {method: flips[method][0] for method in competing})
    for (name, place), told in _in_words(pairs, asked).items():
        words[name][place] |= told
    return words


def _places(name: str, relaxations: Sequence[float]) -> int:
    return len(relaxations) if METRICS[name].per_relaxation else 1


def _values(
    methods: Mapping[str, Sequence[Record]], kept: Mapping[str, Sequence[Kept]], name: str, relaxation: float
) -> dict[str, Array]:
    """Method -> its values of a metric, a query of each seed, if it has them."""
    at = relaxation if METRICS[name].per_relaxation else None
    found = {method: values_of(each, kept[method], name, at) for method, each in methods.items()}
    return {method: part for method, part in found.items() if part is not None}


def _flips(
    methods: Mapping[str, Sequence[Record]], kept: Mapping[str, Sequence[Kept]], method: str, relaxation: float
) -> tuple[Array | None, Array | None]:
    """Which queries a method flips, and which its reconstruction alone does."""
    one = {method: methods[method]}
    flips, own = (_values(one, kept, name, relaxation) for name in ("flip_rate", "reconstruction_flips"))
    return flips.get(method), own.get(method)


def _pairs(
    name: str, place: int, values: Mapping[str, Array], flips: Mapping[str, Array | None]
) -> dict[Pair, tuple[Array, np.ndarray]]:
    """What is tested -> the best one's values less the method's, of each query, and which queries count.

    The best is one of those that compete, whose `flips` are given.
    """
    sign = 1 if METRICS[name].better == "higher" else -1
    best = max((method for method in values if method in flips), key=lambda m: sign * values[m].mean(), default="")
    found = {}
    for method, part in values.items() if best else ():
        if method != best:
            behind = values[best] - part
            found[Pair(name, place, best, method, flipped=False)] = (behind, np.ones(len(part), dtype=bool))
            one, other = flips[best], flips.get(method)
            if needs_flips(name) and one is not None and other is not None and (both := (one > 0) & (other > 0)).any():
                found[Pair(name, place, best, method, flipped=True)] = (behind, both)
    return found


def _in_words(pairs: Mapping[Pair, tuple[Array, np.ndarray]], asked: Asked) -> dict[tuple[str, int], dict[str, str]]:
    """(column, place) -> method -> what a reader of the cell is told."""
    if not pairs:
        return {}
    differences, counted = (np.stack(side, axis=1) for side in zip(*pairs.values(), strict=True))
    tested = list(zip(pairs, paired(differences, asked.images, asked.seeds, counted), strict=True))
    found: dict[tuple[str, int], dict[str, str]] = {}
    for (name, place), family in groupby(tested, key=lambda item: (item[0].name, item[0].place)):
        group = _corrected(list(family))
        told = {
            method: "; ".join(_against(*row) for row in group if row[0].method == method) for method in _names(group)
        }
        found[name, place] = told | {group[0][0].best: _of_best(group)}
    return found


def _names(group: Sequence[tuple[Pair, Difference]]) -> list[str]:
    return list(dict.fromkeys(pair.method for pair, _ in group))


def _corrected(group: Sequence[tuple[Pair, Difference]]) -> list[tuple[Pair, Difference]]:
    """The same with each p Holm-corrected: over the methods, once of all queries and once of those both flip."""
    made: list[tuple[Pair, Difference]] = []
    for flipped in (False, True):
        rows = [row for row in group if row[0].flipped == flipped]
        ps = holm([difference.p for _, difference in rows]) if rows else []
        made += [(pair, difference._replace(p=p)) for (pair, difference), p in zip(rows, ps, strict=True)]
    return made


def _against(pair: Pair, difference: Difference) -> str:
    """What sets a method apart from the best one."""
    where = f" over the {difference.n:,} queries that both flip" if pair.flipped else ""
    if not difference.value:
        return f"equal to {pair.best}, the best here{where}"
    shown = METRICS[pair.name].shown
    sign = 1 if difference.value > 0 else -1
    low, high = sorted((sign * difference.low, sign * difference.high))
    unit = " points" if shown.percent else ""
    side = "below" if difference.value > 0 else "above"
    apart = f"{shown.text(abs(difference.value))}{unit} {side} {pair.best}, the best here{where}"
    apart += f" [{shown.text(low)}, {shown.text(high)}]"
    if difference.trainings < LEAST:
        return f"{apart}, of the queries of {ONE_OR_TWO[difference.trainings]} only"
    chance = "more than chance" if difference.sure else "no more than chance"
    return f"{apart}: {chance} (p = {difference.p:.2g})"


def _of_best(group: Sequence[tuple[Pair, Difference]]) -> str:
    """What sets the best one apart from all others."""
    if group[0][1].trainings < LEAST:
        return f"best here; whether by more than chance, only {LEAST} seeds or more can say"
    alike = [pair.method for pair, difference in group if not difference.sure]
    if not alike:
        return "best here, and better than every other method by more than chance"
    return f"best here, but by no more than chance better than {', '.join(dict.fromkeys(alike))}"
