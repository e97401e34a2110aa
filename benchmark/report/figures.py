"""Records -> figures by name: all methods on the same queries, flip rates, a grid a method, its own pictures.

What is in a page has no file of its own: a figure is drawn where it is asked for.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from benchmark.records.record import Record
from benchmark.records.store import find
from benchmark.report.answers import Answers, answers_of, lowest_seed, subject
from benchmark.report.cells import Results
from benchmark.report.curves import bars, flip_rates, lines
from benchmark.report.drawing import FORMATS, save, styled
from benchmark.report.gallery import all_methods
from benchmark.report.grid import grid
from benchmark.report.layout import DRAWN
from methods.base import Study

VARIED = 4
"""Queries of a grid with a row a method."""
BELOW = "below each picture the class that the classifier sees, and its probability of the target"


Drawing = Callable[[], Figure | None]
"""Draws one figure; None where there turns out to be nothing to show."""


def write_figures(
    records: Sequence[Record], runs: Path, folder: Path, *, formats: Sequence[str] = FORMATS
) -> list[Path]:
    """All figures of the successful `records`; returns the files."""
    good, files = Results.of(records).good, []
    for task in good.tasks:
        files += write_drawings(_of_task(good.on(task), runs), folder, formats)
    return files


def write_drawings(drawings: Mapping[str, Drawing], folder: Path, formats: Sequence[str] = FORMATS) -> list[Path]:
    """Draw `drawings` to files by their names, and anew what is there in another format; returns the files."""
    files = []
    with styled():
        for name, draw in drawings.items():
            wanted = [suffix for suffix in DRAWN if suffix in formats or (folder / f"{name}.{suffix}").exists()]
            if wanted and (figure := draw()) is not None:
                files += save(figure, folder / name, wanted)
    return files


def _of_task(records: Results, runs: Path) -> dict[str, Drawing]:
    """Curves over all seeds; pictures of the lowest."""
    first = lowest_seed(records, runs)
    found: dict[str, Drawing] = {
        _stem("flip-rate", records[0].task): partial(flip_rates, records),
        _stem("all-methods", records[0].task): partial(all_methods, first),
    }
    lowest = min(record.seed for record in records)
    for record in records:
        if record.seed == lowest:
            found |= drawings(record, runs)
    return found


def drawings(record: Record, runs: Path, shown: Sequence[str] = ()) -> dict[str, Drawing]:
    """Name -> the drawing of each figure of a successful record, with what further artefacts in `shown` keep of it."""
    answers = answers_of(record, runs)
    found = {} if answers is None else _answers(record, answers)
    found |= _studies(record)
    for artefact in (record.artefacts.get("show", ""), *shown):
        found |= _illustrations(record, runs, artefact)
    return found


def _stem(*parts: str) -> str:
    """The name of a figure."""
    return "-".join(part.replace("/", "_") for part in parts)


def _answers(record: Record, answers: Answers) -> dict[str, Drawing]:
    """The answers as r falls, and the paths to them where the method keeps them."""
    found: dict[str, Drawing] = {
        _stem("counterfactuals", record.task, record.method): partial(_counterfactuals, record, answers)
    }
    if answers.paths is not None:
        found[_stem("paths", record.task, record.method)] = partial(_paths, record, answers, answers.paths)
    return found


def _counterfactuals(record: Record, answers: Answers) -> Figure:
    title = f"{subject(record)}: the first {len(answers.queries)} queries, not chosen ones\n{BELOW}"
    return grid(answers.queries, answers.images, _captions(answers), _headings(answers), title)


def _paths(record: Record, answers: Answers, paths: Tensor) -> Figure:
    blank = [""] * paths.shape[1]
    ends = zip(answers.predicted, answers.targets, answers.arrived, strict=True)
    captions = [[f"{own} → {target}{'' if there else ': not reached'}", *blank] for own, target, there in ends]
    for caption, changes in zip(captions, answers.changes, strict=bool(answers.changes)):
        caption[-1] = changes
    title = f"{subject(record)}: paths of the first queries, not chosen ones"
    return grid(answers.queries, paths.transpose(0, 1), captions, ["query", "start", *blank[2:], "answer"], title)


def _headings(answers: Answers) -> list[str]:
    return ["query", *(f"r = {r:g}" for r in answers.relaxations)]


def _captions(answers: Answers) -> list[list[str]]:
    """A row a query: its classes, then the class that each answer has and its probability of the target."""
    return [
        [
            f"{own} → {target}",
            *(
                f"{seen}\np({target}) = {float(probability):.2f}"
                for seen, probability in zip(answers.seen[query], answers.probability[:, query], strict=True)
            ),
        ]
        for query, (own, target) in enumerate(zip(answers.predicted, answers.targets, strict=True))
    ]


def variants(records: Sequence[Record], runs: Path) -> dict[str, Drawing]:
    """The answers of several methods to the same first queries, a row each under one another; none if any is gone."""
    found = [answers_of(record, runs) for record in records]
    there = [answers for answers in found if answers is not None]
    if len(there) < len(records) or len({tuple(answers.relaxations) for answers in there}) > 1:
        return {}
    return {_stem("variants", records[0].task, records[0].method): partial(_variants, records, there)}


def _variants(records: Sequence[Record], there: Sequence[Answers]) -> Figure:
    first = records[0]
    count = min(VARIED, *(len(answers.queries) for answers in there))
    queries = torch.stack([answers.queries[:count] for answers in there], dim=1).flatten(0, 1)
    images = torch.stack([answers.images[:, :count] for answers in there], dim=2).flatten(1, 2)
    words = [_captions(answers) for answers in there]
    captions = [
        [f"{part[query][0]}\n{record.method}", *part[query][1:]]
        for query in range(count)
        for record, part in zip(records, words, strict=True)
    ]
    title = f"variants of {subject(first)}: the first {count} queries, not chosen ones\n{BELOW}"
    return grid(queries, images, captions, _headings(there[0]), title)


def _illustrations(record: Record, runs: Path, artefact: str) -> dict[str, Drawing]:
    """The illustrations in an artefact, under the names of the classes."""
    tensors, facts = find(runs, artefact)
    return {
        _stem(name, record.task, record.method): partial(_illustration, record, tensors[f"illustration.{name}"], words)
        for name, words in facts.get("illustrations", {}).items()
    }


def _illustration(record: Record, pictures: Tensor, words: Mapping[str, Any]) -> Figure:
    captions = [[text.format(*record.data["classes"]) for text in row] for row in words["captions"]]
    title = f"{subject(record)}: {words['title']}"
    return grid(pictures[:, 0], pictures[:, 1:].transpose(0, 1), captions, words["headings"], title)


def _studies(record: Record) -> dict[str, Drawing]:
    """A figure of each study that says what to draw."""
    return {
        _stem(name, record.task, record.method): partial(_study, record, study, study.axes)
        for name, study in record.studies.items()
        if study.axes and study.rows
    }


def _study(record: Record, study: Study, axes: tuple[str, str, str]) -> Figure:
    title, cells = f"{subject(record)}: {study.title}", pd.DataFrame(study.rows)
    return bars(cells, axes, title) if study.bars else lines(cells, axes, study.spread, title)
