"""`benchmark table`."""

from typing import Annotated, Literal

import typer

from benchmark.arguments import metrics_of, relaxations_of
from benchmark.cli import options
from benchmark.cli.source import results_of
from benchmark.names import RESULTS
from benchmark.report.narrow import narrow
from benchmark.report.show import BESIDE, with_flips

FORMATS = {"latex": "latex", "md": "markdown", "csv": "csv"}


def command(
    methods: options.Methods = "all",
    metrics: Annotated[str, options.Metrics] = ",".join((*BESIDE, "l1")),
    relaxations: options.SomeRelaxations = None,
    tasks: options.RecordedTasks = "mnist",
    seeds: options.RecordedSeeds = "all",
    form: Annotated[Literal["latex", "md", "csv"], typer.Option("--format", help="How it is written.")] = "md",
    source: options.Numbers = None,
    preset: options.Preset = "default",
    results: options.Results = RESULTS,
) -> int:
    """Print a narrow table."""
    names = with_flips(metrics_of(metrics), BESIDE[:2])
    chosen = None if relaxations is None else relaxations_of(relaxations)
    found = results_of(source, results, preset, methods, tasks, seeds)
    typer.echo(getattr(narrow(found, names, chosen), FORMATS[form])(), nl=False)
    return 0
