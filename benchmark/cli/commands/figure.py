"""`benchmark figure`."""

from pathlib import Path
from typing import Annotated, Literal, get_args

import typer
from matplotlib.figure import Figure

from benchmark.arguments import entries_of, one_of
from benchmark.cli import options
from benchmark.cli.source import results_of
from benchmark.data.tasks import file_name
from benchmark.errors import UserError, unknown
from benchmark.names import RESULTS
from benchmark.records.store import check_file
from benchmark.report.answers import answers_of, lowest_seed
from benchmark.report.cells import Results
from benchmark.report.curves import flip_rates
from benchmark.report.drawing import styled
from benchmark.report.figures import drawings
from benchmark.report.gallery import all_methods
from benchmark.report.sized import inches_of, write_figure

Form = Literal["pdf", "svg", "png"]
CURVES, COMPARED = "flip-rate", "all-methods"
NAMES = f"{CURVES}: against r; {COMPARED}: on the same queries; of one method: counterfactuals, paths, or its own."


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help=NAMES)],
    out: Annotated[Path, typer.Option(help="File to write to.")],
    task: options.Task = "mnist",
    form: Annotated[
        Form | None,
        typer.Option("--format", help="How it is written. [default: as --out ends, or pdf]"),
    ] = None,
    width: Annotated[
        str | None, typer.Option(help="As in 3.3in, 84mm, 8.4cm or 240pt. [default: as large as on a page]")
    ] = None,
    methods: options.Methods = "all",
    seeds: options.RecordedSeeds = "all",
    source: options.Numbers = None,
    preset: options.Preset = "default",
    results: options.Results = RESULTS,
) -> int:
    """Draw a figure."""
    inches = None if width is None else inches_of(width)
    if name != CURVES and (source is not None or inches is not None):
        raise UserError(f"--from and --width are for '{CURVES}'; {name} needs the pictures of a run")
    task = one_of(entries_of(task, "task"), "task")
    if source is not None and source.resolve() == out.resolve():
        raise UserError(f"{source} would be written over; name another file by --out")
    written = _form_of(out, form)
    found = results_of(source, results, preset, methods, task, seeds)
    check_file(out)
    with styled():
        figure = flip_rates(found) if name == CURVES else _pictures(name, found, results / "runs")
        write_figure(figure, out, written, inches)
    typer.echo(str(out))
    return 0


def _form_of(out: Path, form: Form | None) -> str:
    """The format that is asked for, or else the file's name says; pdf where nothing does.

    Raises
    ------
    UserError
        If the name says none that there is, or another than is asked for.
    """
    ending = out.suffix[1:].lower()
    if form is not None:
        if ending in get_args(Form) and ending != form:
            raise UserError(f"--out ends in .{ending}, and --format says {form}: leave --format out, or end in .{form}")
        return form
    if ending and ending not in get_args(Form):
        raise UserError(
            f"--out ends in .{ending}, and figures are {', '.join(get_args(Form))}: end so, or say --format"
        )
    return ending or "pdf"


def _pictures(name: str, found: Results, runs: Path) -> Figure:
    figure = all_methods(lowest_seed(found, runs)) if name == COMPARED else _of_method(name, found, runs)
    if figure is None:
        raise UserError("the pictures of these records are not on disk any more; benchmark run makes them again")
    return figure


def _of_method(name: str, found: Results, runs: Path) -> Figure | None:
    """A figure of one method, of the lowest seed; None where its pictures are gone."""
    methods = list(dict.fromkeys(record.method for record in found))
    if len(methods) > 1:
        raise UserError(f"{name} is no figure of several methods ({CURVES}, {COMPARED}); name one by --methods")
    record = min(found, key=lambda one: one.seed)
    end = f"-{file_name(record.task)}-{record.method}"
    drawn = {full.removesuffix(end): draw for full, draw in drawings(record, runs).items()}
    if name not in drawn and answers_of(record, runs) is None:
        return None
    if name not in drawn:
        raise unknown(f"figure of {record.method}", name, [CURVES, COMPARED, *drawn])
    return drawn[name]()
