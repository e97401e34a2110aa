"""`benchmark reproduce`."""

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli import options
from benchmark.data.tasks import file_name
from benchmark.errors import UserError
from benchmark.jobs.again import run_again
from benchmark.names import RESULTS
from benchmark.records.record import SOURCE, Record, read
from benchmark.records.store import check_writable
from benchmark.report.baseline import read_baseline
from benchmark.report.reproduced import compare

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
    check_writable(results)
    held = baseline or Path("results") / "baselines" / f"{published.preset}.csv"
    known = read_baseline(held) if baseline is not None or held.exists() else None
    line = run_again([published]) + (f" --data-root {shlex.quote(str(data_root))}" if data_root else "")
    typer.echo(line)
    made = [sys.executable, *shlex.split(line)[1:], "--results", str(results), "--quiet"]
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
    own = record.classifier.config if record.classifier is not None else {}
    files = [*record.plugins, *([str(own[SOURCE])] if SOURCE in own else [])]
    if files and not trust_code:
        raise UserError(f"{path} names code of somebody's own ({', '.join(files)}); add --trust-code to run it")
    return record


def _place(record: Record, results: Path) -> Path:
    folder = results / "runs" / "records" / record.preset / file_name(record.task) / record.method
    return folder / f"seed-{record.seed}.json"


def _versions(published: Record, again: Record) -> str:
    """Where the two were made, if that differs."""
    then, now = published.environment, again.environment
    packages = [
        f"{name} {old} → {now['packages'][name]}"
        for name, old in then.get("packages", {}).items()
        if now["packages"].get(name, old) != old
    ]
    others = [
        f"{what} {then.get(what)} → {now[what]}" for what in ("commit", "cpu", "python") if then.get(what) != now[what]
    ]
    return "; ".join([*others, *packages]) or "same commit, processor and versions"
