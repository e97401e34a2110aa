"""`benchmark compare`."""

from typing import Annotated

import typer

from benchmark.api import read_records
from benchmark.arguments import method_of, relaxations_of
from benchmark.cli import options
from benchmark.names import RESULTS
from benchmark.report.compare import compare, describe


def command(
    first: Annotated[str, typer.Argument(metavar="A", help="A method.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    tasks: Annotated[str, typer.Option(help="Comma-separated, or 'all': whatever both have a record of.")] = "all",
    seeds: options.RecordedSeeds = "all",
    relaxation: Annotated[
        str | None, typer.Option(help="Comma-separated values of r. [default: the smallest that both were run at]")
    ] = None,
    preset: options.Preset = "default",
    results: options.Results = RESULTS,
) -> int:
    """Compare two methods query by query, from their records."""
    names = (method_of(first), method_of(second))
    chosen = None if relaxation is None else relaxations_of(relaxation)
    records = read_records(results, preset, ",".join(names), tasks, seeds)
    typer.echo(describe(names, compare(names, records, results / "runs", chosen)))
    return 0
