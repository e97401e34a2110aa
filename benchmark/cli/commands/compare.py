"""`benchmark compare`."""

from typing import Annotated

import typer

from benchmark.arguments import entries_of, one_of, relaxations_of
from benchmark.cli import options
from benchmark.names import RESULTS
from benchmark.report.compare import compare, describe
from benchmark.with_records import read_records


def command(
    first: Annotated[str, typer.Argument(metavar="A", help="A method.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    tasks: options.RecordedTasks = "all",
    seeds: options.RecordedSeeds = "all",
    relaxation: options.SomeRelaxations = None,
    preset: options.Preset = "default",
    results: options.Results = RESULTS,
) -> int:
    """Compare two methods query by query, from their records."""
    names = (one_of(entries_of(first, "methods"), "method"), one_of(entries_of(second, "methods"), "method"))
    chosen = None if relaxation is None else relaxations_of(relaxation)
    records = read_records(results, preset, ",".join(names), tasks, seeds)
    typer.echo(describe(names, compare(names, records, results / "runs", chosen)))
    return 0
