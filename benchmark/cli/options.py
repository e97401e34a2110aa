"""Options that several commands share, and what a command says when something went wrong."""

from pathlib import Path
from typing import Annotated

import typer

from benchmark import names

Results = Annotated[Path, typer.Option(help="Folder of everything that is written.")]
Methods = Annotated[
    str,
    typer.Option("--methods", "--method", help="Comma-separated, or 'all': those that suit the task."),
]
Tasks = Annotated[
    str,
    typer.Option("--tasks", "--task", help="As in mnist,mnist/3-8,celeba/Male; 'all': the embedded ones."),
]
RecordedTasks = Annotated[
    str, typer.Option("--tasks", "--task", help="Comma-separated, or 'all': those with a record.")
]
Task = Annotated[str, typer.Option("--task", "--tasks", help="One, as in mnist, mnist/3-8 or celeba/Male.")]
Seeds = Annotated[str, typer.Option("--seeds", "--seed", help="Comma-separated numbers.")]
RecordedSeeds = Annotated[str, typer.Option("--seeds", "--seed", help="Comma-separated numbers, or 'all'.")]
Relaxations = Annotated[str, typer.Option("--relaxations", "--r", help="Comma-separated values of r in [0, 1].")]
Preset = Annotated[names.Preset, typer.Option(help="How large: `benchmark list` says what each is for.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="SECTION.FIELD=VALUE", help="Override one setting; repeatable.")
]
Split = Annotated[names.Split, typer.Option(help="Queries: validation to choose settings, test to report.")]
DataRoot = Annotated[Path | None, typer.Option(help="Folder of data sets that are not embedded.")]
Fid = Annotated[str, typer.Option(help="Extractors of Fréchet distances: oracle,inception.")]
InceptionWeights = Annotated[Path | None, typer.Option(help="File of pytorch-fid's weights, for --fid inception.")]
Jobs = Annotated[int | None, typer.Option(min=1, help="Jobs at once. [default: one a core; one on a GPU]")]
Accelerator = Annotated[names.Accelerator, typer.Option(help="Where to train and explain.")]
SomeRelaxations = Annotated[
    str | None, typer.Option("--r", "--relaxations", "--relaxation", help="Comma-separated. [default: the smallest]")
]
Relaxation = Annotated[
    str | None, typer.Option("--r", "--relaxation", help="Value of r. [default: the smallest there is]")
]
Numbers = Annotated[
    Path | None, typer.Option("--from", metavar="METRICS.CSV", help="Numbers. [default: the records in --results]")
]
Metrics = typer.Option("--metrics", "--metric", help="Comma-separated names, in this order.")
Plugins = Annotated[
    list[Path] | None,
    typer.Option("--plugin", metavar="FILE.PY", help="A file with METHODS, DATASETS or METRICS; repeatable."),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing but errors and the last path.")]
Debug = Annotated[bool, typer.Option(help="Stop at the first error, with its traceback.")]


class StoppedError(Exception):
    """Ctrl-C in a command that has something to say of it: its message is printed, exit code 130."""


def complain(message: str) -> None:
    """One line on the error stream."""
    typer.echo(f"error: {' '.join(message.split())}", err=True)
