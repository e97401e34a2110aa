"""`benchmark score`."""

from pathlib import Path
from typing import Annotated

import typer

from benchmark.api import score_record
from benchmark.arguments import protocol_of
from benchmark.cli import options
from benchmark.cli.publishing import fill_report, on_disk
from benchmark.jobs.outside import Files
from benchmark.names import RESULTS
from benchmark.records.store import check_writable
from benchmark.report.tables import tables, write_tables


def command(
    queries: Annotated[Path, typer.Option(help="Folder of PNG files; or an npy or npz file.")],
    counterfactuals: Annotated[Path, typer.Option(help="The same, by the same names; or subfolders r=0.2 and so on.")],
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            "--tasks",
            help="Whose classifier and oracle judge, as in mnist or mnist/3-8. [default, with --data: its folder]",
        ),
    ] = None,
    targets: Annotated[
        Path | None, typer.Option(help="csv with the header name,target. [default, with two classes: the other one]")
    ] = None,
    reconstructions: Annotated[Path | None, typer.Option(help='Answers to "change nothing", as the queries.')] = None,
    name: Annotated[str, typer.Option(help="Name of the method in the tables.")] = "outside",
    seed: Annotated[str, typer.Option(help="Seed of the classifier, the oracle and the splits.")] = "0",
    preset: options.Preset = "default",
    data_root: options.DataRoot = None,
    data: options.Data = None,
    image_size: options.ImageSize = None,
    resize: options.Resize = "crop",
    channels: options.Channels = None,
    skip_broken: options.SkipBroken = False,
    fid: options.Fid = "oracle",
    inception_weights: options.InceptionWeights = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write the tables to. [default: only print]")] = None,
    results: options.Results = RESULTS,
) -> int:
    """Score files and print the tables; where a folder is named, write them, and a page beside what was run."""
    check_writable(*([out] if out else []), option="--out")
    protocol = protocol_of(
        results,
        preset,
        data_root=data_root,
        fid=fid,
        inception_weights=inception_weights,
        data=data,
        image_size=image_size,
        resize=resize,
        channels=channels,
        skip_broken=skip_broken,
    )
    record = score_record(Files(queries, counterfactuals, targets, reconstructions), task, name, seed, protocol)
    for table in write_tables([record], out) if out else tables([record]):
        typer.echo(table.markdown())
    if out:
        typer.echo(str(fill_report(results, [*on_disk(results, preset), record], out, preset)))
    return 0
