"""What a command makes of records: tables, figures and pages on disk, tables on the screen, an exit code."""

from collections.abc import Collection, Sequence
from pathlib import Path

import typer

from benchmark.api import failures
from benchmark.cli.options import complain
from benchmark.papers.pages import write_pages
from benchmark.records.record import Record
from benchmark.records.store import locked
from benchmark.report.cells import FORMATS, Results
from benchmark.report.figures import write_figures
from benchmark.report.tables import write_tables


def publish(records: Sequence[Record], results: Path, formats: Collection[str] = FORMATS) -> None:
    """Write tables and figures of `records`, and print the tables; where all failed, leave what is there.

    Tables are written as `formats` say: "md", "tex", "csv".
    """
    if all(record.status != "ok" for record in records):
        return
    records = Results.of(records)  # their numbers become one table, for all that is written
    with locked(results / "runs" / "locks" / "tables.lock"):
        write_figures(records, results / "runs", results / "tables")  # which the pages show
        pages = write_pages(records, results / "runs", results / "tables", formats=formats)
        # After the pages, each of which knows the methods of its own paper alone.
        shown = write_tables(records, results / "tables", results / "runs", formats)
    for table in shown:
        typer.echo(table.markdown())
    if pages:
        typer.echo(f"beside what the papers say: {', '.join(page.name for page in pages)}")
    typer.echo(f"written to {results / 'tables'}")


def code_of(records: Sequence[Record]) -> int:
    """The exit code of a run, and a line for each thing that went wrong."""
    for reason in failures(records):
        complain(reason)
    failed = [record for record in records if record.status != "ok"]
    return 0 if not failed else 2 if all(record.user_error for record in failed) else 1
