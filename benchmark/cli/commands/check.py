"""`benchmark check`."""

from pathlib import Path
from typing import Annotated

import typer
from tabulate import tabulate

from benchmark.api import read_records
from benchmark.arguments import methods_of, tasks_of
from benchmark.cli import options
from benchmark.report.cells import tidy
from benchmark.report.check import compare, describe, read_baseline


def command(
    baseline: Annotated[
        Path | None, typer.Option(help="A metrics.csv. [default: results/baselines/PRESET.csv]")
    ] = None,
    methods: options.Methods = "all",
    tasks: options.RecordedTasks = "all",
    seeds: options.RecordedSeeds = "all",
    preset: options.Preset = "default",
    results: options.Results = Path("results"),
) -> int:
    """Compare the numbers of records with those of a baseline."""
    expected = read_baseline(baseline or Path("results") / "baselines" / f"{preset}.csv")
    if methods != "all":
        expected = expected[expected["method"].isin(methods_of(methods))]
    if tasks != "all":
        expected = expected[expected["task"].isin(tasks_of(tasks))]
    records = read_records(results, preset, methods, tasks, seeds)
    if tasks == "all":
        held = expected["task"].isin({record.task for record in records})
        unheld, expected = sorted(set(expected["task"][~held])), expected[held]
        if unheld:
            typer.echo(f"not compared, because they have no record: {', '.join(unheld)}")
    moved = compare(tidy(records), expected)
    typer.echo(f"{len(expected)} numbers compared with the baseline: {describe(moved)}")
    if len(moved):
        typer.echo(tabulate(moved.to_dict("list"), headers="keys", tablefmt="github", showindex=False, floatfmt=".4g"))
    return 1 if len(moved) else 0
