"""The commands: parse, call, print; the exit code says what came of it."""

import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from tabulate import tabulate

from benchmark.errors import UserError, unknown

if TYPE_CHECKING:
    from benchmark.jobs.protocol import Job, Protocol
    from benchmark.records.record import Record

UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""What typer raises for an unknown option and the like; it exports no name for it."""

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)

INTRODUCTION = """Visual counterfactual explanations of image classifiers, compared under one roof.

\b
Start here:
  benchmark run                        every method on real digits, minutes on two cores
  benchmark run --preset smoke         the same in seconds; the numbers mean nothing
  benchmark list                       methods, tasks, metrics, presets
  benchmark report                     tables and figures again, from what was written down
  benchmark paper vaex                 a paper's numbers and claims beside ours, as a page (all: of all four)
  benchmark bias                       which methods show a bias that was planted in a classifier
  benchmark compare vaex gan-search    what differs between two methods, and whether by more than chance
  benchmark score --help               numbers for counterfactuals that another program made
  benchmark check                      the numbers against results/baselines

What was computed is kept in results/runs, so a run that was interrupted goes on where it was.
"""

Results = Annotated[Path, typer.Option(help="Folder of everything that is written.")]
Methods = Annotated[str, typer.Option(help="Comma-separated names, or 'all': whatever can be asked of the task.")]
Tasks = Annotated[
    str, typer.Option(help="Comma-separated, as in mnist,mnist/3-8,celeba/Male; 'all': the embedded ones.")
]
Seeds = Annotated[str, typer.Option(help="Comma-separated numbers.")]
Preset = Annotated[str, typer.Option(help="smoke, default or paper.")]


@app.callback(invoke_without_command=True, help=INTRODUCTION)
def introduction(context: typer.Context) -> None:
    """Print the help where no command is given."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def run(
    methods: Methods = "all",
    tasks: Tasks = "mnist",
    seeds: Seeds = "0",
    relaxations: Annotated[str, typer.Option(help="Comma-separated values of r in [0, 1].")] = "0,0.2,0.4,0.6,0.8,1",
    preset: Preset = "default",
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.FIELD=VALUE", help="Override one setting; repeatable.")
    ] = None,
    data_root: Annotated[Path | None, typer.Option(help="Folder of data sets that are not embedded.")] = None,
    split: Annotated[str, typer.Option(help="Queries: validation to choose settings, test to report.")] = "test",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Queries, at most; tables say that the run is partial.")
    ] = None,
    fid: Annotated[str, typer.Option(help="Extractors of Fréchet distances: oracle,inception.")] = "oracle",
    inception_weights: Annotated[Path | None, typer.Option(help="pytorch-fid's, for --fid inception.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Jobs at once. [default: one a core; one on a GPU]")] = None,
    accelerator: Annotated[str, typer.Option(help="cpu, cuda, mps or auto.")] = "auto",
    devices: Annotated[int, typer.Option(min=1, help="Devices that one training uses.")] = 1,
    precision: Annotated[str, typer.Option(help="Of trainings: 32-true or bf16-mixed.")] = "32-true",
    results: Results = Path("results"),
    debug: Annotated[bool, typer.Option(help="Stop at the first error, with its traceback.")] = False,
) -> int:
    """Fit, explain, score; then write and print the tables."""
    from benchmark.data.tasks import knows_truth  # noqa: PLC0415
    from benchmark.jobs.progress import board  # noqa: PLC0415
    from benchmark.jobs.protocol import Job, Protocol  # noqa: PLC0415
    from benchmark.jobs.runner import run as run_jobs  # noqa: PLC0415
    from benchmark.jobs.settings import PRESETS, check_overrides, parse_overrides  # noqa: PLC0415
    from benchmark.judges.features import inception_network  # noqa: PLC0415 - torch takes seconds to import, and --help none
    from benchmark.records.store import check_writable  # noqa: PLC0415
    from methods.training import Devices  # noqa: PLC0415

    names = _methods(methods)
    _one_of("preset", preset, PRESETS)
    _one_of("split", split, ("validation", "test"))
    _one_of("accelerator", accelerator, ("auto", "cpu", "cuda", "mps"))
    _one_of("precision", precision, ("32-true", "bf16-mixed"))
    overrides = parse_overrides(settings or [])
    check_overrides(names, preset, overrides)
    protocol = Protocol(
        results=results,
        preset=preset,
        overrides=overrides,
        relaxations=_relaxations(relaxations),
        split=split,
        limit=limit,
        data_root=data_root,
        extractors=_extractors(fid),
        inception_weights=_file(inception_weights),
        devices=Devices(_accelerator(accelerator), devices, precision),
        raise_errors=debug,
    )
    if "inception" in protocol.extractors:
        inception_network(protocol.inception_weights)  # refused now rather than after an hour
    todo = [
        Job(task, name, seed)
        for task in _tasks(tasks)
        for seed in _numbers(seeds)
        for name in names
        if methods != "all" or name != "truth" or knows_truth(task)
    ]
    check_writable(protocol.runs, results / "tables")
    with board(Console(stderr=True)) as drawn:
        records = run_jobs(todo, protocol, jobs or _workers(protocol.devices.accelerator, devices), drawn)
    _publish(records, results)
    return _code(records)


