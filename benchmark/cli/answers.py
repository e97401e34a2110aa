"""Answers to pictures of the user's own: each as a PNG file, all in one picture, and a page."""

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from benchmark.cli.publishing import fill_report
from benchmark.cli.talk import say
from benchmark.data.wanted import Wanted
from benchmark.errors import UserError
from benchmark.records.record import Record
from benchmark.report.answers import Answers, answers_of
from benchmark.report.drawing import styled
from benchmark.report.gallery import BOTH, NEITHER, ONE, Column, gallery
from benchmark.report.sized import write_figure


def write_answers(records: Sequence[Record], wanted: Wanted, results: Path) -> Path:
    """Write the answers of `records` to `results`/asked/NAME; returns the page's path.

    Raises
    ------
    UserError
        If no method has answered.
    """
    count, runs = len(wanted.files), results / "runs"
    answered = [(record, found) for record in records if (found := answers_of(record, runs, count))]
    if not answered:
        raise UserError("; ".join(record.reason for record in records) or "no method has answered")
    folder = results / "asked" / (wanted.files[0].stem if count == 1 else f"{count} pictures")
    folder.mkdir(parents=True, exist_ok=True)
    stems = [path.stem for path in wanted.files]
    for place, stem in enumerate(stems):
        _save(answered, place, folder, stem if stems.count(stem) == 1 else f"{stem} ({place + 1})")
    page = fill_report(results, records, folder, records[0].preset)
    say(f"answers: {folder}")
    say(str(page))
    return page


def _save(answered: Sequence[tuple[Record, Answers]], place: int, folder: Path, name: str) -> None:
    """One query: a file for each method, seed and relaxation, and all of a seed beside one another."""
    seeds = sorted({record.seed for record, _ in answered})
    for seed in seeds:
        own = [(record, answers) for record, answers in answered if record.seed == seed]
        which = f" seed={seed}" * (len(seeds) > 1)
        for record, answers in own:
            for r, images in zip(answers.relaxations, answers.images, strict=True):
                _png(images[place], folder / f"{name} {record.method}{which} r={r:g}.png")
        _draw(own, place, name, folder / f"{name} by all methods{which}.png")


def _draw(answered: Sequence[tuple[Record, Answers]], place: int, name: str, path: Path) -> None:
    """All answers to one query under one seed, a method a column."""
    record, first = answered[0]
    columns = [_repeated(first.queries[place], len(first.relaxations))]
    columns += [_column(other, answers, place) for other, answers in answered]
    labels = [f"r = {r:g}" for r in first.relaxations]
    title = f"{name}: {first.predicted[place]} → {first.targets[place]}, by the classifier of {record.task}"
    with styled():
        write_figure(gallery(columns, labels, title), path, "png")


def _png(picture: Tensor, path: Path) -> None:
    pixels = picture.permute(1, 2, 0).numpy()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(path)


def _repeated(query: Tensor, count: int) -> Column:
    return Column("query", torch.stack([query] * count), [None] * count)


def _column(record: Record, answers: Answers, place: int) -> Column:
    """A method's answers to one query, a relaxation a row."""
    verdicts = zip(answers.reached[:, place].tolist(), answers.agreed[:, place].tolist(), strict=True)
    frames = [(BOTH if agreed else ONE) if reached else NEITHER for reached, agreed in verdicts]
    heading = f"{record.method}\n(reference)" if record.reference else record.method
    return Column(heading, answers.images[:, place], frames)
