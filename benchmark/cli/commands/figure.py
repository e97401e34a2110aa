"""`benchmark figure`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from benchmark.arguments import entries_of, one_of
from benchmark.cli import options
from benchmark.cli.source import results_of
from benchmark.names import RESULTS
from benchmark.records.store import check_writable
from benchmark.report.curves import flip_rates
from benchmark.report.drawing import styled
from benchmark.report.sized import inches_of, write_figure


def command(
    name: Annotated[Literal["flip-rate"], typer.Argument(metavar="NAME", help="flip-rate: against r.")],
    out: Annotated[Path, typer.Option(help="File to write to.")],
    task: options.Task = "mnist",
    form: Annotated[Literal["pdf", "svg", "png"], typer.Option("--format", help="How it is written.")] = "pdf",
    width: Annotated[
        str | None, typer.Option(help="As in 3.3in, 84mm, 8.4cm or 240pt. [default: as large as on a page]")
    ] = None,
    methods: options.Methods = "all",
    seeds: options.RecordedSeeds = "all",
    source: options.Numbers = None,
    preset: options.Preset = "default",
    results: options.Results = RESULTS,
) -> int:
    """Draw a figure."""
    inches = None if width is None else inches_of(width)
    task = one_of(entries_of(task, "task"), "task")
    found = results_of(source, results, preset, methods, task, seeds)
    check_writable(out.parent, option="--out")
    with styled():
        write_figure({"flip-rate": flip_rates}[name](found), out, form, inches)
    typer.echo(str(out))
    return 0
