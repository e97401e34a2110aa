"""Options that several commands share, and what a command says when something went wrong."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from benchmark import names
from benchmark.errors import readable

Results = Annotated[Path, typer.Option(help="Folder of everything that is written.")]
Methods = Annotated[
    str,
    typer.Option(
        "--methods",
        "--method",
        help="Comma-separated; or, of those that suit the task, 'all', or 'families': one of each, and references.",
    ),
]
Tasks = Annotated[
    str | None,
    typer.Option(
        "--tasks",
        "--task",
        help="As in mnist,mnist/3-8,celeba/Male; 'all': the embedded ones. [default: mnist; with --data, its folder]",
    ),
]
RecordedTasks = Annotated[
    str, typer.Option("--tasks", "--task", help="Comma-separated, or 'all': those with a record.")
]
Task = Annotated[str, typer.Option("--task", "--tasks", help="One, as in mnist, mnist/3-8 or celeba/Male.")]
OwnTask = Annotated[str | None, typer.Option("--task", "--tasks", help="One. [default: that of --data, or mnist]")]
Seeds = Annotated[str, typer.Option("--seeds", "--seed", help="Comma-separated numbers.")]
RecordedSeeds = Annotated[str, typer.Option("--seeds", "--seed", help="Comma-separated numbers, or 'all'.")]
Relaxations = Annotated[str, typer.Option("--relaxations", "--r", help="Comma-separated values of r in [0, 1].")]
Preset = Annotated[names.Preset, typer.Option(help="How large: `benchmark list` says what each is for.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="SECTION.FIELD=VALUE", help="Override one setting; repeatable.")
]
Data = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of your pictures, a subfolder a class or labels.csv; its name is a task."),
]
ImageSize = Annotated[
    str | None,
    typer.Option(
        help="Of --data: pixels, as in 64 or 48x64 (width x height). [default: their own up to 128 if all have one; 64]"
    ),
]
Resize = Annotated[
    names.Resize,
    typer.Option(help="Of --data: crop keeps the middle, fit adds black margins, stretch changes the aspect."),
]
Channels = Annotated[
    int | None, typer.Option(help="Of --data: 1 (grey) or 3 (colour). [default: 1 if every picture is grey]")
]
SkipBroken = Annotated[
    bool, typer.Option("--skip-broken", help="Of --data: leave out what cannot be read, and say so.")
]
Query = Annotated[Path | None, typer.Option("--query", help="One picture of yours instead of the test pictures.")]
Target = Annotated[str | None, typer.Option("--target", help="The class that --query is to become.")]
Targets = Annotated[
    Path | None, typer.Option("--targets", help="csv with the header file,target: pictures of yours, and classes.")
]
Split = Annotated[names.Split, typer.Option(help="Queries: validation to choose settings, test to report.")]
DataRoot = Annotated[Path | None, typer.Option(help="Folder of data sets that are not embedded.")]
Fid = Annotated[str, typer.Option(help="Extractors of Fréchet distances: oracle,inception.")]
InceptionWeights = Annotated[Path | None, typer.Option(help="File of pytorch-fid's weights, for --fid inception.")]
Jobs = Annotated[int | None, typer.Option(min=1, help="Jobs at once. [default: one a core; one on a GPU]")]
Shard = Annotated[
    str | None,
    typer.Option(help="I/N: every N-th of the groups of jobs that share a fit, from the I-th; for job arrays."),
]
Backend = Annotated[names.Backend, typer.Option(help="Where jobs run: loky is this machine.")]
BackendOptions = Annotated[
    list[str] | None,
    typer.Option("--backend-option", metavar="NAME=VALUE", help="As in scheduler=tcp://host:8786 of dask; repeatable."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be made, and what it takes; make nothing.")]
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

Classifier = Annotated[
    str | None,
    typer.Option(
        "--classifier",
        metavar="SPEC",
        help="Your own: model.onnx, file.py:build, package.module:build.",
    ),
]
ClassifierWeights = Annotated[
    Path | None, typer.Option("--classifier-weights", help="safetensors, or a state dict of torch.")
]
ClassifierInput = Annotated[
    str | None, typer.Option("--input", help="What it wants: 'size=28 channels=1 range=0..1 mean=.13 std=.31'.")
]
ClassifierOutput = Annotated[
    Literal["logits", "probabilities", "one-logit"] | None, typer.Option("--output", help="What its outputs are.")
]
OutputColumns = Annotated[
    str | None, typer.Option("--output-columns", help="Which outputs the classes are, as in 248,269.")
]
Classes = Annotated[
    Path | None, typer.Option("--classes", help="File with the names of its classes, a line each, in its order.")
]
Features = Annotated[str | None, typer.Option("--features", help="The module whose output is φ.")]
TrustCode = Annotated[bool, typer.Option("--trust-code", help="Read files that execute code as they are read.")]


class StoppedError(Exception):
    """Ctrl-C in a command that has something to say of it: its message is printed, exit code 130."""


def complain(message: str) -> None:
    """One line on the error stream."""
    typer.echo(f"error: {readable(' '.join(message.split()))}", err=True)
