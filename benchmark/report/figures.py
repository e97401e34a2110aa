"""Records -> figures: all methods on the same queries, flip rate against r, a grid a method, and its own pictures."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch

from benchmark.records.record import Record
from benchmark.records.store import find
from benchmark.report.answers import Answers, answers_of, subject
from benchmark.report.cells import Results
from benchmark.report.curves import bars, flip_rates, lines
from benchmark.report.drawing import FORMATS, save, styled
from benchmark.report.gallery import all_methods
from benchmark.report.grid import grid

VARIED = 4
"""Queries of a grid with a row a method."""
BELOW = "below each picture the class that the classifier sees, and its probability of the target"
UNDRAWN = "smoke"
"""The preset whose pictures show nothing."""


def write_figures(
    records: Sequence[Record], runs: Path, folder: Path, *, formats: Sequence[str] = FORMATS, smoke: bool = False
) -> list[Path]:
    """All figures of the successful `records`, of the preset `smoke` only where asked; returns the files."""
    good = Results.of(records).good.only(lambda record: smoke or record.preset != UNDRAWN)
    files = []
    with styled():
        for task in good.tasks:
            files += _of_task(good.on(task), runs, folder, formats)
    return files


def write_record_figures(record: Record, runs: Path, folder: Path, shown: Sequence[str] = ()) -> list[Path]:
    """The figures of one successful record, and those that further artefacts in `shown` keep of it."""
    with styled():
        files = _of_record(record, answers_of(record, runs), runs, folder, FORMATS)
        return files + [path for name in shown for path in _illustrations(record, runs, name, folder, FORMATS)]


def _of_task(records: Results, runs: Path, folder: Path, formats: Sequence[str]) -> list[Path]:
    """Curves over all seeds; pictures of the lowest."""
    lowest = min(record.seed for record in records)
    firsts = [(record, answers_of(record, runs)) for record in records if record.seed == lowest]
    files = save(flip_rates(records), folder / _stem("flip-rate", records[0].task), formats)
    figure = all_methods([(record, answers) for record, answers in firsts if answers is not None])
    if figure is not None:
        files += save(figure, folder / _stem("all-methods", records[0].task), formats)
    for record, answers in firsts:
        files += _of_record(record, answers, runs, folder, formats)
    return files


def _stem(*parts: str) -> str:
    """The name of a figure."""
    return "-".join(part.replace("/", "_") for part in parts)


def _of_record(record: Record, answers: Answers | None, runs: Path, folder: Path, formats: Sequence[str]) -> list[Path]:
    files = [] if answers is None else _answers(record, answers, folder, formats)
    files += _studies(record, folder, formats)
    return files + _illustrations(record, runs, record.artefacts.get("show", ""), folder, formats)


def _answers(record: Record, answers: Answers, folder: Path, formats: Sequence[str]) -> list[Path]:
    """The answers as r falls, and the paths to them where the method keeps them."""
    title = f"{subject(record)}: the first {len(answers.queries)} queries, not chosen ones\n{BELOW}"
    figure = grid(answers.queries, answers.images, _captions(answers), _headings(answers), title)
    files = save(figure, folder / _stem("counterfactuals", record.task, record.method), formats)
    if answers.paths is not None:
        blank = [""] * answers.paths.shape[1]
        ends = zip(answers.predicted, answers.targets, answers.arrived, strict=True)
        captions = [[f"{own} → {target}{'' if there else ': not reached'}", *blank] for own, target, there in ends]
        for caption, changes in zip(captions, answers.changes, strict=bool(answers.changes)):
            caption[-1] = changes
        title = f"{subject(record)}: paths of the first queries, not chosen ones"
        headings = ["query", "start", *blank[2:], "answer"]
        figure = grid(answers.queries, answers.paths.transpose(0, 1), captions, headings, title)
        files += save(figure, folder / _stem("paths", record.task, record.method), formats)
    return files


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


def write_variants(
    records: Sequence[Record], runs: Path, folder: Path, *, formats: Sequence[str] = FORMATS, smoke: bool = False
) -> list[Path]:
    """The answers of several methods to the same first queries, a row each under one another; see `write_figures`."""
    first = records[0]
    found = [] if first.preset == UNDRAWN and not smoke else [answers_of(record, runs) for record in records]
    there = [answers for answers in found if answers is not None]
    if len(there) < len(records) or len({tuple(answers.relaxations) for answers in there}) > 1:
        return []
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
    with styled():
        figure = grid(queries, images, captions, _headings(there[0]), title)
        return save(figure, folder / _stem("variants", first.task, first.method), formats)


def _illustrations(record: Record, runs: Path, artefact: str, folder: Path, formats: Sequence[str]) -> list[Path]:
    """The illustrations in an artefact, under the names of the classes."""
    tensors, facts = find(runs, artefact)
    files = []
    for name, words in facts.get("illustrations", {}).items():
        pictures = tensors[f"illustration.{name}"]
        captions = [[text.format(*record.data["classes"]) for text in row] for row in words["captions"]]
        title = f"{subject(record)}: {words['title']}"
        figure = grid(pictures[:, 0], pictures[:, 1:].transpose(0, 1), captions, words["headings"], title)
        files += save(figure, folder / _stem(name, record.task, record.method), formats)
    return files


def _studies(record: Record, folder: Path, formats: Sequence[str]) -> list[Path]:
    """A figure of each study that says what to draw."""
    files = []
    for name, study in record.studies.items():
        if study.axes and study.rows:
            title, cells = f"{subject(record)}: {study.title}", pd.DataFrame(study.rows)
            figure = bars(cells, study.axes, title) if study.bars else lines(cells, study.axes, study.spread, title)
            files += save(figure, folder / _stem(name, record.task, record.method), formats)
    return files
