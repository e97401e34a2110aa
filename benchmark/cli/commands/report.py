"""`benchmark report`."""

import webbrowser
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from benchmark.arguments import formats_of
from benchmark.cli import options
from benchmark.cli.publishing import publish
from benchmark.cli.source import results_of
from benchmark.data.tasks import file_name
from benchmark.errors import UserError
from benchmark.names import RESULTS
from benchmark.records.record import Record
from benchmark.records.store import check_writable
from benchmark.report.curves import flip_rates, has_flip_rates
from benchmark.report.figures import write_drawings
from benchmark.report.layout import DRAWN, FIGURES, TABLES
from benchmark.report.page.blind import write_sheet
from benchmark.report.page.moved import Side, left_out, said, write_compared
from benchmark.report.tables import write_tables
from benchmark.with_records import read_records


def command(
    methods: options.Methods = "all",
    tasks: options.RecordedTasks = "all",
    seeds: options.RecordedSeeds = "all",
    preset: options.Preset = "default",
    formats: Annotated[
        str, typer.Option("--format", help="Comma-separated: md, tex, csv; of figures png, svg, pdf.")
    ] = "md",
    source: options.Numbers = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write to; goes with --from.")] = None,
    compared: Annotated[
        tuple[Path, Path] | None,
        typer.Option("--compare", metavar="A B", help="Two results folders: what moved by more than chance."),
    ] = None,
    blind: Annotated[
        int | None,
        typer.Option(min=1, metavar="COUNT", help="So many unnamed answers for a person to judge."),
    ] = None,
    opened: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    results: options.Results = RESULTS,
    quiet: options.Quiet = False,
) -> int:
    """Publish records that are on disk, or what can be told from a metrics.csv alone."""
    asked = formats_of(formats)
    if (source is None) != (out is None):
        raise UserError("--from and --out go together: a metrics.csv, and the folder for what is made of it")
    if sum(option is not None for option in (source, compared, blind)) > 1:
        raise UserError("--from, --compare and --blind each make something else; ask for one at a time")
    if source is not None and out is not None:
        if source.resolve() == (out / "metrics.csv").resolve():
            raise UserError(f"{source} would be written over; name another folder by --out")
        check_writable(out, option="--out")
        _from_numbers(source, out, asked, methods, tasks, seeds)
        typer.echo(str(out) if quiet else f"written to {out}")
        return 0
    page: Path | None
    if compared is not None:
        page = _compared(compared, results, lambda folder: read_records(folder, preset, methods, tasks, seeds))
    else:
        records = read_records(results, preset, methods, tasks, seeds)
        check_writable(results / TABLES, *([results / FIGURES] if {*asked} & {*DRAWN} else []))
        page = _sheet(records, results, blind) if blind else publish(records, results, asked, quiet=quiet)
    if opened and page is not None:
        webbrowser.open(page.resolve().as_uri())
    return 0


def _compared(folders: tuple[Path, Path], results: Path, read: Callable[[Path], list[Record]]) -> Path:
    """The page of two results folders, in `results`."""
    check_writable(results)
    first, second = (Side(folder, read(folder)) for folder in folders)
    page, found = write_compared(first, second, results)
    lonely = [f"not compared, {text}" for text in left_out(first, second)]
    typer.echo("\n".join([said(found), *lonely, str(page)]))
    return page


def _sheet(records: list[Record], results: Path, count: int) -> Path:
    """The blind sheet of records, in their results folder."""
    page = write_sheet(records, results / "runs", results, count)
    typer.echo(f"put the file that it saves into {results}; benchmark report then tells what came of it")
    typer.echo(str(page))
    return page


def _from_numbers(source: Path, out: Path, formats: list[str], methods: str, tasks: str, seeds: str) -> None:
    """All that needs no record: metrics.csv of what was asked for, its tables, and curves where a format is theirs."""
    found = results_of(source, out, "default", methods, tasks, seeds)
    for task in found.tasks:
        if not has_flip_rates(found.on(task)):
            raise UserError(
                f"{source} has no flip rates of {task}: name a whole metrics.csv, as benchmark run writes it"
            )
    write_tables(found, out, formats=formats)
    curves = {f"flip-rate-{file_name(task)}": partial(flip_rates, found.on(task)) for task in found.tasks}
    write_drawings(curves, out / FIGURES, formats)
