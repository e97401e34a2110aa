"""The commands as functions that return records: behind the command line, and behind `benchmark.api`."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from rich.console import Console

from benchmark.arguments import (
    Given,
    Location,
    Options,
    methods_of,
    one_of,
    protocol_of,
    seeds_of,
    tasks_of,
    workers_of,
)
from benchmark.data.tasks import data_set_of, file_name, split
from benchmark.errors import UserError
from benchmark.jobs import runner
from benchmark.jobs.answered import score_answers, write_table
from benchmark.jobs.estimate import Forecast, estimate
from benchmark.jobs.export import export, recorded, write_answers
from benchmark.jobs.outside import Files, score_files
from benchmark.jobs.parallel import HERE, Cluster, on
from benchmark.jobs.progress import Listener, board
from benchmark.jobs.protocol import Job, Protocol, images_of
from benchmark.jobs.runner import Shard
from benchmark.jobs.settings import check_overrides
from benchmark.jobs.work import Work
from benchmark.judges.examine import Examination, examine
from benchmark.judges.features import inception_network
from benchmark.judges.loading import load_classifier
from benchmark.judges.reference import read_reference, reproduced
from benchmark.names import MANY, Preset
from benchmark.plugins import NAME, load
from benchmark.records import record as store
from benchmark.records.record import Record
from benchmark.records.store import check_writable
from benchmark.report.layout import TABLES
from methods import METHODS

log = logging.getLogger(__name__)


def run_records(
    methods: Given,
    tasks: Given | None,
    preset: Preset,
    seeds: Given,
    *,
    plugins: Iterable[Location] | None = None,
    jobs: int | None,
    results: Location,
    shard: Shard | None = None,
    cluster: Cluster = HERE,
    listener: Listener | None = None,
    **options: Unpack[Options],
) -> list[Record]:
    """The records that `run` makes, also of jobs that failed; `listener` hears how it goes.

    `shard`: only this part of the jobs. `cluster`: where they run.
    """
    load(plugins)
    protocol = protocol_of(results, preset, **options)
    todo = _todo(methods, tasks, seeds, protocol, shard)
    if "inception" in protocol.extractors:
        inception_network(protocol.inception_weights)  # refused now rather than after an hour
    workers = workers_of(jobs, protocol.devices)
    check_writable(protocol.runs, protocol.results / TABLES)
    with board(Console(stderr=True), protocol.runs, listener) as drawn, on(cluster):
        return runner.run(todo, protocol, workers, drawn, suiting=methods in MANY)


def _todo(methods: Given, tasks: Given | None, seeds: Given, protocol: Protocol, shard: Shard | None) -> list[Job]:
    """The jobs that are asked for, or one part of them."""
    names, overrides = methods_of(methods), protocol.overrides or {}
    check_overrides(names, protocol.preset, overrides)
    if idle := next((section for section in overrides if section in METHODS and section not in names), None):
        raise UserError(f"--set {idle}.{next(iter(overrides[idle]))} changes nothing: --methods does not name {idle}")
    asked = tasks_of(tasks, protocol.own_tasks)
    if (own := protocol.own_tasks) and not any(data_set_of(task) in own for task in asked):
        raise UserError(f"--tasks names no task of {own[0]}, which --data brings: leave one of the two out")
    todo = [Job(task, name, seed) for task in asked for seed in seeds_of(seeds) for name in names]
    return todo if shard is None else runner.in_shard(todo, shard, protocol)


def empty_part(
    methods: Given,
    tasks: Given | None,
    preset: Preset,
    seeds: Given,
    *,
    results: Location,
    shard: Shard,
    **options: Unpack[Options],
) -> str | None:
    """Why one part of a run has no jobs; None where it has some."""
    protocol = protocol_of(results, preset, **options)
    groups = runner.group_count(_todo(methods, tasks, seeds, protocol, None), protocol)
    if shard[0] <= groups:
        return None
    return f"there is {groups} group of jobs" if groups == 1 else f"there are {groups} groups of jobs"


def _suits(job: Job, protocol: Protocol) -> bool:
    """Whether a method takes the task's pictures and classifier."""
    if not job.suits(images_of(job.task, protocol)):
        return False
    try:
        Work(job, protocol).check()
    except UserError:
        return False
    return True


