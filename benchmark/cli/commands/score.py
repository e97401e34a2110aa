"""`benchmark score`."""

from pathlib import Path
from typing import Annotated, cast

import typer

from benchmark.arguments import protocol_of
from benchmark.cli import options
from benchmark.cli.groups import NO_PICTURES, NOTHING_SAID, ClassifierOptions, PictureOptions, spread
from benchmark.cli.publishing import fill_report, on_disk, write_report
from benchmark.errors import UserError
from benchmark.jobs.outside import Files
from benchmark.names import RESULTS, Preset
from benchmark.plugins import load
from benchmark.records.record import Record
from benchmark.records.store import check_writable
from benchmark.report.tables import tables, write_tables
from benchmark.with_records import score_export, score_record

WHAT = "score takes DIR and ANSWERS, or --queries, --counterfactuals and --task"


@spread
def command(
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR", help="Folder that benchmark export wrote.")] = None,
    answers: Annotated[
        Path | None, typer.Argument(metavar="ANSWERS]", help="Its answers: pictures by the names of their queries.")
    ] = None,
    queries: Annotated[
        Path | None, typer.Option(help="Queries of your own: a folder of pictures, or an npy or npz file.")
    ] = None,
    counterfactuals: Annotated[
        Path | None, typer.Option(help="The same, by the same names; or subfolders r=0.2 and so on.")
    ] = None,
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
    seed: Annotated[
        str | None, typer.Option(help="Seed of the classifier, the oracle and the splits. [default: 0, or of DIR]")
    ] = None,
    preset: options.Preset = "default",
    data_root: options.DataRoot = None,
    classifier: options.Classifier = None,
    said: ClassifierOptions = NOTHING_SAID,
    pictures: PictureOptions = NO_PICTURES,
    fid: options.Fid = "oracle",
    inception_weights: options.InceptionWeights = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write the tables to. [default: print them; of DIR: in --results]")
    ] = None,
    results: options.Results = RESULTS,
    plugins: options.Plugins = None,
) -> int:
    """Score files and print the tables; answers to an exported folder are kept beside the methods of a run.

    They end with the page of that run; of other files a page is written where a folder is named.
    """
    load(plugins)
    check_writable(*([out] if out else []), option="--out")
    protocol = protocol_of(
        results,
        preset,
        data_root=data_root,
        fid=fid,
        inception_weights=inception_weights,
        classifier=said.of(classifier),
        **pictures.given(),
    )
    if folder is not None:
        if answers is None or queries or counterfactuals or task or targets or reconstructions:
            raise UserError(WHAT)
        if seed is not None:
            raise UserError(f"{folder} says with which seed it was exported: leave --seed out")
        record, files = score_export(folder, answers, name, protocol, out)
        _show(record, out)
        typer.echo("\n".join(map(str, [*files, _page(record, out, results)])))
        return 0
    if queries is None or counterfactuals is None:
        raise UserError(WHAT)
    given = Files(queries, counterfactuals, targets, reconstructions)
    record = score_record(given, task, name, seed or "0", protocol, None if out is None else out / "runs")
    _show(record, out)
    if out is not None:  # alone, for a run was asked about other pictures
        typer.echo(str(fill_report(out, [record], out, record.preset)))
    return 0


def _show(record: Record, out: Path | None) -> None:
    """Print the tables of a record; if a folder is named, write them."""
    for table in write_tables([record], out) if out else tables([record]):
        typer.echo(table.markdown())


def _page(record: Record, out: Path | None, results: Path) -> Path:
    """The page of all that is on disk, the record among it: in the folder that is named, or where results are."""
    preset = cast(Preset, record.preset)
    records = on_disk(results, preset)
    return fill_report(results, records, out, preset) if out else write_report(results, records, preset)
