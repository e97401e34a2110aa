"""`benchmark classifier check`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer
from tabulate import tabulate

from benchmark.arguments import protocol_of
from benchmark.cli import options
from benchmark.cli.groups import NO_PICTURES, NOTHING_SAID, ClassifierOptions, PictureOptions, spread
from benchmark.names import RESULTS
from benchmark.plugins import load
from benchmark.with_records import examined


@spread
def command(
    action: Annotated[Literal["check"], typer.Argument(metavar="check", help="What to do with it.")],  # noqa: ARG001 - the one there is
    source: Annotated[str, typer.Argument(metavar="SPEC", help="As for --classifier of run.")],
    task: options.OwnTask = None,
    said: ClassifierOptions = NOTHING_SAID,
    data_root: options.DataRoot = None,
    pictures: PictureOptions = NO_PICTURES,
    preset: options.Preset = "default",
    reference: Annotated[
        Path | None,
        typer.Option(help="csv of your own outputs: a picture's file, then one column per output; ten pictures do."),
    ] = None,
    plugins: options.Plugins = None,
) -> int:
    """Look a classifier of your own over, on validation pictures; exit code 1 if something needs mending."""
    load(plugins)
    protocol = protocol_of(RESULTS, preset, classifier=said.of(source), data_root=data_root, **pictures.given())
    found = examined(task, replace(protocol, writes=False), reference)
    rows = [("ok" if fine else "LOOK", what, words) for what, fine, words in found.findings]
    typer.echo(tabulate(rows, tablefmt="plain"))
    typer.echo("\nfed otherwise, from the most likely:\n")
    table = [
        (
            one.name,
            f"{float(one.losses.mean()):.3f}",
            f"{100 * float(one.right.double().mean()):.1f}",
            f"{100 * float(one.sure.double().mean()):.0f}",
            one.wanted.text(),
        )
        for one in found.fed
    ]
    typer.echo(tabulate(table, ("preprocessing", "NLL", "accuracy %", "p ≥ .9 %", "--input"), disable_numparse=True))
    return 0 if found.fine else 1
