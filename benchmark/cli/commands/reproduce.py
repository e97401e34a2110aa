"""`benchmark reproduce`."""

import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Annotated, get_args

import typer

from benchmark.arguments import one_of, tasks_of
from benchmark.cli import options
from benchmark.data.tasks import data_set_of, file_name
from benchmark.errors import UserError, readable, unknown
from benchmark.jobs.again import arguments_again
from benchmark.jobs.settings import check_overrides, parse_overrides
from benchmark.judges.spec import ClassifierSpec
from benchmark.names import PRESETS, RESULTS, Split
from benchmark.plugins import load
from benchmark.records.record import SOURCE, Record, read
from benchmark.records.store import check_writable
from benchmark.report.baseline import read_baseline
from benchmark.report.reproduced import compare
from methods import METHODS

AGAIN = RESULTS / "again"


def command(
    record: Annotated[Path, typer.Argument(metavar="RECORD", help="As results/local/runs/records/.../seed-0.json.")],
    results: Annotated[Path, typer.Option(help="Folder to make it again in.")] = AGAIN,
    data_root: options.DataRoot = None,
    baseline: Annotated[
        Path | None, typer.Option(help="Says how far retraining moves numbers. [default: results/baselines/PRESET.csv]")
    ] = None,
    trust_code: Annotated[
        bool, typer.Option("--trust-code", help="Run the Python files that the record names.")
    ] = False,
) -> int:
    """Make a record again by its own settings, and compare."""
    published = _published(record, trust_code=trust_code)
    place = _place(published, results)
    if place.resolve() == record.resolve():
        raise UserError(f"{record} lies in {results}, where it would be found instead of made; name another --results")
    command = ["-m", "benchmark", *_arguments(published), *(["--data-root", str(data_root)] if data_root else [])]
    check_writable(results)
    held = baseline or Path("results") / "baselines" / f"{published.preset}.csv"
    known = read_baseline(held) if baseline is not None or held.exists() else None
    typer.echo(readable(shlex.join(["python", *command])))
    made = [sys.executable, *command, "--results", str(results), "--quiet"]
    code = subprocess.run(made, check=False, stdout=subprocess.DEVNULL).returncode  # noqa: S603 - this program
    again = read(place)
    if code or again is None or again.status != "ok":
        raise UserError(f"{published.method} on {published.task} could not be made again; its own words stand above")
    typer.echo(_versions(published, again))
    found = compare(published, again, known)
    typer.echo(found.text())
    return 0 if found.good else 1


def _published(path: Path, *, trust_code: bool) -> Record:
    """The record at `path`, if it can be made again."""
    record = read(path)
    if record is None:
        raise UserError(f"{path} is no record that this version can read; name a seed-N.json in a folder runs/records")
    if record.status != "ok" or not record.rows:
        raise UserError(f"{path} has no numbers to make again: {record.reason or record.status}")
    if (files := _code(record)) and not trust_code:
        raise UserError(f"{path} names code of somebody's own ({', '.join(files)}); add --trust-code to run it")
    load(record.plugins)
    _check_names(record, path)
    return record


def _code(record: Record) -> list[str]:
    """What runs Python of somebody's own where the record is made again."""
    config = record.classifier.config if record.classifier is not None else {}
    source = str(config.get(SOURCE, ""))
    own = SOURCE in config and ClassifierSpec(source=source).runs_code
    return [*record.plugins, *([source] if own else [])]


def _check_names(record: Record, path: Path) -> None:
    """Refuse names that no run has written, before a command is made of them."""
    if record.method not in METHODS or record.split not in get_args(Split):
        raise UserError(
            f"{path} holds answers of another program, '{record.method}'; score them again with benchmark score"
        )
    if record.preset not in PRESETS:
        raise unknown("preset", record.preset, PRESETS)
    folder = record.data.get("folder")
    if one_of(tasks_of(record.task, [data_set_of(record.task)] if folder else []), "task") != record.task:
        raise UserError(f"{path} names no task: '{record.task}'")


def _arguments(record: Record) -> list[str]:
    """What makes the record again, once its settings are found to be some."""
    found = arguments_again(record)
    settings = [value for name, value in pairwise(found) if name == "--set"]
    check_overrides([record.method], record.preset, parse_overrides(settings))
    return found


def _place(record: Record, results: Path) -> Path:
    folder = results / "runs" / "records" / record.preset / file_name(record.task) / record.method
    return folder / f"seed-{record.seed}.json"


def _versions(published: Record, again: Record) -> str:
    """Where the two were made, if that differs."""
    then, now = published.environment, again.environment
    known = then.get("packages")
    packages = [
        f"{name} {old} → {now['packages'][name]}"
        for name, old in (known.items() if isinstance(known, dict) else ())
        if now["packages"].get(name, old) != old
    ]
    others = [
        f"{what} {then.get(what)} → {now[what]}" for what in ("commit", "cpu", "python") if then.get(what) != now[what]
    ]
    return "; ".join([*others, *packages]) or "same commit, processor and versions"
