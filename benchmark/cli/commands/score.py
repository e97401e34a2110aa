"""`benchmark score`."""

from pathlib import Path
from typing import Annotated

import typer

from benchmark.api import score_export, score_record
from benchmark.arguments import protocol_of
from benchmark.cli import options
from benchmark.errors import UserError
from benchmark.jobs.outside import Files
from benchmark.names import RESULTS
from benchmark.records.record import Record
from benchmark.records.store import check_writable
from benchmark.report.tables import tables, write_tables


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
        str | None, typer.Option(help="The task whose classifier and oracle judge, as in mnist or mnist/3-8.")
    ] = None,
    targets: Annotated[
        Path | None, typer.Option(help="csv with the header name,target. [default, with two classes: the other one]")
    ] = None,
    reconstructions: Annotated[Path | None, typer.Option(help='Answers to "change nothing", as the queries.')] = None,
    name: Annotated[str, typer.Option(help="Name of the method in the tables.")] = "outside",
    seed: Annotated[str, typer.Option(help="Seed of the classifier, the oracle and the splits.")] = "0",
    preset: options.Preset = "default",
    data_root: options.DataRoot = None,
    fid: options.Fid = "oracle",
    inception_weights: options.InceptionWeights = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write the tables to. [default: print them; of DIR: in --results]")
    ] = None,
    results: options.Results = RESULTS,
) -> int:
    """Score files and print the tables; answers to an exported folder are kept beside the methods of a run."""
    check_writable(*([out] if out else []), option="--out")
    protocol = protocol_of(results, preset, data_root=data_root, fid=fid, inception_weights=inception_weights)
    if folder is not None:
        if answers is None or queries or counterfactuals or task:
            raise UserError("score takes DIR and ANSWERS, or --queries, --counterfactuals and --task")
        record, files = score_export(folder, answers, name, protocol, out)
        _show(record, out)
        typer.echo("\n".join(map(str, files)))
        return 0
    if queries is None or counterfactuals is None or task is None:
        raise UserError("score takes DIR and ANSWERS, or --queries, --counterfactuals and --task")
    _show(score_record(Files(queries, counterfactuals, targets, reconstructions), task, name, seed, protocol), out)
    return 0


def _show(record: Record, out: Path | None) -> None:
    """Print the tables of a record, and write them if a folder is named."""
    for table in write_tables([record], out) if out else tables([record]):
        typer.echo(table.markdown())
