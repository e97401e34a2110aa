"""Counterfactuals from another program: read, judged and scored by the metrics of a run."""

import csv
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmark.data import ImageData, Subset
from benchmark.errors import UserError, unknown
from benchmark.jobs.evidence import Answers
from benchmark.jobs.handed import Images, bare, read_images, relaxation_places
from benchmark.jobs.kept import keep
from benchmark.jobs.measure import measure
from benchmark.jobs.progress import Board
from benchmark.jobs.protocol import Job, Protocol, images_of
from benchmark.jobs.record import accuracies
from benchmark.jobs.runner import limited
from benchmark.jobs.score import networks, reals_of
from benchmark.jobs.work import Work
from benchmark.records.record import Record, environment
from benchmark.records.store import key_of


@dataclass(frozen=True)
class Files:
    """Paths to the results of another program."""

    queries: Path
    counterfactuals: Path
    targets: Path | None = None
    reconstructions: Path | None = None


@dataclass(frozen=True)
class Given:
    """A user's images (uint8) and targets, matched by name, in the order of the queries."""

    queries: Tensor
    """(N, C, H, W)."""
    counterfactuals: Tensor
    """(R, N, C, H, W)."""
    relaxations: tuple[float, ...]
    targets: Mapping[str, int] | None
    """Name -> class; None for a task of two classes, where the target is the other class."""
    names: tuple[str, ...]
    reconstructions: Tensor | None = None
    """(N, C, H, W)."""
    remarks: tuple[str, ...] = ()


def score_files(files: Files, job: Job, protocol: Protocol, board: Board, kept: Path | None = None) -> Record:
    """Read `files` and score them under the name of the job's method; `kept` is where their pictures are kept, if any.

    Mistakes are reported before any training.

    Raises
    ------
    UserError
        As `read`, and if the task cannot be loaded.
    """
    data = images_of(job.task, protocol, board.channel(job.task))
    given = read(files, data)
    work = Work(job, protocol, board.channel(str(job)))
    work.check_extractors()
    with limited(protocol.threads):
        return score_given(given, work, kept)


def read(files: Files, data: ImageData) -> Given:
    """Read a user's files for the task of `data`.

    Raises
    ------
    UserError
        For a file that cannot be read, an image of another size or number of channels, a name without a partner, a
        folder without images, and targets that are missing or unknown.
    """
    queries, counterfactuals, reconstructions = files.queries, files.counterfactuals, files.reconstructions
    asked = read_images(queries, data.shape)
    names = tuple(asked)
    places = relaxation_places(counterfactuals)
    answered = {r: read_images(place, data.shape) for r, place in sorted(places.items(), key=lambda item: item[0] or 0)}
    rebuilt = None if reconstructions is None else read_images(reconstructions, data.shape)
    for r, images in answered.items():
        _check_partners(names, images, queries, places[r])
    if rebuilt is not None and reconstructions is not None:
        _check_partners(names, rebuilt, queries, reconstructions)
    return Given(
        queries=_stack(asked, names),
        counterfactuals=torch.stack([_stack(images, names) for images in answered.values()]),
        relaxations=tuple(r or 0.0 for r in answered),
        targets=targets_of(files.targets, names, data),
        names=names,
        reconstructions=None if rebuilt is None else _stack(rebuilt, names),
        remarks=("answers without a relaxation count as r = 0",) if None in places else (),
    )


def _check_partners(names: Collection[str], images: Images, queries: Path, others: Path) -> None:
    """Check that queries and other images have the same names."""
    known = set(names)
    lonely = [(name, queries, others) for name in names if name not in images]
    lonely += [(name, others, queries) for name in images if name not in known]
    if lonely:
        name, has, lacks = lonely[0]
        more = f" ({len(lonely)} such names)" if len(lonely) > 1 else ""
        raise UserError(f"'{name}' is in {has}, but not in {lacks}{more}; images are matched by name")


def _stack(images: Images, names: Iterable[str]) -> Tensor:
    return torch.from_numpy(np.stack([images[name] for name in names]))


# -- targets -----------------------------------------------------------------------------------------------------------


