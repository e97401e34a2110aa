"""The commands as functions; the command line is a thin layer over them, and so is `import benchmark`."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import pandas as pd
from rich.console import Console

from benchmark.arguments import (
    Given,
    Location,
    Options,
    Pictures,
    method_of,
    methods_of,
    one_of,
    path_of,
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
from benchmark.judges.spec import ClassifierSpec, classifier_spec
from benchmark.names import RESULTS, Accelerator, Precision, Preset
from benchmark.plugins import NAME, load
from benchmark.records import record as store
from benchmark.records.record import Record
from benchmark.records.store import check_writable
from benchmark.report.cells import tidy

if TYPE_CHECKING:
    from benchmark.explainer import Explainer

log = logging.getLogger(__name__)


# -- what `import benchmark` offers ------------------------------------------------------------------------------------


def run(
    methods: Given = "all",
    task: Given | None = None,
    preset: Preset = "default",
    seeds: Given = 0,
    *,
    plugins: Iterable[Location] = (),
    jobs: int | None = None,
    results: Location = RESULTS,
    **options: Unpack[Options],
) -> pd.DataFrame:
    """Fit, explain and score; what is on disk and still holds is not made again. Writes records, and no tables.

    Parameters
    ----------
    methods, task, seeds
        One or several: "vaex,hybrid" or ["vaex", "hybrid"]; "all" of methods and tasks. By default the task is the
        folder that the option `data` names, or mnist.
    preset
        "smoke", "default" or "paper".
    plugins
        Python files with methods, data sets and metrics of yours; see `benchmark.plugins`.
    jobs
        Jobs at once; by default one a core, or one on a GPU.
    results
        Folder of everything that is written; by default results/local.
    **options
        As `benchmark run --help` lists them, with `_` for `-`; see `benchmark.arguments.protocol_of`.

    Returns
    -------
    pandas.DataFrame
        A row a number: task, method, seed, relaxation, metric, subset, value, low, high, n; as in metrics.csv. A job
        that failed has no row, and is named in a warning.

    Raises
    ------
    UserError
        For an argument that is wrong, with the command line's words, and if all jobs failed.
    """
    records = run_records(methods, task, preset, seeds, plugins=plugins, jobs=jobs, results=results, **options)
    reasons = failures(records)
    if reasons and all(record.status != "ok" for record in records):
        raise UserError("; ".join(reasons))
    for reason in reasons:
        log.warning("%s", reason)
    return tidy(records)


def fit(
    method: str,
    task: str | None = None,
    preset: Preset = "default",
    seed: int = 0,
    *,
    plugins: Iterable[Location] = (),
    settings: Sequence[str] | None = None,
    data_root: Location | None = None,
    accelerator: Accelerator = "auto",
    precision: Precision = "32-true",
    results: Location = RESULTS,
    **pictures: Unpack[Pictures],
) -> "Explainer":
    """One method, fitted as in a run (and kept for it), to be asked about pictures of yours.

    Parameters
    ----------
    method, task, seed
        One of each; the task is by default the folder that the option `data` names, or mnist.
    settings
        Overrides, as in ["vaex.epochs=30"].
    data_root
        Folder of data sets that are not embedded.
    accelerator, precision
        "auto", "cpu", "cuda" or "mps"; "32-true" or "bf16-mixed".
    plugins, preset, results
        As for `run`.
    **pictures
        `data` and what goes with it, as for `benchmark.arguments.protocol_of`.

    Raises
    ------
    UserError
        For an argument that is wrong, and if the task cannot be had.
    """
    from benchmark.explainer import Explainer  # noqa: PLC0415 - it draws, and nothing else here loads what draws

    load(plugins)
    protocol = protocol_of(
        results,
        preset,
        settings=settings,
        data_root=data_root,
        accelerator=accelerator,
        precision=precision,
        **pictures,
    )
    asked = one_of(tasks_of(task, protocol.own_tasks), "task")
    job = Job(asked, method_of(method), one_of(seeds_of(seed), "seed"))
    check_overrides([job.method], preset, protocol.overrides or {})
    check_writable(protocol.runs)
    with board(Console(stderr=True), protocol.runs) as drawn:
        return Explainer.fitted(job, protocol, drawn)


def score(
    queries: Location,
    counterfactuals: Location,
    task: str | None = None,
    targets: Location | None = None,
    reconstructions: Location | None = None,
    *,
    name: str = "outside",
    seed: int = 0,
    preset: Preset = "default",
    data_root: Location | None = None,
    fid: Given = "oracle",
    inception_weights: Location | None = None,
    results: Location = RESULTS,
    **pictures: Unpack[Pictures],
) -> pd.DataFrame:
    """Score counterfactuals that another program made, by the judges and metrics of a run.

    Parameters
    ----------
    queries, counterfactuals, reconstructions
        Folders of PNG files, or npy or npz files, matched by name; counterfactuals also in subfolders r=0.2 and so on.
    task
        Whose classifier and oracle judge; with `data`, its folder by default.
    targets
        csv with the header name,target; by default, with two classes, the other one.
    name
        What stands in the column `method`.
    seed
        Of the classifier, the oracle and the splits.
    data_root, fid, inception_weights, **pictures
        As for `benchmark.arguments.protocol_of`; of pictures `data` and what goes with it.
    preset, results
        As for `run`.

    Returns
    -------
    pandas.DataFrame
        As of `run`.

    Raises
    ------
    UserError
        For an argument that is wrong, a file that cannot be read, and images that do not fit the task.
    """
    files = Files(Path(queries), Path(counterfactuals), path_of(targets), path_of(reconstructions))
    protocol = protocol_of(
        results, preset, data_root=data_root, fid=fid, inception_weights=inception_weights, **pictures
    )
    return tidy([score_record(files, task, name, seed, protocol)])


def read(
    results: Location = RESULTS,
    preset: Preset = "default",
    methods: Given = "all",
    tasks: Given = "all",
    seeds: Given = "all",
) -> pd.DataFrame:
    """The numbers of earlier runs, as `run` returns them, without computing anything.

    Raises
    ------
    UserError
        If there are none.
    """
    return tidy(read_records(results, preset, methods, tasks, seeds))


def classifier(source: str, **said: Any) -> ClassifierSpec:  # noqa: ANN401 - as the options have them
    """A classifier of your own, for `run` and `fit`.

    Parameters
    ----------
    source
        "model.onnx", "file.py:build", "package.module:build" or "torchvision:resnet18".
    **said
        `weights`, `input`, `output`, `columns`, `classes`, `features`, `trust_code`: as the options of `benchmark run`.

    Raises
    ------
    UserError
        If a file is not there, or something that is said cannot be.
    """
    return classifier_spec(source, **said)


# -- the same with records ---------------------------------------------------------------------------------------------


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
        return runner.run(todo, protocol, workers, drawn, suiting=methods == "all")


def _todo(methods: Given, tasks: Given | None, seeds: Given, protocol: Protocol, shard: Shard | None) -> list[Job]:
    """The jobs that are asked for, or one part of them."""
    names = methods_of(methods)
    check_overrides(names, protocol.preset, protocol.overrides or {})
    todo = [
        Job(task, name, seed)
        for task in tasks_of(tasks, protocol.own_tasks)
        for seed in seeds_of(seeds)
        for name in names
    ]
    return todo if shard is None else runner.in_shard(todo, shard, protocol)


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
    protocol = protocol_of(results, preset, **options)
    todo = _todo(methods, tasks, seeds, protocol, shard)
    there = [job for job in todo if runner.finished(job, protocol) is not None]
    missing = [job for job in todo if job not in there and (methods != "all" or _suits(job, protocol))]
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

    Raises
    ------
    UserError
        If there are none.
    """
    load()
    wanted_seeds = None if seeds == "all" else seeds_of(seeds)
    found = {path: store.read(path) for path in (Path(results) / "runs" / "records" / preset).glob("*/*/seed-*.json")}
    for path in (path for path, record in found.items() if record is None):
        log.warning("%s cannot be read and is left out; benchmark run makes it again", path)
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
    if not chosen:
        raise UserError(f"{results} holds no such records of the preset {preset}; make them with benchmark run")
    return sorted(chosen, key=lambda record: (record.task, record.seed, names.index(record.method)))


def failures(records: Sequence[Record]) -> list[str]:
    """A line for each thing that went wrong."""
    failed = (record for record in records if record.status == "failed")
    return list(dict.fromkeys(f"{r.method} on {r.task}, seed {r.seed}: {r.reason}" for r in failed))
