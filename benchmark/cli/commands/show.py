"""`benchmark show`."""

from typing import Annotated

import typer

from benchmark.arguments import entries_of, metrics_of, one_of, relaxations_of
from benchmark.cli import options
from benchmark.cli.source import results_of
from benchmark.names import RESULTS
from benchmark.report.show import BESIDE, as_json, line, means_at, with_flips


def command(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="A method.")],
    task: options.Task = "mnist",
    relaxation: options.Relaxation = None,
    metrics: Annotated[str, options.Metrics] = ",".join(BESIDE),
    seeds: options.RecordedSeeds = "all",
    json: Annotated[bool, typer.Option("--json", help="One line of JSON, rates as fractions.")] = False,
    source: options.Numbers = None,
    preset: options.Preset = "default",
    results: options.Results = RESULTS,
) -> int:
    """Show one number of one method, with interval and n."""
    names = with_flips(metrics_of(metrics))
    r = None if relaxation is None else one_of(list(relaxations_of(relaxation)), "r")
    method, task = one_of(entries_of(method, "method"), "method"), one_of(entries_of(task, "task"), "task")
    found = results_of(source, results, preset, method, task, seeds)
    typer.echo((as_json if json else line)(found, *means_at(found, names, r)))
    return 0
