"""`benchmark classifier check`."""

from typing import Annotated, Literal

import typer
from tabulate import tabulate

from benchmark.api import examined
from benchmark.arguments import protocol_of
from benchmark.cli import options
from benchmark.cli.own import classifier_of
from benchmark.names import RESULTS
from benchmark.plugins import load


def command(
    action: Annotated[Literal["check"], typer.Argument(metavar="check", help="What to do with it.")],  # noqa: ARG001 - the one there is
    source: Annotated[str, typer.Argument(metavar="SPEC", help="As for --classifier of run.")],
    task: options.OwnTask = None,
    weights: options.ClassifierWeights = None,
    wanted: options.ClassifierInput = None,
    output: options.ClassifierOutput = None,
    columns: options.OutputColumns = None,
    classes: options.Classes = None,
    features: options.Features = None,
    trust_code: options.TrustCode = False,
    data_root: options.DataRoot = None,
    data: options.Data = None,
    image_size: options.ImageSize = None,
    resize: options.Resize = "crop",
    channels: options.Channels = None,
    skip_broken: options.SkipBroken = False,
    preset: options.Preset = "default",
    plugins: options.Plugins = None,
) -> int:
    """Look a classifier of your own over, on validation pictures; exit code 1 if something needs mending."""
    load(plugins)
    spec = classifier_of(source, weights, wanted, output, columns, classes, features, trust_code=trust_code)
    protocol = protocol_of(
        RESULTS,
        preset,
        classifier=spec,
        data_root=data_root,
        data=data,
        image_size=image_size,
        resize=resize,
        channels=channels,
        skip_broken=skip_broken,
    )
    found = examined(task, protocol)
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
