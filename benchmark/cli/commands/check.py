"""`benchmark check`."""

from pathlib import Path
from typing import Annotated

import typer

from benchmark.api import read_records
from benchmark.arguments import methods_of, seeds_of, tasks_of
from benchmark.cli import options
from benchmark.errors import UserError
from benchmark.names import RESULTS
from benchmark.report.baseline import names_of, read_baseline, was_run, with_weights
from benchmark.report.check import compare, describe


def command(
    baseline: Annotated[Path | None, typer.Option(help="Held numbers. [default: results/baselines/PRESET.csv]")] = None,
    methods: options.Methods = "all",
    tasks: options.RecordedTasks = "all",
    seeds: options.RecordedSeeds = "all",
    preset: options.Preset = "default",
    results: options.Results = RESULTS,
) -> int:
    """Compare the numbers of records with those of a baseline."""
    expected = read_baseline(baseline or Path("results") / "baselines" / f"{preset}.csv")
    if methods != "all":
        expected = expected[expected["method"].isin(methods_of(methods))]
    if tasks != "all":
        expected = expected[expected["task"].isin(tasks_of(tasks))]
    if seeds != "all":
        expected = expected[expected["seed"].isin(seeds_of(seeds))]
    records = read_records(results, preset, methods, tasks, seeds)
    ran = was_run(expected, records)
    if methods == tasks == "all":  # what is asked for by name has to be there
        if not ran.all():
            typer.echo(f"not held, because nobody ran it: {', '.join(names_of(expected[~ran]))}")
        expected = expected[ran]
    if expected.empty:
        raise UserError("the baseline holds nothing of what was run; name another by --baseline")
    found = compare(with_weights(records), expected)
    typer.echo(describe(found, expected))
    return 0 if found.holds else 1
