"""Expected duration of a run, from the records of earlier runs, and the space that it takes on disk."""

from collections.abc import Sequence
from math import prod

from benchmark.jobs.protocol import Job, Protocol
from benchmark.jobs.work import Work
from benchmark.records.record import Record, read

TIMED = {"fit_seconds", "seconds_per_counterfactual"}


def seconds(jobs: Sequence[Job], protocol: Protocol) -> float | None:
    """Seconds of `jobs` under other seeds, one after another: judges, fits and answers, without scoring.

    None if a job was never run, or was run under the same seed, so that some of its stages may be on disk.
    """
    earlier = {job: _other_seed(job, protocol) for job in jobs}
    if not jobs or not all(earlier.values()):
        return None
    records = {job: record for job, record in earlier.items() if record is not None}
    judged = {(job.task, job.seed): record for job, record in records.items()}
    judges = (judge for record in judged.values() for judge in (record.classifier, record.oracle) if judge is not None)
    return sum(map(_own, records.values())) + sum(judge.fit_seconds for judge in judges)


def megabytes(jobs: Sequence[Job], protocol: Protocol) -> float:
    """Megabytes of the pictures that `jobs` write: queries, reconstructions, and answers at each r; without weights."""
    questions = [Work(job, protocol).question for job in jobs]
    each = len(protocol.relaxations) + 2
    return sum(each * len(question.queries) * prod(question.data.shape) for question in questions) / 1e6


def _other_seed(job: Job, protocol: Protocol) -> Record | None:
    path = job.path(protocol)
    if path.exists():
        return None
    found = (read(other) for other in sorted(path.parent.glob("seed-*.json")))
    same = (protocol.limit, protocol.split, list(protocol.relaxations))
    good = (record for record in found if record is not None and record.status == "ok")
    return next((record for record in good if (record.limit, record.split, record.relaxations) == same), None)


def _own(record: Record) -> float:
    return sum((row.value or 0) * row.n for row in record.timings if row.metric in TIMED)