@app.command()
def paper(
    names: Annotated[list[str], typer.Argument(metavar="PAPER...", help="vaex, gan-search, hybrid, dvae; or all.")],
    tasks: Annotated[
        str | None,
        typer.Option(
            "--task",
            "--tasks",
            help="Comma-separated. [default: mnist,mnist/3-8 and such; for the preset paper, the paper's]",
        ),
    ] = None,
    preset: Preset = "default",
    seeds: Seeds = "0",
    data_root: Annotated[Path | None, typer.Option(help="Folder of data sets that are not embedded.")] = None,
    fid: Annotated[str, typer.Option(help="Extractors of Fréchet distances: oracle,inception.")] = "oracle",
    inception_weights: Annotated[Path | None, typer.Option(help="pytorch-fid's, for --fid inception.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Jobs at once. [default: one a core; one on a GPU]")] = None,
    accelerator: Annotated[str, typer.Option(help="cpu, cuda, mps or auto.")] = "auto",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before the preset paper starts.")] = False,
    results: Results = Path("results"),
) -> int:
    """Run what papers need, and write a page each with its numbers and claims beside ours."""
    from benchmark.jobs.progress import board  # noqa: PLC0415
    from benchmark.jobs.protocol import Job, Protocol  # noqa: PLC0415
    from benchmark.jobs.settings import PRESETS  # noqa: PLC0415
    from benchmark.papers import PAPERS, load  # noqa: PLC0415 - see `run`
    from benchmark.papers.running import run_papers  # noqa: PLC0415
    from benchmark.records.store import check_writable  # noqa: PLC0415
    from methods.training import Devices  # noqa: PLC0415

    names = list(PAPERS) if names == ["all"] else list(dict.fromkeys(names))
    for name in names:
        _one_of("paper", name, PAPERS)
    _one_of("preset", preset, PRESETS)
    devices = Devices(_accelerator(accelerator))
    protocol = Protocol(
        results=results,
        preset=preset,
        data_root=data_root,
        extractors=_extractors(fid),
        inception_weights=_file(inception_weights),
        devices=devices,
    )
    todo = {}
    for name in names:
        asked = load(name)
        chosen = _tasks(tasks or (asked.task if preset == "paper" else ",".join(asked.tasks)))
        todo[name] = [
            Job(task, method, seed) for task in chosen for seed in _numbers(seeds) for method in asked.methods
        ]
    check_writable(protocol.runs, results / "tables")
    if preset == "paper":
        _confirm(list(dict.fromkeys(job for wanted in todo.values() for job in wanted)), protocol, asked=not yes)
    with board(Console(stderr=True)) as drawn:
        records = run_papers(todo, protocol, jobs or _workers(devices.accelerator, 1), drawn)
    done = {Job(record.task, record.method, record.seed) for record in records if record.status == "ok"}
    for name in names:
        if done & set(todo[name]):
            page = results / "tables" / f"paper-{name}.md"
            typer.echo(page.read_text(encoding="utf-8").partition("\n## Tables")[0])
            typer.echo(f"\nwritten to {page}\n")
    return _code(records)


