"""Expected duration of a run, from the records of earlier runs, and the space that it takes on disk."""

from collections.abc import Sequence
from math import prod

from benchmark.jobs.protocol import Job, Protocol
from benchmark.jobs.work import Work
from benchmark.judges.classifier import RETRAINED
from benchmark.records.record import SOURCE, Record, read

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
    return sum(map(_own, records.values())) + sum(map(_judging, judged.values()))


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


def _judging(record: Record) -> float:
    """Seconds of training the judges; a classifier that is not given is trained again, for `retrained_flips`."""
    classifier, oracle = record.classifier, record.oracle
    trainings = 1 if classifier is None or SOURCE in classifier.config else 1 + len(RETRAINED)
    return (trainings * classifier.fit_seconds if classifier else 0.0) + (oracle.fit_seconds if oracle else 0.0)


def _own(record: Record) -> float:
    return sum((row.value or 0) * row.n for row in record.timings if row.metric in TIMED)
