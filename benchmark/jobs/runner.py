"""All jobs of a run, several at once. A failure affects its job only; valid results on disk are reused."""

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
from typing import Any, Literal

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
from benchmark.judges.classifier import CLASSIFIER, RETRAINED
from benchmark.judges.panel import PANEL
from benchmark.records.record import Record, environment, read, write
from benchmark.records.store import key_of, locked
from methods import METHODS

log = logging.getLogger(__name__)

KEPT: Mapping[str, int] = MappingProxyType({"MALLOC_MMAP_THRESHOLD_": 2**25, "MALLOC_TRIM_THRESHOLD_": 2**34})
"""Environment for glibc, in bytes: a process keeps the memory of a freed tensor for the next one.

Returning it to the system and mapping it again takes an eighth of a training's time.
"""


def run(jobs: Sequence[Job], protocol: Protocol, workers: int, board: Board, *, suiting: bool = False) -> list[Record]:
    """The records of `jobs`, in their order; what is on disk and still holds is not made again.

    `suiting`: of all methods those that suit; a job that does not is a record that says why.

    Raises
    ------
    UserError
        Before any computation, if a task cannot be loaded or a method refuses its settings.
    """
    for task in dict.fromkeys(job.task for job in jobs):
        board.loads(task, images_of(task, protocol, board.channel(task)).remarks)
    found = [finished(job, protocol) for job in jobs]
    unasked = _checked([job for job, record in zip(jobs, found, strict=True) if record is None], protocol, suiting)
    found = [record or unasked.get(job) for job, record in zip(jobs, found, strict=True)]
    missing = [job for job, record in zip(jobs, found, strict=True) if record is None]
    needs = Needs(earlier.seconds(missing, protocol), earlier.megabytes(missing, protocol))
    board.begins(jobs, found, workers, needs)
    calls = _calls(_in_turn(missing, protocol), protocol, workers, board)
    made = in_parallel(calls, workers, lambda done: board.ends(done) if isinstance(done, Record) else None)
    by_job = {Job(done.task, done.method, done.seed): done for done in made if isinstance(done, Record)}
    return [record or by_job[job] for job, record in zip(jobs, found, strict=True)]


def _checked(jobs: Sequence[Job], protocol: Protocol, suiting: bool) -> dict[Job, Record]:
    """The jobs that cannot end well, if that is allowed: written down with the reason."""
    refused: dict[Job, UserError] = {}
    for job in jobs:
        try:
            Work(job, protocol).check()
        except UserError as error:
            refused[job] = error
    if refused and (not suiting or len(refused) == len(jobs)):
        raise next(iter(refused.values()))
    records = {job: _without(job, protocol, error, "unasked") for job, error in refused.items()}
    for job, record in records.items():
        write(record, job.path(protocol))
    return records


def _calls(
    groups: Sequence[Sequence[Job]], protocol: Protocol, workers: int, board: Board
) -> list[Callable[[], Record | None]]:
    """Judges first, then references, so that the first numbers come soon, then all fits before their jobs."""
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
    """The results of `calls`, in separate processes if there are several workers.

    Each result is passed to `seen` as soon as it arrives.
    """
    todo = list(calls)
    results: list[Any] = [None] * len(todo)
    for place, result in _results(todo, min(workers, len(todo))):
        results[place] = result
        if seen is not None:
            seen(result)
    return results


