"""A paper as a chapter of a results folder's page: claims by task, published beside measured, figures, the command."""

import re
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image

from benchmark.jobs.again import paper_again
from benchmark.papers import PAPERS, Paper, Printed, Shown, load
from benchmark.papers.pages import (
    RULE,
    Gathered,
    beside,
    figures_of,
    gathered,
    names_of,
    of_paper,
    rows,
    setting,
    verdicts_of,
)
from benchmark.papers.verdicts import Verdict
from benchmark.records.record import Record
from benchmark.report import page
from benchmark.report.cells import Results
from benchmark.report.drawing import drawn as drawn_pixels
from benchmark.report.drawing import styled
from benchmark.report.figures import Drawing
from benchmark.report.page.chapters import Chapter, Kind, Line, Matrix, Part, Picture
from benchmark.report.page.sprites import address

NUMBER = re.compile(r": (-?\d[\d.]*(?: ± [\d.]+)?(?: \[[^\]]*\])?(?: %)?)")
"""The first number in the words behind a verdict, with spread and interval."""
UNDRAWN = "smoke"
"""The preset whose figures show nothing, and are not worth the time."""
WIDEST = 1100
"""Pixels of a figure inside a page, at most."""


def chapters(records: Sequence[Record], runs: Path, folder: Path) -> list[Chapter]:
    """A chapter for each paper that has successful records; figures of planted biases are taken from `folder`."""
    results, papers = Results.of(records), {name: load(name) for name in PAPERS}
    asked = {name: of_paper(paper, results) for name, paper in papers.items()}
    return [_chapter(name, papers[name], good, runs, folder) for name, good in asked.items() if good]


def _chapter(name: str, paper: Paper, good: Results, runs: Path, folder: Path) -> Chapter:
    found = gathered(paper, good, runs)
    tables = [_published(printed, found) for printed in paper.tables]
    drawn = figures_of(paper, found, runs) if good[0].preset != UNDRAWN else {}
    figures = [_figure(shown, found, folder, drawn) for shown in paper.figures]
    return Chapter(
        name=f"paper {name}",
        title=f"{paper.title}: does it hold here?",
        texts=[RULE],
        matrix=_matrix(paper, found, runs),
        parts=[part for part in (*tables, *figures) if part.rows or part.pictures],
        command=paper_again(name, good),
    )


def _matrix(paper: Paper, found: Gathered, runs: Path) -> Matrix:
    verdicts = verdicts_of(paper.claims, found.tasks, runs, found.planted)
    lines = [
        Line(f"{claim.text} ({claim.source})", [_cell(of_task[place]) for of_task in verdicts.values()])
        for place, claim in enumerate(paper.claims)
    ]
    return Matrix(["the paper says", *verdicts], lines)


def _cell(verdict: Verdict) -> page.chapters.Verdict:
    kind: Kind = "holds" if verdict.holds else "fails"
    if verdict.holds is None:
        kind = "open" if verdict.tested and not verdict.given else "untested"
    number = NUMBER.search(verdict.because)
    return page.chapters.Verdict(
        kind, verdict.words.removesuffix(" here"), number[1] if number else "", verdict.because
    )


def _published(printed: Printed, found: Gathered) -> Part:
    """A table of the paper, with ours under each of its rows."""
    cells = rows(printed, beside(printed, found.ours))
    columns = list(dict.fromkeys(column for row in cells for column in row))
    texts = [[row.get(column, "") for column in columns] for row in cells]
    title = f"{printed.name}: {printed.title}"
    return Part(title, columns, texts, [f"published: {setting(printed)}", *printed.notes])


def _figure(shown: Shown, found: Gathered, folder: Path, drawn: Mapping[str, Drawing]) -> Part:
    """The pictures that show here what a figure of the paper does."""
    named = names_of(shown, beside(shown, found.ours))
    pictures = [(task, _picture(drawn.get(name), folder / f"{name}.png")) for task, name in named]
    made = [Picture(_embedded(picture), f"{task}: {shown.what}") for task, picture in pictures if picture is not None]
    return Part(f"{shown.name}: {shown.what}", pictures=made)


def _picture(draw: Drawing | None, path: Path) -> Image.Image | None:
    """What is drawn now; otherwise what is at `path`, if it is there."""
    if draw is not None:
        with styled():
            figure = draw()
        return None if figure is None else Image.fromarray(drawn_pixels(figure))
    if not path.exists():
        return None
    with Image.open(path) as image:
        return image.convert("RGB")


def _embedded(picture: Image.Image) -> str:
    """A picture as a data address, no larger than a page shows it."""
    picture.thumbnail((WIDEST, 10 * WIDEST))
    buffer = BytesIO()
    picture.save(buffer, "WEBP", quality=70, method=2)
    return address(buffer.getvalue(), "image/webp")