@app.command("list")
def list_names() -> int:
    """Methods, tasks, metrics and presets."""
    from benchmark.data.tasks import EMBEDDED, EXAMPLES  # noqa: PLC0415
    from benchmark.jobs.settings import PRESETS  # noqa: PLC0415 - see `run`
    from methods import METHODS  # noqa: PLC0415
    from metrics import METRICS  # noqa: PLC0415

    def summary(name: str) -> str:
        method = METHODS[name].load()
        kind = "reference: " if method.reference else ""
        setting = "".join(f" ({key}: {value})" for key, value in METHODS[name].settings.items())
        return f"{kind}{(method.__doc__ or '').splitlines()[0]}{setting}"

    sections: list[tuple[str, Iterable[tuple[str, str]]]] = [
        ("methods", ((name, summary(name)) for name in METHODS)),
        ("tasks", ((task, "embedded" if task in EMBEDDED else "needs --data-root") for task in EXAMPLES)),
        ("metrics", ((name, f"{m.meaning} ({m.scale})") for name, m in METRICS.items())),
        ("presets", PRESETS.items()),
    ]
    for title, rows in sections:
        typer.echo(f"{title}\n{tabulate(list(rows), tablefmt='plain')}\n")
    return 0


@app.command()
def report(
    methods: Methods = "all",
    tasks: Annotated[str, typer.Option(help="Comma-separated, or 'all': whatever has a record.")] = "all",
    seeds: Annotated[str, typer.Option(help="Comma-separated numbers, or 'all'.")] = "all",
    preset: Preset = "default",
    results: Results = Path("results"),
) -> int:
    """Write tables and figures again from the records, without computing anything."""
    from benchmark.records.store import check_writable  # noqa: PLC0415 - see `run`

    records = _records(results, preset, methods, tasks, seeds)
    check_writable(results / "tables")
    _publish(records, results)
    return 0


@app.command()
def check(
    baseline: Annotated[
        Path | None, typer.Option(help="A metrics.csv. [default: results/baselines/PRESET.csv]")
    ] = None,
    methods: Methods = "all",
    tasks: Annotated[str, typer.Option(help="Comma-separated, or 'all': whatever has a record.")] = "all",
    seeds: Annotated[str, typer.Option(help="Comma-separated numbers, or 'all'.")] = "all",
    preset: Preset = "default",
    results: Results = Path("results"),
) -> int:
    """Hold the records against a baseline; exit code 1 and a table if numbers moved."""
    from benchmark.report.cells import tidy  # noqa: PLC0415
    from benchmark.report.check import compare, describe, read_baseline  # noqa: PLC0415 - see `run`

    expected = read_baseline(baseline or Path("results") / "baselines" / f"{preset}.csv")
    if methods != "all":
        expected = expected[expected["method"].isin(_methods(methods))]
    if tasks != "all":
        expected = expected[expected["task"].isin(_tasks(tasks))]
    records = _records(results, preset, methods, tasks, seeds)
    if tasks == "all":
        held = expected["task"].isin({record.task for record in records})
        unheld, expected = sorted(set(expected["task"][~held])), expected[held]
        if unheld:
            typer.echo(f"not held, because no record is of them: {', '.join(unheld)}")
    moved = compare(tidy(records), expected)
    typer.echo(f"{len(expected)} numbers held against the baseline: {describe(moved)}")
    if len(moved):
        typer.echo(tabulate(moved.to_dict("list"), headers="keys", tablefmt="github", showindex=False, floatfmt=".4g"))
    return 1 if len(moved) else 0


