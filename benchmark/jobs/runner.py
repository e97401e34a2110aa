"""All jobs of a run, several at once. A failure affects its job only; valid results on disk are reused."""

import logging
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

import torch
from threadpoolctl import threadpool_limits

from benchmark import plugins
from benchmark.errors import STRANGE, UserError, reason_of
from benchmark.jobs import earlier
from benchmark.jobs.fit import fit, fit_settings
from benchmark.jobs.parallel import KILLED, in_parallel
from benchmark.jobs.progress import Board, Needs
from benchmark.jobs.protocol import Job, Protocol, images_of
from benchmark.jobs.record import record as record_of
from benchmark.jobs.record import record_key
from benchmark.jobs.seeds import seconds_of_more
from benchmark.jobs.work import Work
from benchmark.judges.classifier import CLASSIFIER, RETRAINED
from benchmark.judges.panel import PANEL
from benchmark.locks import SUFFIX, locked
from benchmark.records.record import Record, environment, read, write
from benchmark.records.store import is_damaged, key_of
from methods import METHODS

log = logging.getLogger(__name__)


Shard = tuple[int, int]
"""(I, N): the I-th of N parts."""


def in_shard(jobs: Sequence[Job], shard: Shard, protocol: Protocol) -> list[Job]:
    """The jobs of one of N parts of a run, in their order: of the groups that share a fit every N-th, from the I-th.

    The parts are disjoint, together they are the run, and each fit is made in one of them.
    """
    first, count = shard
    chosen = {job for group in _in_turn(jobs, protocol)[first - 1 :: count] for job in group}
    return [job for job in jobs if job in chosen]


def group_count(jobs: Sequence[Job], protocol: Protocol) -> int:
    """How many groups of `jobs` share a fit each: as many parts can have jobs."""
    return len(_in_turn(jobs, protocol))


def run(jobs: Sequence[Job], protocol: Protocol, workers: int, board: Board, *, suiting: bool = False) -> list[Record]:
    """The records of `jobs`, in their order; what is on disk and still holds is not made again.

    `suiting`: of all methods those that suit. A job whose data lack what its method takes is left out; one that the
    classifier cannot be asked for is a record that says why.

    Raises
    ------
    UserError
        Before any computation, if a task cannot be loaded or a method refuses its settings.
    """
    for task in dict.fromkeys(job.task for job in jobs):
        board.loads(task, images_of(task, protocol, board.channel(task)).remarks)
    jobs = [job for job in jobs if not suiting or job.suits(images_of(job.task, protocol))]
    found = [finished(job, protocol) for job in jobs]
    missing = [job for job, record in zip(jobs, found, strict=True) if record is None]
    unasked = _checked(missing, protocol, board, suiting=suiting)
    found = [record or unasked.get(job) for job, record in zip(jobs, found, strict=True)]
    missing = [job for job, record in zip(jobs, found, strict=True) if record is None]
    with limited(protocol.threads):
        more = seconds_of_more(missing, protocol) if board.listener.weighs else None
    needs = Needs(earlier.seconds(missing, protocol), earlier.megabytes(missing, protocol), more)
    board.begins(jobs, found, workers, needs)
    calls = _calls(_in_turn(missing, protocol), protocol, workers, board)
    made = in_parallel(
        calls,
        workers,
        lambda done: board.ends(done) if isinstance(done, Record) else None,
        lambda place: _lost(calls[place], protocol),
    )
    by_job = {Job(done.task, done.method, done.seed): done for done in made if isinstance(done, Record)}
    return [record or by_job[job] for job, record in zip(jobs, found, strict=True)]


def _checked(jobs: Sequence[Job], protocol: Protocol, board: Board, *, suiting: bool) -> dict[Job, Record]:
    """The jobs that cannot end well, if that is allowed: written down with the reason."""
    refused: dict[Job, UserError] = {}
    for job in jobs:
        try:
            with limited(protocol.threads):  # a classifier may be trained, to be asked about a user's picture
                Work(job, protocol, board.channel(str(job))).check()
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


def finished(job: Job, protocol: Protocol) -> Record | None:
    """The record of a job on disk, if its key is valid and no artefact of it is damaged; otherwise None."""
    record = read(job.path(protocol))
    if record is None or record.status != "ok" or record.key != record_key(Work(job, protocol)):
        return None
    damaged = [name for name in record.artefacts.values() if is_damaged(protocol.runs, name)]
    return None if damaged else record


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
    described = [(task, seed) for task, seed in seeds if images_of(task, protocol).attributes is not None]
    drawn = [(task, seed) for task, seed in described if images_of(task, protocol).independent is not None]
    once = [pair for pair in described if pair not in drawn[1:]]  # those of drawn faces are the same for all
    again = () if protocol.classifier is not None else RETRAINED
    wanted = [(task, seed, role) for task, seed in seeds for role in (CLASSIFIER, *again, *PANEL, "autoencoders")]
    wanted += [(task, seed, "attributes") for task, seed in once]
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
        except STRANGE:
            log.debug("could not prepare %s", job, exc_info=True)


def run_job(job: Job, protocol: Protocol, board: Board) -> Record:
    """Run one job and write its record, of success or failure."""
    path = job.path(protocol)
    with limited(protocol.threads), locked(protocol.runs / "locks" / f"{key_of(path=str(path))}{SUFFIX}"):
        try:
            record = finished(job, protocol) or record_of(Work(job, protocol, board.channel(str(job))))
        except STRANGE as error:
            if protocol.raise_errors:
                raise
            record = _without(job, protocol, error, "failed")
        write(record, path)
    return record


def _lost(call: Callable[[], Record | None], protocol: Protocol) -> Record | None:
    """The record of a job whose process was killed; None for what was made in advance, because the job meets it."""
    if not isinstance(call, partial) or call.func is not run_job:
        return None
    record = _without(job := call.args[0], protocol, UserError(KILLED), "failed")
    write(record, job.path(protocol))
    return record


def _without(job: Job, protocol: Protocol, error: BaseException, status: Literal["failed", "unasked"]) -> Record:
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
        plugins=[str(file) for file in plugins.loaded()],
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
