"""`benchmark report`."""

from pathlib import Path

from benchmark.api import read_records
from benchmark.cli import options
from benchmark.cli.publishing import publish
from benchmark.records.store import check_writable


def command(
    methods: options.Methods = "all",
    tasks: options.RecordedTasks = "all",
    seeds: options.RecordedSeeds = "all",
    preset: options.Preset = "default",
    results: options.Results = Path("results"),
) -> int:
    """Publish records that are on disk."""
    records = read_records(results, preset, methods, tasks, seeds)
    check_writable(results / "tables")
    publish(records, results)
    return 0
