"""`benchmark demo`."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from benchmark.arguments import entries_of
from benchmark.demo.picture import Demo
from benchmark.demo.weights import SHIPPED, read
from benchmark.errors import UserError
from benchmark.names import RESULTS
from benchmark.records.store import check_file
from benchmark.report.drawing import styled
from benchmark.report.sized import write_figure


def command(
    digits: Annotated[str, typer.Option(help="Digits, comma-separated: for each one a test image.")] = "3,8,0,9",
    target: Annotated[str, typer.Option(help="The digit that they are to become.")] = "5",
    index: Annotated[
        str | None, typer.Option(help="Test images by number, comma-separated. [default: as --digits say]")
    ] = None,
    out: Annotated[Path, typer.Option(help="File to write to.")] = RESULTS / "demo.png",
    opened: Annotated[bool, typer.Option("--open/--no-open", help="Whether the picture is opened.")] = True,
) -> int:
    """Draw digits and their counterfactuals by networks that come with the package; nothing is trained."""
    check_file(out)
    demo = Demo.of(read(SHIPPED))
    if index is None:
        places = demo.places(entries_of(digits, "digits"))
    else:
        entries = entries_of(index, "index")
        if not all(entry.isdecimal() for entry in entries):
            raise UserError(f"--index takes whole numbers from 0, as in 0,17, not '{index}'")
        places = [int(entry) for entry in entries]
    out.parent.mkdir(parents=True, exist_ok=True)
    with styled():
        write_figure(demo.drawn(places, target), out, "png", None)
    typer.echo(str(out))
    if opened:
        webbrowser.open(out.resolve().as_uri())
    return 0