def targets_of(path: Path | None, names: tuple[str, ...], data: ImageData) -> Mapping[str, int] | None:
    """Name -> target class; None if the task has two classes and no file is given."""
    how = "--targets takes a csv file with the header name,target: an image's name, a class's name"
    if path is None:
        if len(data.class_names) > 2:
            raise UserError(f"{data.name} has {len(data.class_names)} classes: say which one is the target; {how}")
        return None
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.DictReader(file, strict=True, skipinitialspace=True)
            lines.fieldnames = [column.strip() for column in lines.fieldnames or ()]
            rows = list(lines)
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"cannot read {path}: {error}; {how}") from error
    found: dict[str, str] = {}
    for row in rows:
        name, target = ((row.get(column) or "").strip() for column in ("name", "target"))
        if found.setdefault(bare(name), target) != target:
            raise UserError(f"{path} has two targets for '{name}'; {how}")
    for name in names:
        if name not in found:
            raise UserError(f"{path} has no target for '{name}'; {how}")
    return {name: _class(found[name], data) for name in names}


def _class(name: str, data: ImageData) -> int:
    """The number of a class, by its name; a table program may have written 2 as 2.0."""
    whole = name.removesuffix(".0")
    for known in (name, whole):
        if known in data.class_names:
            return data.class_names.index(known)
    raise unknown(f"class of {data.name}", name, data.class_names)


# -- numbers -----------------------------------------------------------------------------------------------------------


def score_given(given: Given, work: Work, kept: Path | None = None) -> Record:
    """The record of a user's counterfactuals, scored with the judges of `work` under its method's name.

    Their pictures are kept in the folder `kept`, if there is one, for who looks at the record.
    """
    stated = {role: judge.made()[1] for role, judge in work.judges.items()}
    seeing, data = networks(work), work.question.data
    predicted = seeing.apply(seeing.classifier, given.queries).argmax(1)
    wanted = None if given.targets is None else torch.tensor([given.targets[name] for name in given.names])
    targets = 1 - predicted if wanted is None else wanted
    answers = Answers(
        queries=given.queries,
        targets=targets,
        images=given.counterfactuals,
        reconstructions=given.reconstructions,
        relaxations=given.relaxations,
        diagnostics={},
        probed=work.settings.probes,
    )
    rows, outcomes = measure(answers, reals_of(work.question, _real(given.queries, work.question.asked)), seeing)
    pictures = {"queries": given.queries, "targets": targets, "predicted": predicted, "images": given.counterfactuals}
    artefacts = {}
    if kept is not None:
        key = key_of(pictures=given.counterfactuals.numpy().tobytes().hex(), queries=given.names, name=work.job.method)
        artefacts = keep(kept, key, pictures, {**outcomes, "asked": torch.arange(len(targets))}, rows)
    already = int((predicted == targets).sum())
    remarks = [*given.remarks, "made by another program, for its own queries instead of the task's"]
    if already:
        remarks.append(f"{already} of {len(targets)} queries have their target class before any change")
    return Record(
        task=work.job.task,
        method=work.job.method,
        seed=work.job.seed,
        preset=work.protocol.preset,
        split="given",
        reference=False,
        status="ok",
        relaxations=list(given.relaxations),
        data={
            "digest": data.digest,
            "shape": list(data.shape),
            "classes": list(data.class_names),
            "queries": len(targets),
            **({"remarks": list(data.remarks)} if data.remarks else {}),
        },
        classifier=stated["classifier"],
        oracle=stated["oracle"],
        rows=[*accuracies(stated), *rows],
        remarks=remarks,
        artefacts=artefacts,
        environment=environment(),
    )


def _real(queries: Tensor, split: Subset) -> Subset:
    """Real images to compare with: the last ones of the test split.

    Images that are among the first M queries are skipped, because they are compared with these.
    """
    count = min(len(queries), len(split) // 2)
    seen = {image.numpy().tobytes() for image in queries[:count]}
    others = [index for index in split.indices if split.data.images[index].tobytes() not in seen]
    return Subset(split.data, np.array(others[len(others) - min(count, len(others)) :], dtype=np.int64))
