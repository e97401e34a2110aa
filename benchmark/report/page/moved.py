"""Two results folders side by side: what moved between them, and whether by more than chance."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmark.errors import UserError
from benchmark.records.record import Record
from benchmark.report.compare import Kept, outcomes_of, seeds_of, values_of
from benchmark.report.page.html import fill
from benchmark.report.page.significance import TESTED
from benchmark.report.paired import SIGNIFICANT, Array, Difference, holm, paired
from methods.files import write_whole
from metrics import METRICS

NAME = "compare.html"

Job = tuple[str, str, int]


@dataclass(frozen=True)
class Side:
    """One of the two results folders."""

    folder: Path
    records: Sequence[Record]

    @property
    def runs(self) -> Path:
        """Where its artefacts are."""
        return self.folder / "runs"

    def good(self) -> dict[Job, Record]:
        """(task, method, seed) -> the record of a job that succeeded."""
        return {(one.task, one.method, one.seed): one for one in self.records if one.status == "ok"}


class Moved(NamedTuple):
    """One number in both folders; the difference is the second less the first."""

    task: str
    method: str
    seed: int
    metric: str
    relaxation: float | None
    first: float
    second: float
    difference: Difference

    @property
    def surely(self) -> bool:
        """Whether it moved by more than chance of its queries: both folders have one training of it."""
        return self.difference.p < SIGNIFICANT


def moved(first: Side, second: Side) -> list[Moved]:
    """Every number that both have of each query, p Holm-corrected over all; what moved most surely first.

    Jobs are paired by task, method and seed, their queries one by one; a job that was asked other queries is left out.

    Raises
    ------
    UserError
        If no job in both was asked the same queries.
    """
    ours, theirs = first.good(), second.good()
    found = [
        one
        for job in ours
        if job in theirs
        for one in _of_job(
            job, ours[job], theirs[job], outcomes_of(ours[job], first.runs), outcomes_of(theirs[job], second.runs)
        )
    ]
    if not found:
        raise UserError(f"{first.folder} and {second.folder} have no job in common that was asked the same queries")
    corrected = holm([one.difference.p for one in found])
    told = [one._replace(difference=one.difference._replace(p=p)) for one, p in zip(found, corrected, strict=True)]
    return sorted(told, key=lambda one: (not one.surely, one.difference.p))


def _of_job(job: Job, one: Record, other: Record, kept: Kept, kept_there: Kept) -> Iterator[Moved]:
    """The numbers of one job, p not corrected; none if the queries are not the same."""
    if not _same_queries(kept, kept_there):
        return
    pairs: dict[tuple[str, float | None], tuple[Array, Array]] = {}
    for name in TESTED:
        for r in sorted({*one.relaxations} & {*other.relaxations}) if METRICS[name].per_relaxation else (None,):
            before, after = values_of([one], [kept], name, r), values_of([other], [kept_there], name, r)
            if before is not None and after is not None:
                pairs[name, r] = (before, after)
    if pairs:
        apart = np.stack([after - before for before, after in pairs.values()], axis=1)
        differences = paired(apart, kept["asked"].numpy(), seeds_of([one], [kept]))
        for ((name, r), (before, after)), difference in zip(pairs.items(), differences, strict=True):
            yield Moved(*job, name, r, float(before.mean()), float(after.mean()), difference)


def _same_queries(kept: Kept, kept_there: Kept) -> bool:
    """Whether both are on disk and about the same queries."""
    return bool(kept and kept_there) and kept["asked"].tolist() == kept_there["asked"].tolist()


def write_compared(first: Side, second: Side, folder: Path) -> tuple[Path, list[Moved]]:
    """Write `compare.html` to `folder`; also returns what it shows."""
    found = moved(first, second)
    path = folder / NAME
    names = (str(first.folder), str(second.folder))
    rows, title = [row(one) for one in found], "Two results folders, side by side"
    filled = fill("compare", title, {}, names=names, said=said(found), rows=rows, lonely=left_out(first, second))
    write_whole(path, filled.encode())
    return path, found


def said(found: Sequence[Moved]) -> str:
    """What came of it, in a sentence."""
    surely = [one for one in found if one.surely]
    if not surely:
        return f"None of {len(found)} numbers moved by more than chance."
    methods = ", ".join(dict.fromkeys(one.method for one in surely))
    return f"{len(surely)} of {len(found)} numbers moved by more than chance, of {methods}."


def row(one: Moved) -> Mapping[str, str]:
    """One line of the page."""
    shown, apart = METRICS[one.metric].shown, one.difference
    better = METRICS[one.metric].better
    verdict = "no more than chance"
    if one.surely:
        verdict = "moved: better" if (apart.value > 0) == (better == "higher") else "moved: worse"
    return {
        "task": one.task,
        "method": one.method,
        "seed": str(one.seed),
        "r": "" if one.relaxation is None else f"{one.relaxation:g}",
        "number": METRICS[one.metric].title,
        "first": shown.text(one.first),
        "second": shown.text(one.second),
        "difference": f"{shown.text(apart.value)} [{shown.text(apart.low)}, {shown.text(apart.high)}]",
        "p": f"{apart.p:.2g}",
        "n": str(apart.n),
        "verdict": verdict,
    }


def left_out(first: Side, second: Side) -> list[str]:
    """What could not be compared, a line each."""
    texts = (_only(first, second), _only(second, first), _asked_otherwise(first, second))
    return [text for text in texts if text]


def _only(one: Side, other: Side) -> str:
    """Which jobs only one of the two folders has."""
    names = [
        f"{method} on {task}, seed {seed}"
        for task, method, seed in one.good()
        if (task, method, seed) not in other.good()
    ]
    return f"only in {one.folder}: {'; '.join(names)}" if names else ""


def _asked_otherwise(first: Side, second: Side) -> str:
    """Which jobs of both folders cannot be compared: their queries differ, or what was answered is on disk no more."""
    theirs = second.good()
    names = [
        f"{method} on {task}, seed {seed}"
        for (task, method, seed), one in first.good().items()
        if (other := theirs.get((task, method, seed))) is not None
        and not _same_queries(outcomes_of(one, first.runs), outcomes_of(other, second.runs))
    ]
    return f"asked otherwise, or answers are gone: {'; '.join(names)}" if names else ""
