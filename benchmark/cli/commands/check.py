"""`benchmark check`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from benchmark.arguments import entries_of, methods_of, seeds_of
from benchmark.cli import options
from benchmark.errors import UserError
from benchmark.names import RESULTS
from benchmark.report.baseline import names_of, read_baseline, was_run, with_weights
from benchmark.report.check import findings_of, findings_text
from benchmark.with_records import read_records


def command(
    baseline: Annotated[Path | None, typer.Option(help="Held numbers. [default: results/baselines/PRESET.csv]")] = None,
    methods: options.Methods = "all",
    tasks: options.RecordedTasks = "all",
    seeds: options.RecordedSeeds = "all",
    preset: options.Preset = "default",
    results: options.Results = RESULTS,
) -> int:
    """Compare the numbers of records with those of a baseline."""
    held = baseline or Path("results") / "baselines" / f"{preset}.csv"
    if baseline is None and held.parent.exists() and not held.exists():
        raise UserError(f"no baseline holds the preset {preset}; name one by --baseline")
    expected = read_baseline(held)
    asked: dict[str, Sequence[object]] = {
        "method": methods_of(methods) if methods != "all" else (),
        "task": entries_of(tasks, "tasks") if tasks != "all" else (),
        "seed": seeds_of(seeds) if seeds != "all" else (),
    }
    for column, names in asked.items():
        without = [str(name) for name in names if name not in set(expected[column])]
        if without:
            typer.echo(f"not held, because the baseline has no such {column}: {', '.join(without)}")
        expected = expected[expected[column].isin(names)] if names else expected
    records = read_records(results, preset, methods, tasks, seeds)
    ran = was_run(expected, records)
    if methods == tasks == "all":  # what is asked for by name has to be there
        if not ran.all():
            typer.echo(f"not held, because nobody ran it: {', '.join(names_of(expected[~ran]))}")
        expected = expected[ran]
    if expected.empty:
        raise UserError("the baseline holds nothing of what was run; name another by --baseline")
    found = findings_of(with_weights(records), expected)
    typer.echo(findings_text(found, expected))
    return 0 if found.holds else 1