@app.command()
def bias(
    methods: Methods = "all",
    planted: Annotated[
        str, typer.Option(help="Comma-separated, as in Male-on-Smiling,Eyeglasses-on-Young.")
    ] = "Male-on-Smiling",
    seeds: Annotated[str, typer.Option(help="Comma-separated numbers: of the classifiers.")] = "0,1,2",
    preset: Preset = "default",
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.FIELD=VALUE", help="Override one setting; repeatable.")
    ] = None,
    split: Annotated[str, typer.Option(help="Queries: validation to choose settings, test to report.")] = "test",
    limit: Annotated[
        int | None, typer.Option(min=4, help="Queries, at most; tables say that the run is partial.")
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Jobs at once. [default: one a core; one on a GPU]")] = None,
    accelerator: Annotated[str, typer.Option(help="cpu, cuda, mps or auto.")] = "auto",
    results: Results = Path("results"),
    debug: Annotated[bool, typer.Option(help="Stop at the first error, with its traceback.")] = False,
) -> int:
    """Plant a bias in a classifier of drawn faces, and ask which methods' counterfactuals show it."""
    from benchmark.bias.discovery import discover  # noqa: PLC0415
    from benchmark.bias.tables import publish  # noqa: PLC0415
    from benchmark.bias.trial import trials, with_settings  # noqa: PLC0415 - see `run`
    from benchmark.jobs.progress import board  # noqa: PLC0415
    from benchmark.jobs.protocol import Protocol  # noqa: PLC0415
    from benchmark.jobs.settings import PRESETS, check_overrides, parse_overrides  # noqa: PLC0415
    from benchmark.records.store import check_writable  # noqa: PLC0415
    from methods.training import Devices  # noqa: PLC0415

    names = _methods(methods)
    _one_of("preset", preset, PRESETS)
    _one_of("split", split, ("validation", "test"))
    _one_of("accelerator", accelerator, ("auto", "cpu", "cuda", "mps"))
    overrides = parse_overrides(settings or [])
    check_overrides(names, preset, with_settings(preset, overrides))
    protocol = Protocol(
        results=results,
        preset=preset,
        overrides=overrides,
        split=split,
        limit=limit,
        devices=Devices(_accelerator(accelerator)),
        raise_errors=debug,
    )
    todo = trials(_split(planted, "planted"), protocol, _numbers(seeds))
    check_writable(protocol.runs, results / "tables")
    with board(Console(stderr=True)) as drawn:
        outcomes = discover(todo, names, jobs or _workers(protocol.devices.accelerator, 1), drawn)
    for trial, outcome in zip(todo, outcomes, strict=True):
        for table in publish(trial, outcome, results / "tables"):
            typer.echo(table.markdown())
    typer.echo(f"written to {results / 'tables'}")
    failed = [record for outcome in outcomes for record in outcome.records if record.status != "ok"]
    for reason in dict.fromkeys(f"{record.method} on {record.task}: {record.reason}" for record in failed):
        _complain(reason)
    return 0 if not failed else 2 if all(record.user_error for record in failed) else 1


@app.command()
def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="A method.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    tasks: Annotated[str, typer.Option(help="Comma-separated, or 'all': whatever both have a record of.")] = "all",
    seeds: Annotated[str, typer.Option(help="Comma-separated numbers, or 'all'.")] = "all",
    relaxation: Annotated[
        str | None, typer.Option(help="Comma-separated values of r. [default: the smallest that both were asked at]")
    ] = None,
    preset: Preset = "default",
    results: Results = Path("results"),
) -> int:
    """What two methods differ in on the same queries: by how much, with interval and p."""
    from benchmark.report.compare import compare as compare_methods  # noqa: PLC0415 - see `run`
    from benchmark.report.compare import describe  # noqa: PLC0415

    names = (_method(first), _method(second))
    chosen = None if relaxation is None else _relaxations(relaxation)
    records = _records(results, preset, ",".join(names), tasks, seeds)
    typer.echo(describe(names, compare_methods(names, records, results / "runs", chosen)))
    return 0


@app.command()
def score(
    queries: Annotated[Path, typer.Option(help="Folder of PNG files; or an npy or npz file.")],
    counterfactuals: Annotated[Path, typer.Option(help="The same, by the same names; or subfolders r=0.2 and so on.")],
    task: Annotated[str, typer.Option(help="Whose classifier and oracle judge, as in mnist or mnist/3-8.")],
    targets: Annotated[
        Path | None, typer.Option(help="csv with the header name,target. [default, with two classes: the other one]")
    ] = None,
    reconstructions: Annotated[Path | None, typer.Option(help='Answers to "change nothing", as the queries.')] = None,
    name: Annotated[str, typer.Option(help="What stands in the tables.")] = "outside",
    seed: Annotated[str, typer.Option(help="Of the classifier, the oracle and the splits.")] = "0",
    preset: Preset = "default",
    data_root: Annotated[Path | None, typer.Option(help="Folder of data sets that are not embedded.")] = None,
    fid: Annotated[str, typer.Option(help="Extractors of Fréchet distances: oracle,inception.")] = "oracle",
    inception_weights: Annotated[Path | None, typer.Option(help="pytorch-fid's, for --fid inception.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write the tables to. [default: only print]")] = None,
    results: Results = Path("results"),
) -> int:
    """Score counterfactuals that another program made, by the judges and metrics of a run."""
    from benchmark.jobs.outside import Files, score_files  # noqa: PLC0415 - see `run`
    from benchmark.jobs.progress import board  # noqa: PLC0415
    from benchmark.jobs.protocol import Job, Protocol  # noqa: PLC0415
    from benchmark.jobs.settings import PRESETS  # noqa: PLC0415
    from benchmark.records.store import check_writable  # noqa: PLC0415
    from benchmark.report.tables import tables, write_tables  # noqa: PLC0415
    from methods.training import Devices  # noqa: PLC0415

    _one_of("preset", preset, PRESETS)
    if len(_tasks(task)) > 1 or len(_split(seed, "seed")) > 1:
        raise UserError("score takes one --task and one --seed")
    if not name.strip() or not name.isprintable() or "|" in name:
        raise UserError("--name takes what is to stand in a cell of the tables: not empty, on one line, without |")
    protocol = Protocol(
        results=results,
        preset=preset,
        data_root=data_root,
        extractors=_extractors(fid),
        inception_weights=_file(inception_weights),
        devices=Devices(_accelerator("auto")),
    )
    check_writable(protocol.runs)
    check_writable(*([out] if out else []), option="--out")
    files = Files(queries, counterfactuals, targets, reconstructions)
    with board(Console(stderr=True)) as drawn:
        record = score_files(files, Job(task, name, _numbers(seed)[0]), protocol, drawn)
    for table in write_tables([record], out) if out else tables([record]):
        typer.echo(table.markdown())
    return 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    typed = sys.argv[1:] if arguments is None else list(arguments)
    sys.exit(_guarded(partial(app, args=typed, prog_name="benchmark", standalone_mode=False), debug="--debug" in typed))


