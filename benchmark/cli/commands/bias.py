"""`benchmark bias`."""

from typing import Annotated

import typer
from rich.console import Console

from benchmark.arguments import entries_of, methods_of, protocol_of, seeds_of, workers_of
from benchmark.bias.discovery import discover
from benchmark.bias.tables import publish
from benchmark.bias.trial import trials, with_settings
from benchmark.cli import options
from benchmark.cli.publishing import exit_code, on_disk, write_report
from benchmark.jobs.progress import board
from benchmark.jobs.settings import check_overrides
from benchmark.names import RESULTS
from benchmark.records.store import check_writable
from benchmark.report.layout import FIGURES, TABLES


def command(
    methods: options.Methods = "all",
    planted: Annotated[
        str, typer.Option(help="Comma-separated, as in Male-on-Smiling,Eyeglasses-on-Young.")
    ] = "Male-on-Smiling",
    seeds: Annotated[str, typer.Option(help="Comma-separated numbers: of the classifiers.")] = "0,1,2",
    preset: options.Preset = "default",
    settings: options.Settings = None,
    split: options.Split = "test",
    limit: Annotated[
        int | None, typer.Option(min=4, help="Queries, at most; tables say that the run is partial.")
    ] = None,
    jobs: options.Jobs = None,
    accelerator: options.Accelerator = "auto",
    results: options.Results = RESULTS,
    debug: options.Debug = False,
) -> int:
    """Run the trials, print their tables, say what failed."""
    names = methods_of(methods)
    protocol = protocol_of(
        results,
        preset,
        settings=settings,
        split=split,
        limit=limit,
        accelerator=accelerator,
        raise_errors=debug,
    )
    check_overrides(names, preset, with_settings(preset, protocol.overrides or {}))
    todo = trials(entries_of(planted, "planted"), protocol, seeds_of(seeds))
    check_writable(protocol.runs, results / TABLES, results / FIGURES)
    with board(Console(stderr=True), protocol.runs) as drawn:
        outcomes = discover(todo, names, workers_of(jobs, protocol.devices), drawn)
    for trial, outcome in zip(todo, outcomes, strict=True):
        for table in publish(trial, outcome, results):
            typer.echo(table.markdown())
    typer.echo(f"written to {results / TABLES} and {results / FIGURES}")
    typer.echo(str(write_report(results, on_disk(results, preset), preset)))
    return exit_code([record for outcome in outcomes for record in outcome.records])
