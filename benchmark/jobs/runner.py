"""All jobs of a run: jobs that fail alone, several at once, none made again that is on disk and still holds."""

import logging
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from joblib import Parallel, delayed, parallel_config
from threadpoolctl import threadpool_limits

from benchmark import plugins
from benchmark.data.tasks import knows_truth
from benchmark.errors import UserError, reason_of
from benchmark.jobs import earlier
from benchmark.jobs.fit import fit, fit_settings
from benchmark.jobs.progress import Board, Needs
from benchmark.jobs.protocol import Job, Protocol, images_of
from benchmark.jobs.record import record as record_of
from benchmark.jobs.record import record_key
from benchmark.jobs.work import Work
from benchmark.judges.classifier import ROLES
from benchmark.records.record import Record, environment, read, write
from benchmark.records.store import key_of, locked
from methods import METHODS

log = logging.getLogger(__name__)

KEPT: Mapping[str, int] = MappingProxyType({"MALLOC_MMAP_THRESHOLD_": 2**25, "MALLOC_TRIM_THRESHOLD_": 2**34})
"""What glibc reads as a process starts, in bytes: memory that a tensor leaves is kept for the next one.

Given back to the system and mapped again, an eighth of a training's time goes into it.
"""


def run(jobs: Sequence[Job], protocol: Protocol, workers: int, board: Board) -> list[Record]:
    """The records of `jobs`, in their order; what is on disk and still holds is not made again.

    Raises
    ------
    UserError
        Before anything is computed, if a task cannot be had or a method refuses its settings.
    """
    for task in dict.fromkeys(job.task for job in jobs):
        images_of(task, protocol, board.channel(task))
    found = [finished(job, protocol) for job in jobs]
    for job, record in zip(jobs, found, strict=True):
        if record is None:
            Work(job, protocol).check()
    missing = [job for job, record in zip(jobs, found, strict=True) if record is None]
    needs = Needs(earlier.seconds(missing, protocol), earlier.megabytes(missing, protocol))
    board.begins(jobs, found, workers, needs)
    calls = _calls(_in_turn(missing, protocol), protocol, workers, board)
    made = in_parallel(calls, workers, lambda done: board.ends(done) if isinstance(done, Record) else None)
    by_job = {Job(done.task, done.method, done.seed): done for done in made if isinstance(done, Record)}
    return [record or by_job[job] for job, record in zip(jobs, found, strict=True)]


def _calls(
    groups: Sequence[Sequence[Job]], protocol: Protocol, workers: int, board: Board
) -> list[Callable[[], Record | None]]:
    """Judges first, then the references, so that the first numbers come soon, then all fits before their jobs."""
    references = [group for group in groups if METHODS[group[0].method].reference]
    others = [group for group in groups if not METHODS[group[0].method].reference]
    return [
        *_judges(groups, protocol, board),
        *(partial(run_job, job, protocol, board) for group in references for job in group),
        *(_fits(others, protocol, board) if workers > 1 else ()),
        *(partial(run_job, job, protocol, board) for group in others for job in group),
    ]


def in_parallel(
    calls: Iterable[Callable[[], Any]], workers: int, seen: Callable[[Any], None] | None = None
) -> list[Any]:
    """The results of `calls`, in processes of their own if there are several workers.

    Each result is handed to `seen` as soon as it is there.
    """
    todo = list(calls)
    results: list[Any] = [None] * len(todo)
    for place, result in _results(todo, min(workers, len(todo))):
        results[place] = result
        if seen is not None:
            seen(result)
    return results


def _results(todo: Sequence[Callable[[], Any]], workers: int) -> Iterable[tuple[int, Any]]:
    """The place and the result of each call, as they come to their ends."""
    if workers <= 1:
        return ((place, call()) for place, call in enumerate(todo))
    for name, size in KEPT.items():
        os.environ.setdefault(name, str(size))
    with parallel_config("loky", inner_max_num_threads=1), _deaf():
        # One at a time: joblib would give a worker several at once after some that were quick.
        parallel = Parallel(n_jobs=workers, batch_size=1, return_as="generator_unordered")
        made: Iterable[tuple[int, Any]] = parallel(
            delayed(_placed)(place, call, plugins.loaded()) for place, call in enumerate(todo)
        )
    return made