# -- answers to the user -----------------------------------------------------------------------------------------------


def _guarded(call: Callable[[], int | None], *, debug: bool) -> int:
    """The exit code of `call`, with a user's mistake said in one line; to debug, with its traceback before that."""
    try:
        return int(call() or 0)
    except UserError as error:
        if debug:
            traceback.print_exc()
        _complain(str(error))
        return 2
    except typer.Exit as error:
        return int(error.exit_code)
    except UsageError as error:
        _complain(f"{error.format_message()} (see benchmark --help)")  # type: ignore[attr-defined] # click's own method
        return 2
    except (KeyboardInterrupt, typer.Abort):
        _complain("interrupted; the same command goes on where this one was")
        return 130


def _code(records: Sequence["Record"]) -> int:
    """The exit code of a run, and a line for each thing that went wrong."""
    failed = [record for record in records if record.status != "ok"]
    for reason in dict.fromkeys(f"{r.method} on {r.task}, seed {r.seed}: {r.reason}" for r in failed):
        _complain(reason)
    return 0 if not failed else 2 if all(record.user_error for record in failed) else 1


def _confirm(jobs: Sequence["Job"], protocol: "Protocol", *, asked: bool) -> None:
    """Say what unfinished jobs need, from a few measured steps, and ask whether to start if that is to be `asked`.

    Raises
    ------
    UserError
        If nobody is there to answer.
    typer.Abort
        If the answer is no.
    """
    from benchmark.jobs.estimate import estimate  # noqa: PLC0415 - see `run`
    from benchmark.jobs.runner import finished  # noqa: PLC0415

    jobs = [job for job in jobs if finished(job, protocol) is None]
    if not jobs:
        return
    typer.echo("measuring a few steps of everything ...", err=True)
    typer.echo(estimate(jobs, protocol).text(), err=True)
    if not asked:
        return
    if not sys.stdin.isatty():
        raise UserError("the preset paper asks before it starts, and nobody is there to answer; add --yes")
    typer.confirm("start?", abort=True, err=True)


def _complain(message: str) -> None:
    typer.echo(f"error: {' '.join(message.split())}", err=True)


# -- reading what the user typed ---------------------------------------------------------------------------------------


def _split(text: str, what: str) -> list[str]:
    """The entries of a comma-separated list, in order, each once."""
    entries = list(dict.fromkeys(entry.strip() for entry in text.split(",") if entry.strip()))
    if not entries:
        raise UserError(f"--{what} is empty; name one or more, separated by commas")
    return entries


def _one_of(kind: str, name: str, known: Iterable[str]) -> None:
    if name not in (known := list(known)):
        raise unknown(kind, name, known)


def _methods(text: str) -> list[str]:
    from methods import METHODS  # noqa: PLC0415 - see `run`

    names = list(METHODS) if text == "all" else _split(text, "methods")
    for name in names:
        _one_of("method", name, METHODS)
    return [name for name in METHODS if name in names]


