"""Methods on the same queries with the same targets: what differs, by how much, and whether by more than chance.

What is compared is the difference on each query, in the values that the metrics themselves average (`Average.values`).
Distances and plausibility are compared once over all queries, and once over those that both methods flip, since an
answer that does not flip is near to its query for nothing. A metric of sets, such as a Fréchet distance, has no value a
query and is not compared; neither is one over the first queries only.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tabulate import tabulate
from torch import Tensor

from benchmark.errors import UserError
from benchmark.records.record import Record
from benchmark.records.store import find
from benchmark.report.paired import SIGNIFICANT, Array, Difference, holm, paired
from metrics import METRICS
from metrics.trainings import LEAST

ALL, BOTH_FLIPPED = "all", "both flipped"
"""The queries that a difference is about."""


# -- what records kept -------------------------------------------------------------------------------------------------

Kept = Mapping[str, Tensor]
"""What the score stage kept of single queries."""


def outcomes_of(record: Record, runs: Path) -> Kept:
    """What `record` rests on; empty where it is not on disk any more, or from before values were kept."""
    kept, _ = find(runs, record.artefacts.get("score", ""))
    return kept if "asked" in kept else {}


def conditions(record: Record) -> dict[str, Any]:
    """What two records must have in common for their queries and targets to be the same."""
    judges = {"classifier": record.classifier, "oracle": record.oracle}
    return {
        "preset": record.preset,
        "split": record.split,
        "limit": record.limit,
        "queries": record.data.get("queries"),
        "data": record.data.get("digest"),
        **{role: judge and judge.digest for role, judge in judges.items()},
    }


def values_of(records: Sequence[Record], kept: Sequence[Kept], metric: str, relaxation: float | None) -> Array | None:
    """The values of `metric` at `relaxation`, seed after seed, (M,); None if a seed has none."""
    found = []
    for record, values in zip(records, (part.get(f"value.{metric}") for part in kept), strict=True):
        if values is None or (relaxation is not None and relaxation not in record.relaxations):
            return None
        found.append(values if relaxation is None else values[record.relaxations.index(relaxation)])
    return np.concatenate([part.double().numpy() for part in found])


def seeds_of(records: Sequence[Record], kept: Sequence[Kept]) -> np.ndarray:
    """The seed of each value of `values_of`, (M,)."""
    return np.concatenate([np.full(len(part["asked"]), r.seed) for r, part in zip(records, kept, strict=True)])


def images_of(kept: Sequence[Kept]) -> np.ndarray:
    """The image that each value of `values_of` is about, (M,)."""
    return np.concatenate([part["asked"].numpy() for part in kept])


def needs_flips(metric: str) -> bool:
    """Whether a metric is about how an answer looks, which says little of an answer that does not flip."""
    return METRICS[metric].per_relaxation and not METRICS[metric].shown.percent


# -- two methods -------------------------------------------------------------------------------------------------------


class Contrast(NamedTuple):
    """What two methods differ in by one metric of one task."""

    task: str
    metric: str
    relaxation: float | None
    first: float
    second: float
    difference: Difference
    subset: str = ALL


def compare(
    names: tuple[str, str],
    records: Sequence[Record],
    runs: Path,
    relaxations: Sequence[float] | None = None,
    metrics: Collection[str] = METRICS.keys(),
) -> list[Contrast]:
    """What two methods differ in, by task, relaxation and metric; p is Holm-corrected over all that is returned.

    Parameters
    ----------
    names
        The two methods; differences are the first minus the second.
    records
        Of these and other methods; tasks and seeds at which only one of the two has succeeded are left out.
    runs
        Folder of the artefacts.
    relaxations
        Which ones; the smallest that both were asked at if None.
    metrics
        Which ones.

    Raises
    ------
    UserError
        If the two are one, have no task and seed in common, were asked differently, what they rest on is gone, or none
        of the metrics has a value of each query of both.
    """
    if names[0] == names[1]:
        raise UserError(f"{names[0]} cannot be compared with itself; name two methods")
    good = {(r.task, r.seed, r.method): r for r in records if r.status == "ok" and r.method in names}
    keys = [(task, seed) for task, seed, method in good if method == names[0] and (task, seed, names[1]) in good]
    if not keys:
        raise UserError(
            f"{names[0]} and {names[1]} have no task and seed in common; "
            f"make them with benchmark run --methods {','.join(names)}"
        )
    found = []
    for task in dict.fromkeys(task for task, _ in keys):
        pairs = [(good[*key, names[0]], good[*key, names[1]]) for key in keys if key[0] == task]
        for first, second in pairs:
            _check_pair(first, second)
        found += _contrasts(task, pairs, runs, relaxations, metrics)
    corrected = holm([contrast.difference.p for contrast in found])
    return [
        contrast._replace(difference=contrast.difference._replace(p=p))
        for contrast, p in zip(found, corrected, strict=True)
    ]


def _check_pair(first: Record, second: Record) -> None:
    one, other = conditions(first), conditions(second)
    differing = [f"{name} {one[name]} and {other[name]}" for name in one if one[name] != other[name]]
    if differing:
        raise UserError(
            f"{first.method} and {second.method} were not asked the same on {first.task}, seed {first.seed} "
            f"({'; '.join(differing)}); run both with the same options"
        )


def _contrasts(
    task: str,
    pairs: Sequence[tuple[Record, Record]],
    runs: Path,
    relaxations: Sequence[float] | None,
    metrics: Collection[str],
) -> list[Contrast]:
    """The contrasts of one task, over the seeds of `pairs`, p not corrected."""
    shared = set.intersection(*(set(record.relaxations) for pair in pairs for record in pair))
    if not (chosen := sorted(shared)[:1] if relaxations is None else relaxations) or not set(chosen) <= shared:
        known = ", ".join(f"{r:g}" for r in sorted(shared)) or "none"
        raise UserError(f"on {task} both were run only at r = {known}: choose --r among these")
    sides = list(zip(*pairs, strict=True))  # all of the first method, all of the second
    kept = [[_kept_or_refused(record, runs) for record in side] for side in sides]
    found = {}
    for name in metrics:
        for r in chosen if METRICS[name].per_relaxation else (None,):
            values = [values_of(*side, name, r) for side in zip(sides, kept, strict=True)]
            if values[0] is not None and values[1] is not None:
                found[name, r] = (values[0], values[1])
    if not found:
        what = " or ".join(metrics) if len(metrics) < len(METRICS) else "metric in common"
        raise UserError(f"{' and '.join(r.method for r in pairs[0])} have no {what} of single queries on {task}")
    parts = [(key, ALL, pair, np.ones(len(pair[0]), dtype=bool)) for key, pair in found.items()]
    for r in chosen:
        flips = [values_of(*side, "flip_rate", r) for side in zip(sides, kept, strict=True)]
        if flips[0] is not None and flips[1] is not None and (both := (flips[0] > 0) & (flips[1] > 0)).any():
            looks = {key: pair for key, pair in found.items() if key[1] == r and needs_flips(key[0])}
            parts += [(key, BOTH_FLIPPED, pair, both) for key, pair in looks.items()]
    differences = paired(
        np.stack([first - second for *_, (first, second), _ in parts], axis=1),
        images_of(kept[0]),
        seeds_of(sides[0], kept[0]),
        np.stack([counted for *_, counted in parts], axis=1),
    )
    return [
        Contrast(task, *key, float(first[counted].mean()), float(second[counted].mean()), difference, subset)
        for (key, subset, (first, second), counted), difference in zip(parts, differences, strict=True)
    ]


def _kept_or_refused(record: Record, runs: Path) -> Kept:
    kept = outcomes_of(record, runs)
    if not kept:
        raise UserError(
            f"{runs} does not hold the outcomes of {record.method} on {record.task}, seed {record.seed}; "
            "the same benchmark run makes them again, --tasks and --seeds leave them out"
        )
    return kept


def describe(names: tuple[str, str], contrasts: Sequence[Contrast]) -> str:
    """The answer of `compare` as a table, with what its reader has to know."""
    rows = [
        {
            "task": row.task,
            "r": "" if row.relaxation is None else f"{row.relaxation:g}",
            "metric": f"{row.metric} {METRICS[row.metric].arrow}".strip(),
            "queries": row.subset,
            names[0]: f"{row.first:.4g}",
            names[1]: f"{row.second:.4g}",
            "difference [95 % interval]": "{:.4g} [{:.4g}, {:.4g}]".format(*row.difference[:3]),
            "p": f"{row.difference.p:.2g}",
            "n": row.difference.n,
            "trainings": row.difference.trainings,
            "better": _verdict(names, row),
        }
        for row in contrasts
    ]
    return tabulate(rows, headers="keys", tablefmt="github", disable_numparse=True) + "\n\n" + NOTES


NOTES = f"""- difference: the first minus the second on the same queries (n images), or only on those that both flip
- interval and p of {LEAST} trainings and more are about trainings and queries (the wider of Student's t and the paired
  bootstrap, the largest p of these and of sign flips); of fewer they are about the queries of these trainings only, and
  no method is called better
- p: two-sided, Holm-corrected over this table; significant below {SIGNIFICANT}
- distances of sets (FID, KID), and numbers over the first queries only, have no value of each and are not compared
"""


def _verdict(names: tuple[str, str], row: Contrast) -> str:
    """Which of the two is significantly better; where no direction is better, that they differ."""
    better = METRICS[row.metric].better
    if not row.difference.sure:
        return ""
    return names[(row.difference.value > 0) != (better == "higher")] if better else "(they differ)"
