"""`benchmark export`."""

from pathlib import Path
from typing import Annotated

import typer

from benchmark.arguments import protocol_of
from benchmark.cli import options
from benchmark.cli.groups import NO_PICTURES, NOTHING_SAID, ClassifierOptions, PictureOptions, spread
from benchmark.names import RESULTS
from benchmark.plugins import load
from benchmark.with_records import export_task


@spread
def command(
    task: options.OwnTask = None,
    out: Annotated[Path, typer.Option(help="Folder to write to; it has to be empty.")] = Path("questions"),
    seed: Annotated[str, typer.Option(help="Seed of the classifier, the queries and their targets.")] = "0",
    methods: Annotated[
        str | None, typer.Option("--methods", "--method", help="Whose recorded answers are written, too.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Queries, at most.")] = None,
    preset: options.Preset = "default",
    data_root: options.DataRoot = None,
    classifier: options.Classifier = None,
    said: ClassifierOptions = NOTHING_SAID,
    pictures: PictureOptions = NO_PICTURES,
    results: options.Results = RESULTS,
    plugins: options.Plugins = None,
) -> int:
    """Write the queries, targets and classifier of a task, for a program of yours to answer."""
    load(plugins)
    protocol = protocol_of(
        results, preset, limit=limit, data_root=data_root, classifier=said.of(classifier), **pictures.given()
    )
    export_task(out, task, seed, methods, protocol)
    typer.echo(str(out / "README.md"))
    return 0