def _method(name: str) -> str:
    from methods import METHODS  # noqa: PLC0415 - see `run`

    _one_of("method", name, METHODS)
    return name


def _tasks(text: str) -> list[str]:
    from benchmark.data.tasks import EMBEDDED, check_name  # noqa: PLC0415 - see `run`

    tasks = list(EMBEDDED) if text == "all" else _split(text, "tasks")
    for task in tasks:
        check_name(task)
    return tasks


def _numbers(text: str) -> list[int]:
    """Seeds: whole numbers from 0."""
    entries = _split(text, "seeds")
    if not all(entry.isdecimal() and len(entry) <= 10 and int(entry) < 2**32 for entry in entries):
        raise UserError(f"--seeds takes whole numbers from 0, as in 0,1,2, not '{text}'")
    return [int(entry) for entry in entries]


def _relaxations(text: str) -> tuple[float, ...]:
    try:
        values = tuple(float(entry) for entry in _split(text, "relaxations"))
    except ValueError:
        values = (float("nan"),)
    if not all(0 <= value <= 1 for value in values):
        raise UserError(f"--relaxations takes numbers from 0 to 1, as in 0,0.5,1, not '{text}'")
    return tuple(sorted(set(values)))


def _extractors(text: str) -> tuple[str, ...]:
    from benchmark.judges.features import EXTRACTORS  # noqa: PLC0415 - see `run`

    names = _split(text, "fid")
    for name in names:
        _one_of("feature extractor", name, EXTRACTORS)
    return tuple(names)


def _file(path: Path | None) -> Path | None:
    if path is not None and not path.is_file():
        raise UserError(f"there is no file {path}; --inception-weights names a file of weights")
    return path


def _accelerator(name: str) -> str:
    """What "auto" stands for here; and a refusal of what this machine has not got."""
    import torch  # noqa: PLC0415 - see `run`

    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next((other for other in ("cuda", "mps") if present[other]), "cpu")
    if not present[name]:
        raise UserError(f"this machine has no {name} device; use --accelerator auto")
    return name


def _workers(accelerator: str, devices: int) -> int:
    """One job a core, unless the jobs share something bigger."""
    if accelerator != "cpu" or devices > 1:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# -- records and what is made of them ----------------------------------------------------------------------------------


def _records(results: Path, preset: str, methods: str, tasks: str, seeds: str) -> list["Record"]:
    """The records on disk that were asked for.

    Raises
    ------
    UserError
        If there are none.
    """
    from benchmark.jobs.settings import PRESETS  # noqa: PLC0415
    from benchmark.records.record import read  # noqa: PLC0415 - see `run`
    from methods import METHODS  # noqa: PLC0415

    _one_of("preset", preset, PRESETS)
    names = _methods(methods)
    wanted_tasks = None if tasks == "all" else _tasks(tasks)
    wanted_seeds = None if seeds == "all" else _numbers(seeds)
    found = {path: read(path) for path in (results / "runs" / "records" / preset).glob("*/*/seed-*.json")}
    for path in (path for path, record in found.items() if record is None):
        logging.warning("%s cannot be read and is left out; benchmark run makes it again", path)
    order = {name: place for place, name in enumerate(METHODS)}
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
    return sorted(chosen, key=lambda record: (record.task, record.seed, order[record.method]))


def _publish(records: Sequence["Record"], results: Path) -> None:
    """Write tables and figures of `records`, and print the tables; where all failed, leave what is there."""
    from benchmark.papers.pages import write_pages  # noqa: PLC0415
    from benchmark.records.store import locked  # noqa: PLC0415
    from benchmark.report.cells import Results  # noqa: PLC0415
    from benchmark.report.figures import write_figures  # noqa: PLC0415 - see `run`
    from benchmark.report.tables import write_tables  # noqa: PLC0415

    if all(record.status != "ok" for record in records):
        return
    records = Results.of(records)  # their numbers become one table, for all that is written
    with locked(results / "runs" / "locks" / "tables.lock"):
        write_figures(records, results / "runs", results / "tables")  # which the pages show
        pages = write_pages(records, results / "runs", results / "tables")
        # After the pages, each of which knows the methods of its own paper alone.
        shown = write_tables(records, results / "tables", results / "runs")
    for table in shown:
        typer.echo(table.markdown())
    if pages:
        typer.echo(f"beside what the papers say: {', '.join(page.name for page in pages)}")
    typer.echo(f"written to {results / 'tables'}")