def foreseen(
    methods: Given,
    tasks: Given | None,
    preset: Preset,
    seeds: Given,
    *,
    plugins: Iterable[Location] | None = None,
    results: Location,
    shard: Shard | None = None,
    **options: Unpack[Options],
) -> tuple[list[Job], list[Job], Forecast]:
    """What `run` would do: the jobs on disk, those that it would make, and what these take; nothing is written."""
    load(plugins)
    protocol = replace(protocol_of(results, preset, **options), writes=False)
    todo = _todo(methods, tasks, seeds, protocol, shard)
    there = [job for job in todo if runner.finished(job, protocol) is not None]
    missing = [job for job in todo if job not in there and (methods not in MANY or _suits(job, protocol))]
    if todo and not there and not missing:
        Work(todo[0], protocol).check()  # where nothing suits, it says why
    return there, missing, estimate(missing, protocol)


EXAMINED = 500
"""Validation pictures that a user's classifier is looked over on, at most."""


def examined(task: str | None, protocol: Protocol, reference: Path | None = None) -> Examination:
    """What `classifier check` finds of the user's classifier on validation pictures of `task`, by default their own.

    `reference` is a csv of the user's own outputs, as `benchmark.judges.reference` reads it.
    """
    assert protocol.classifier is not None  # noqa: S101 - it is asked of one
    data = images_of(one_of(tasks_of(task, protocol.own_tasks), "task"), protocol)
    classifier, some = load_classifier(protocol.classifier, data), split(data, 0).validation.first(EXAMINED)
    own = [] if reference is None else [reproduced(classifier, read_reference(reference, data, protocol.folder))]
    found = examine(classifier, some.batch(slice(None)), some.labels)
    return replace(found, findings=[*found.findings, *own])


def score_record(
    files: Files, task: str | None, name: str, seed: Given, protocol: Protocol, kept: Path | None = None
) -> Record:
    """The record that `score` makes; `kept` is where its pictures are kept, if anywhere."""
    if task is None and protocol.folder is None:
        raise UserError("--task says whose classifier and oracle judge, as in mnist; or name your pictures by --data")
    job = Job(one_of(tasks_of(task, protocol.own_tasks), "task"), name, one_of(seeds_of(seed), "seed"))
    if not name.strip() or not name.isprintable() or "|" in name:
        raise UserError("--name takes what is to stand in a cell of the tables: not empty, on one line, without |")
    check_writable(protocol.runs)
    with board(Console(stderr=True), protocol.runs) as drawn:
        return score_files(files, job, protocol, drawn, kept)


def export_task(out: Path, task: str | None, seed: Given, methods: Given | None, protocol: Protocol) -> None:
    """Write what `export` writes: the questions of a task, and recorded answers of `methods`."""
    name, number = one_of(tasks_of(task, protocol.own_tasks), "task"), one_of(seeds_of(seed), "seed")
    asked = [] if methods is None else methods_of(methods)
    check_writable(out, option="--out")
    check_writable(protocol.runs)
    with board(Console(stderr=True), protocol.runs) as drawn, runner.limited(protocol.threads):
        images_of(name, protocol, drawn.channel(name))
        answered = [Work(Job(name, method, number), protocol) for method in asked]
        records = [recorded(work) for work in answered]
        export(Work(Job(name, "export", number), protocol, drawn.channel(f"export {name}")), out)
        for work, record in zip(answered, records, strict=True):
            write_answers(work, record, out / "answers")


