"""A task as files that any program can answer: queries, targets, the classifier; and recorded answers as files."""

import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from pydantic import BaseModel, ConfigDict
from safetensors.torch import save
from torch import Tensor

from benchmark.errors import UserError
from benchmark.jobs import exported_classifier
from benchmark.jobs.explain import Asked, explain
from benchmark.jobs.fit import fit
from benchmark.jobs.handed import read_images
from benchmark.jobs.per_picture import per_picture
from benchmark.jobs.runner import finished
from benchmark.jobs.work import Work
from benchmark.judges.classifier import ConvClassifier
from benchmark.judges.own import GivenClassifier
from benchmark.records.record import Record
from benchmark.records.store import find
from methods.files import write_whole

MANIFEST, TARGETS = "benchmark.json", "targets.csv"
README = """# {count} questions of the task {task}

`queries/` holds {count} pictures, and `targets.csv` (name,target) says which class each is to become. The classifier
that is to be convinced {classifier}

Write each answer under the name of its query, as PNG of {width} x {height} pixels, into a folder ANSWERS; or into its
subfolders r=0, r=0.5 and so on, if your program can be told how much of the query to keep. Queries that have no answer
count as failures. Then

    benchmark score {folder} ANSWERS --name mine{again}

gives the numbers of a run, and keeps a record: `benchmark report` then shows your answers beside the methods of the
benchmark, and `benchmark compare mine vaex` says by how much they differ, and whether by more than chance.
"""
TRAINED = """is `classifier.safetensors`; `classifier.py` builds it, with torch and safetensors alone:

    import classifier
    network = classifier.build()
    logits = network(pictures)  # (N, {channels}, {height}, {width}), float in [0, 1] -> (N, {classes})

{onnx}"""
OWN = """is yours, `{name}`. Its outputs ({output}) are taken for the classes {classes}, and it is fed
pictures of {channels} channel(s) and {width} x {height} pixels as `{fed}` says."""
ONNX = "`classifier.onnx` is the same network: input `images`, output `logits`."
NO_ONNX = "(For ONNX, install the benchmark with the extra `[onnx]` and export again.)"


class Manifest(BaseModel):
    """Which task, seed and judges an exported folder is about."""

    model_config = ConfigDict(extra="forbid")

    task: str
    seed: int
    preset: str
    limit: int | None
    queries: int
    classifier: str
    """The digest of its weights."""

    @classmethod
    def of(cls, work: Work) -> "Manifest":
        """What an export of `work` is about."""
        return cls(
            task=work.job.task,
            seed=work.job.seed,
            preset=work.protocol.preset,
            limit=work.protocol.limit,
            queries=len(work.question.queries),
            classifier=work.classifier.made()[1].digest,
        )

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """What the exported `folder` is about.

        Raises
        ------
        UserError
            If it is none.
        """
        try:
            return cls.model_validate_json((folder / MANIFEST).read_bytes())
        except (OSError, ValueError) as error:
            raise UserError(
                f"{folder} was not written by benchmark export: {MANIFEST} is not there or broken"
            ) from error


def names_of(count: int) -> list[str]:
    """What `count` queries are called: 0000, 0001, ..."""
    return [f"{place:04d}" for place in range(count)]


def export(work: Work, folder: Path) -> None:
    """Write the questions of `work` and its classifier to `folder`.

    Raises
    ------
    UserError
        If something lies in the folder.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is not empty; export to a folder of its own")
    asked = Asked.of(work)
    write_pictures(asked.queries, names_of(len(asked.queries)), folder / "queries")
    write_whole(folder / TARGETS, _targets(asked, work).to_csv(index=False).encode())
    write_whole(folder / "README.md", _readme(work, folder).encode())
    write_whole(folder / MANIFEST, Manifest.of(work).model_dump_json(indent=1).encode())


def _targets(asked: Asked, work: Work) -> pd.DataFrame:
    """The name and the target's class of each query."""
    classes = work.question.data.class_names
    targets = [classes[target] for target in asked.targets.tolist()]
    return pd.DataFrame({"name": names_of(len(targets)), "target": targets})