def _placed(place: int, call: Callable[[], Any], files: Sequence[Path]) -> tuple[int, Any]:
    """The place and the result of a call in another process, which first loads the plugin `files`."""
    plugins.load(files)
    return place, call()


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes that are started meanwhile do not hear Ctrl-C: this one does, and ends them."""
    if threading.current_thread() is not threading.main_thread():  # which alone may choose
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def finished(job: Job, protocol: Protocol) -> Record | None:
    """The record of a job that is on disk and rests on what would be computed now."""
    record = read(job.path(protocol))
    if record is None or record.status != "ok":
        return None
    return record if record.key == record_key(Work(job, protocol)) else None


def _in_turn(jobs: Sequence[Job], protocol: Protocol) -> list[list[Job]]:
    """Jobs that rest on one fit together; of each family the first of them, then the second.

    So what a fit shares with another, and a job with its fit, is there by the time that it is asked for. References
    come first, or one that searches long would be left last.
    """
    groups: dict[str, list[Job]] = {}
    for job in sorted(jobs, key=lambda job: not METHODS[job.method].load().reference):
        groups.setdefault(key_of(**fit_settings(Work(job, protocol))), []).append(job)
    entries = [(job, METHODS[job.method]) for job, *_ in groups.values()]
    families = [(job.task, job.seed, entry.family, entry.load().reference) for job, entry in entries]
    turns = [families[:place].count(family) for place, family in enumerate(families)]
    return [group for _, group in sorted(zip(turns, groups.values(), strict=True), key=lambda pair: pair[0])]


def _judges(groups: Sequence[Sequence[Job]], protocol: Protocol, board: Board) -> Sequence[Callable[[], None]]:
    """What trains the judges of all jobs; begun before them, so that few have to wait while another trains them."""
    jobs = [job for group in groups for job in group]
    judges = dict.fromkeys((job.task, job.seed, role) for job in jobs for role in ROLES)
    calls = [
        partial(_prepare, partial(_judge, name=role), Job(task, role, seed), protocol, board)
        for task, seed, role in judges
    ]
    seeds = dict.fromkeys((job.task, job.seed) for job in jobs)
    calls += [
        partial(_prepare, partial(_judge, name="autoencoders"), Job(task, "autoencoders", seed), protocol, board)
        for task, seed in seeds
    ]
    drawn = [(task, seed) for task, seed in seeds if knows_truth(task)][:1]
    return calls + [
        partial(_prepare, partial(_judge, name="attributes"), Job(task, "attributes", seed), protocol, board)
        for task, seed in drawn
    ]


def _fits(groups: Sequence[Sequence[Job]], protocol: Protocol, board: Board) -> Sequence[Callable[[], None]]:
    """What makes each fit that jobs rest on, before several of them wait for it."""
    return [partial(_prepare, fit, group[0], protocol, board) for group in groups]


def _judge(work: Work, name: str) -> object:
    """The judge of that name, trained."""
    return getattr(work, name).made()


def _prepare(stage: Callable[[Work], Any], job: Job, protocol: Protocol, board: Board) -> None:
    """One stage of one job; what goes wrong is met again, and said, by the job itself."""
    with limited(protocol.threads):
        try:
            stage(Work(job, protocol, board.channel(str(job))))
        except Exception:
            log.debug("could not prepare %s", job, exc_info=True)


def run_job(job: Job, protocol: Protocol, board: Board) -> Record:
    """The record of one job, written down; a job that fails is recorded as that."""
    path = job.path(protocol)
    with limited(protocol.threads), locked(protocol.runs / "locks" / f"{key_of(path=str(path))}.lock"):
        try:
            record = finished(job, protocol) or record_of(Work(job, protocol, board.channel(str(job))))
        except Exception as error:
            if protocol.raise_errors:
                raise
            record = _failure(job, protocol, error)
        write(record, path)
    return record


def _failure(job: Job, protocol: Protocol, error: Exception) -> Record:
    """The record of a job that did not come to an end."""
    return Record(
        task=job.task,
        method=job.method,
        seed=job.seed,
        preset=protocol.preset,
        split=protocol.split,
        reference=METHODS[job.method].load().reference,
        status="failed",
        reason=reason_of(error),
        user_error=isinstance(error, UserError),
        traceback="".join(traceback.format_exception(error)),
        limit=protocol.limit,
        environment=environment(),
    )


@contextmanager
def limited(threads: int) -> Iterator[None]:
    """So many threads for BLAS, OpenMP and torch, wherever a job runs."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads):
            yield
    finally:
        torch.set_num_threads(before)
