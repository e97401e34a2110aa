"""Where a command that computes nothing has its numbers from: records, or a metrics.csv."""

from pathlib import Path

from benchmark.arguments import entries_of, seeds_of
from benchmark.errors import UserError
from benchmark.names import Preset
from benchmark.report.cells import Results
from benchmark.report.numbers import only, read_numbers
from benchmark.with_records import read_records


def results_of(source: Path | None, results: Path, preset: Preset, methods: str, tasks: str, seeds: str) -> Results:
    """The successful results that were asked for: from `source`, a metrics.csv, or from the records in `results`.

    Raises
    ------
    UserError
        If there are none.
    """
    if source is not None:
        return only(
            read_numbers(source),
            [] if methods == "all" else entries_of(methods, "methods"),
            [] if tasks == "all" else entries_of(tasks, "task"),
            [] if seeds == "all" else seeds_of(seeds),
        )
    try:
        found = Results.of(read_records(results, preset, methods, tasks, seeds)).good
    except UserError as error:
        raise UserError(f"{error}, or name a metrics.csv by --from") from error
    if not found:
        raise UserError("all of these jobs failed; benchmark run makes them again")
    return found