def check_asked(asked: Asked, work: Work, folder: Path) -> None:
    """Check that the exported `folder` still asks what is `asked`.

    Raises
    ------
    UserError
        If its targets or its queries are gone, or others than were exported.
    """
    again = "which answers cannot be scored by: leave it as benchmark export wrote it, or export again"
    try:
        targets = pd.read_csv(folder / TARGETS, dtype=str, keep_default_na=False, skipinitialspace=True)
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / TARGETS} is gone or broken, {again}") from error
    if not targets.equals(_targets(asked, work)):
        raise UserError(f"{folder / TARGETS} names other targets than were exported, {again}")
    there = read_images(folder / "queries", work.question.data.shape)
    for name, query in zip(names_of(len(asked.queries)), asked.queries.numpy(), strict=True):
        if name not in there or not np.array_equal(there[name], query):
            raise UserError(f"{folder / 'queries' / name}.png is gone or another than was exported, {again}")


def _readme(work: Work, folder: Path) -> str:
    """What to do with `folder`; a classifier that was trained here is written beside it."""
    (channels, height, width), names = work.question.data.shape, work.question.data.class_names
    sizes = {"channels": channels, "height": height, "width": width}
    if isinstance(work.classifier, GivenClassifier):
        spec = work.classifier.spec
        said = {"name": spec.name, "output": spec.output, "fed": spec.input.text() or "range=0..1"}
        classifier = OWN.format(classes=", ".join(names), **said, **sizes)
    else:
        onnx = ONNX if _write_classifier(work, folder) else NO_ONNX
        classifier = TRAINED.format(classes=len(names), onnx=onnx, **sizes)
    own = {"--data": work.protocol.folder, "--classifier": work.protocol.classifier}
    again = "".join(f" {option} ..." for option, said in own.items() if said is not None)
    words = {"task": work.job.task, "count": len(work.question.queries), "folder": folder.name, "again": again}
    return README.format(classifier=classifier, **words, **sizes)


def write_pictures(images: Tensor, names: Sequence[str], folder: Path) -> None:
    """Write images (N, C, H, W) uint8 as PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, image in zip(names, images.permute(0, 2, 3, 1).numpy(), strict=True):
        Image.fromarray(np.squeeze(image, 2) if image.shape[2] == 1 else image).save(folder / f"{name}.png")


def recorded(work: Work) -> Record:
    """The record of a finished job.

    Raises
    ------
    UserError
        If the job was not run, or otherwise than `work` says.
    """
    record = finished(work.job, work.protocol)
    if record is None:
        raise UserError(f"{work.job} has no record that holds: benchmark run --methods {work.job.method} makes it")
    return record


def write_answers(work: Work, record: Record, folder: Path) -> None:
    """Write the answers of a finished job, a PNG file each in a subfolder a relaxation, and beside it their csv."""
    parts = [chunk.tensors() for chunk in explain(work, fit(work))]
    names, images = names_of(len(work.question.queries)), torch.cat([part["images"] for part in parts], 1)
    for r, answered in zip(record.relaxations, images, strict=True):
        write_pictures(answered, names, folder / work.job.method / f"r={r:g}")
    targets = torch.cat([part["targets"] for part in parts])
    outcomes, _ = find(work.protocol.runs, record.artefacts["score"])
    table = per_picture(names, targets, record.relaxations, outcomes, work.question.data.class_names)
    write_whole(folder / f"{work.job.method}.csv", table.to_csv(index=False).encode())


# -- the classifier ----------------------------------------------------------------------------------------------------


def _write_classifier(work: Work, folder: Path) -> bool:
    """Write the classifier as safetensors with the code that builds it, and as ONNX; whether the latter could be."""
    network, data = work.classifier.network().cpu(), work.question.data
    assert isinstance(network, ConvClassifier)  # noqa: S101 - it was trained here
    kept = ("channels", "kernel_size", "pooling", "features", "dropout")
    settings: dict[str, Any] = {name: getattr(network.config, name) for name in kept}
    settings |= {"shape": data.shape, "classes": data.class_names}
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    write_whole(folder / "classifier.safetensors", save(state, {"settings": json.dumps(settings)}))
    code = Path(exported_classifier.__file__).read_bytes()
    write_whole(folder / "classifier.py", code)
    if find_spec("onnx") is None or find_spec("onnxscript") is None:
        return False
    example = (torch.zeros(2, *data.shape),)
    own = exported_classifier.build(folder / "classifier.safetensors")
    program = torch.onnx.export(
        own,
        example,
        input_names=["images"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        dynamo=True,
        verbose=False,
    )
    assert program is not None  # noqa: S101 - what dynamo=True returns
    program.save(str(folder / "classifier.onnx"))
    return True
