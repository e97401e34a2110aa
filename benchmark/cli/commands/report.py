"""`benchmark report`."""

from benchmark.api import read_records
from benchmark.cli import options
from benchmark.cli.publishing import publish
from benchmark.names import RESULTS
from benchmark.records.store import check_writable


def command(
    methods: options.Methods = "all",
    tasks: options.RecordedTasks = "all",
    seeds: options.RecordedSeeds = "all",
    preset: options.Preset = "default",
    results: options.Results = RESULTS,
    quiet: options.Quiet = False,
) -> int:
    """Publish records that are on disk."""
    records = read_records(results, preset, methods, tasks, seeds)
    check_writable(results / "tables")
    publish(records, results, quiet=quiet)
    return 0