def score_export(
    folder: Path, answers: Path, name: str, protocol: Protocol, out: Path | None = None
) -> tuple[Record, list[Path]]:
    """Score what another program answered to an exported folder; the record, and the files of single answers."""
    if not NAME.fullmatch(name):
        raise UserError("--name takes letters, digits, '-', '_' and '.', as it stands in a path and in tables")
    check_writable(protocol.runs)
    record, table = score_answers(folder, answers, name, protocol)
    place = out or protocol.results / "outside" / file_name(record.task) / name / f"seed-{record.seed}"
    return record, write_table(table, place)


def read_records(results: Location, preset: Preset, methods: Given, tasks: Given, seeds: Given) -> list[Record]:
    """The records on disk that were asked for, also of methods that no plugin brings now.

    A method, task or seed that was named and has none among them is told in a warning.

    Raises
    ------
    UserError
        If there are none.
    """
    load()
    wanted_seeds = None if seeds == "all" else seeds_of(seeds)
    found = {path: store.read(path) for path in (Path(results) / "runs" / "records" / preset).glob("*/*/seed-*.json")}
    for path in (path for path, record in found.items() if record is None):
        log.warning("%s %s", path, store.unread(path))
    recorded = [record for record in found.values() if record is not None]
    names = methods_of(methods, {record.method for record in recorded})
    wanted_tasks = None if tasks == "all" else tasks_of(tasks, {data_set_of(record.task) for record in recorded})
    chosen = [
        record
        for record in found.values()
        if record is not None
        and record.method in names
        and (wanted_tasks is None or record.task in wanted_tasks)
        and (wanted_seeds is None or record.seed in wanted_seeds)
    ]
    if recorded and not any(record.method in names for record in recorded):
        there = ", ".join(sorted({record.method for record in recorded}))
        raise UserError(f"{results} holds no records of {', '.join(names)}; at --preset {preset} it has {there}")
    if not chosen:
        raise _without_records(Path(results), preset)
    asked = {"method": () if methods in MANY else names, "task": wanted_tasks or (), "seed": wanted_seeds or ()}
    for kind, entries in asked.items():
        held = {getattr(record, kind) for record in chosen}
        if lacking := [str(entry) for entry in entries if entry not in held]:
            log.warning("no record here of %s %s: left out", kind, ", ".join(lacking))
    return sorted(chosen, key=lambda record: (record.task, record.seed, names.index(record.method)))


def _without_records(results: Path, preset: Preset) -> UserError:
    """What is in `results` instead of the records that were asked for, and what to do."""
    if not results.is_dir():
        what = "is no folder" if results.exists() else "is not there"
        return UserError(f"{results} {what}; name a results folder by --results, or make one with benchmark run")
    held: dict[str, dict[str, set[int]]] = {}
    for path in sorted((results / "runs" / "records").glob("*/*/*/seed-*.json")):
        if (record := store.read(path)) is not None:
            held.setdefault(record.preset, {}).setdefault(record.task, set()).add(record.seed)
    if not held:
        return UserError(
            f"{results} holds no records; make them with benchmark run, or name another folder by --results"
        )
    told = "; ".join(f"{name}: {_seeds_by_task(tasks)}" for name, tasks in held.items())
    if preset in held:
        return UserError(f"{results} holds no such records; it holds {told}; name some of these, or benchmark run")
    return UserError(
        f"{results} holds no records of the preset {preset}; it holds {told}; say --preset {next(iter(held))}"
    )


def _seeds_by_task(tasks: Mapping[str, Iterable[int]]) -> str:
    """As in "mnist, seed 0, 1 and mnist/3-8, seed 0"."""
    return " and ".join(f"{task}, seed {', '.join(map(str, sorted(seeds)))}" for task, seeds in tasks.items())


def failures(records: Sequence[Record]) -> list[str]:
    """A line for each thing that went wrong."""
    failed = (record for record in records if record.status == "failed")
    return list(dict.fromkeys(f"{r.method} on {r.task}, seed {r.seed}: {r.reason}" for r in failed))