def _results(todo: Sequence[Callable[[], Any]], workers: int) -> Iterable[tuple[int, Any]]:
    """(place, result) of each call, in the order in which they end."""
    if workers <= 1:
        return ((place, call()) for place, call in enumerate(todo))
    for name, size in KEPT.items():
        os.environ.setdefault(name, str(size))
    with parallel_config("loky", inner_max_num_threads=1), _deaf():
        # One call at a time: after quick calls joblib would give a worker several at once.
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
    """Processes started in this context ignore Ctrl-C; this process receives it and ends them."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread may set signal handlers
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def finished(job: Job, protocol: Protocol) -> Record | None:
    """The record of a job on disk, if its key is still valid; otherwise None."""
    record = read(job.path(protocol))
    if record is None or record.status != "ok":
        return None
    return record if record.key == record_key(Work(job, protocol)) else None


def _in_turn(jobs: Sequence[Job], protocol: Protocol) -> list[list[Job]]:
    """Groups of jobs that share one fit, ordered: the first group of each family, then the second of each, and so on.

    So shared trainings are finished when the next group needs them. References come first, because a reference with a
    long search would otherwise run last and alone.
    """
    groups: dict[str, list[Job]] = {}
    for job in sorted(jobs, key=lambda job: not METHODS[job.method].load().reference):
        groups.setdefault(key_of(**fit_settings(Work(job, protocol))), []).append(job)
    entries = [(job, METHODS[job.method]) for job, *_ in groups.values()]
    families = [(job.task, job.seed, entry.family, entry.load().reference) for job, entry in entries]
    turns = [families[:place].count(family) for place, family in enumerate(families)]
    return [group for _, group in sorted(zip(turns, groups.values(), strict=True), key=lambda pair: pair[0])]


def _judges(groups: Sequence[Sequence[Job]], protocol: Protocol, board: Board) -> Sequence[Callable[[], None]]:
    """Calls that train the judges of all jobs in advance, so that few jobs wait for them."""
    seeds = dict.fromkeys((job.task, job.seed) for group in groups for job in group)
    drawn = [(task, seed) for task, seed in seeds if knows_truth(task)][:1]
    again = () if protocol.classifier is not None else RETRAINED
    wanted = [(task, seed, role) for task, seed in seeds for role in (CLASSIFIER, *again, *PANEL, "autoencoders")]
    wanted += [(task, seed, "attributes") for task, seed in drawn]
    return [
        partial(_prepare, partial(_judge, name=role), Job(task, role, seed), protocol, board)
        for task, seed, role in wanted
    ]


def _fits(groups: Sequence[Sequence[Job]], protocol: Protocol, board: Board) -> Sequence[Callable[[], None]]:
    """Calls that make each fit in advance, before several jobs wait for it."""
    return [partial(_prepare, fit, group[0], protocol, board) for group in groups]


def _judge(work: Work, name: str) -> object:
    """The trained judge called `name`, member of the panel, or classifier trained again."""
    members = {member.role: member for member in (*work.oracle.members, *work.retrained)}
    return (members[name] if name in members else getattr(work, name)).made()


def _prepare(stage: Callable[[Work], Any], job: Job, protocol: Protocol, board: Board) -> None:
    """Run one stage of one job in advance; an error is ignored here, because the job meets and reports it."""
    with limited(protocol.threads):
        try:
            stage(Work(job, protocol, board.channel(str(job))))
        except Exception:
            log.debug("could not prepare %s", job, exc_info=True)


def run_job(job: Job, protocol: Protocol, board: Board) -> Record:
    """Run one job and write its record, of success or failure."""
    path = job.path(protocol)
    with limited(protocol.threads), locked(protocol.runs / "locks" / f"{key_of(path=str(path))}.lock"):
        try:
            record = finished(job, protocol) or record_of(Work(job, protocol, board.channel(str(job))))
        except Exception as error:
            if protocol.raise_errors:
                raise
            record = _without(job, protocol, error, "failed")
        write(record, path)
    return record


def _without(job: Job, protocol: Protocol, error: Exception, status: Literal["failed", "unasked"]) -> Record:
    """The record of a job without numbers, and why it has none."""
    return Record(
        task=job.task,
        method=job.method,
        seed=job.seed,
        preset=protocol.preset,
        split=protocol.split,
        reference=METHODS[job.method].load().reference,
        status=status,
        reason=reason_of(error),
        user_error=isinstance(error, UserError),
        traceback="".join(traceback.format_exception(error)),
        limit=protocol.limit,
        environment=environment(),
    )


@contextmanager
def limited(threads: int) -> Iterator[None]:
    """Limit BLAS, OpenMP and torch to `threads` threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads):
            yield
    finally:
        torch.set_num_threads(before)
