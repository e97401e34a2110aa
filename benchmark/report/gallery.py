"""The picture that compares: a query a row, a method a column, and a frame that says who sees the target."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from benchmark.records.record import Record
from benchmark.report.answers import Answers
from benchmark.report.drawing import DPI, height_of, width_of, wrapped
from methods import METHODS

ACROSS = 1700
"""Pixels that all columns together should have."""
SIDE = (64, 120)
"""Pixels of a picture's longer side: no fewer, and no more unless the pictures themselves are larger."""
LARGEST = 180
FRAME, GAP, MARGIN = 5, 6, 14
"""Pixels."""
KEY, LINE = 34, 26
"""Pixels of a frame in the key, and from one of its lines to the next."""
NARROWEST, LONGEST = 480, 100
"""Pixels of the figure, at least; of a part of a heading, at most."""
TEXT, SMALL, TITLE = 8.0, 7.0, 9.0
"""Points."""


@dataclass(frozen=True)
class Frame:
    """What is drawn around an answer."""

    colour: tuple[int, int, int]
    width: int
    """Pixels, at most `FRAME`."""
    dashed: bool
    words: str


BOTH = Frame((0, 158, 115), FRAME, dashed=False, words="solid green: classifier and oracle see the target")
ONE = Frame((230, 140, 0), FRAME, dashed=True, words="dashed orange: only the classifier does")
NEITHER = Frame((150, 150, 150), 2, dashed=False, words="thin grey: no flip")
FRAMES = (BOTH, ONE, NEITHER)
"""The colours of the Okabe–Ito palette; width and dashes say the same without any."""


@dataclass(frozen=True)
class Column:
    """A heading, pictures (Q, C, H, W) uint8, and the frame of each; none around queries."""

    heading: str
    pictures: Tensor
    frames: Sequence[Frame | None]


def all_methods(answered: Sequence[tuple[Record, Answers]]) -> Figure | None:
    """The answers of all methods to the same first queries at the smallest relaxation; None if there are none.

    Left out: a method that was not asked at that relaxation, or asked something else than the first of them; and a
    reference that answers with the query, which is there.
    """
    if not answered:
        return None
    record, first = answered[0]
    smallest = min(r for _, answers in answered for r in answers.relaxations)
    columns = [Column("query", first.queries, [None] * len(first.queries))]
    for other, answers in sorted(answered, key=lambda pair: _rank(pair[0])):
        if smallest in answers.relaxations and _same_questions(answers, first):
            column = _column(other, answers, answers.relaxations.index(smallest))
            if not (other.reference and torch.equal(column.pictures, first.queries)):
                columns.append(column)
    if len(columns) == 1:
        return None
    labels = [f"{own} → {target}" for own, target in zip(first.predicted, first.targets, strict=True)]
    n = max((row.n for row in record.rows if row.metric == "flip_rate"), default=len(labels))
    title = (
        f"{record.task}: the answers of all methods to the same queries at r = {smallest:g} "
        f"(the first {len(labels)} of {n}, not chosen ones; preset {record.preset}, seed {record.seed})"
    )
    return gallery(columns, labels, title)


def _rank(record: Record) -> int:
    """Exact answers first, other references last."""
    entry = METHODS.get(record.method)
    if record.reference and entry is not None and entry.load().takes_truth:
        return 0
    return 2 if record.reference else 1


def _same_questions(one: Answers, other: Answers) -> bool:
    return one.targets == other.targets and torch.equal(one.queries, other.queries)


def _column(record: Record, answers: Answers, place: int) -> Column:
    verdicts = zip(answers.reached[place].tolist(), answers.agreed[place].tolist(), strict=True)
    frames = [(BOTH if agreed else ONE) if reached else NEITHER for reached, agreed in verdicts]
    heading = f"{record.method}\n(reference)" if record.reference else record.method
    return Column(heading, answers.images[place], frames)


def gallery(columns: Sequence[Column], labels: Sequence[str], title: str) -> Figure:
    """Columns of pictures side by side, a label before each row, and below what the frames mean."""
    cells = [_enlarged(column.pictures, len(columns)) for column in columns]
    high, wide = (side + 2 * FRAME for side in cells[0].shape[1:3])
    labels = [label.replace(" → ", "\n→ ") if width_of(label, TEXT) > 1 else label for label in labels]
    apart = max(wide, *(_needed(column.heading) for column in columns)) + GAP
    headings = [_broken(column.heading, apart - GAP) for column in columns]
    before = 2 * MARGIN + _pixels(max(width_of(line, TEXT) for label in labels for line in label.split("\n")))
    across = max(before + len(columns) * apart + MARGIN, NARROWEST)
    titles = _filled(title, TITLE, across - 2 * MARGIN)
    above = MARGIN + _high([titles], TITLE) + GAP + _high([text.split("\n") for text in headings], SMALL) + GAP
    down = max(high, _high([label.split("\n") for label in labels], TEXT)) + GAP
    below = above + len(labels) * down + GAP
    places = _flow([frame.words for frame in FRAMES], across)
    canvas = np.full((below + LINE * (1 + places[-1][0]) + GAP, across, 3), 255, dtype=np.uint8)
    figure, axes = _sheet(canvas)
    axes.text(MARGIN, MARGIN, "\n".join(titles), fontsize=TITLE, va="top")
    for place, (column, pictures, heading) in enumerate(zip(columns, cells, headings, strict=True)):
        left = before + place * apart + (apart - GAP - wide) // 2
        axes.text(left + wide / 2, above - GAP, heading, fontsize=SMALL, ha="center", va="bottom")
        for row, (picture, frame) in enumerate(zip(pictures, column.frames, strict=True)):
            top = above + row * down + (down - GAP - high) // 2
            _framed(canvas[top : top + high, left : left + wide], frame)
            canvas[top + FRAME : top + high - FRAME, left + FRAME : left + wide - FRAME] = picture
    for row, label in enumerate(labels):
        axes.text(before - MARGIN, above + row * down + (down - GAP) / 2, label, fontsize=TEXT, ha="right", va="center")
    for frame, (row, left) in zip(FRAMES, places, strict=True):
        top = below + row * LINE
        _framed(canvas[top : top + LINE - GAP, left : left + KEY], frame)
        axes.text(left + KEY + GAP, top + (LINE - GAP) / 2, frame.words, fontsize=SMALL, va="center")
    axes.imshow(canvas, interpolation="nearest", aspect="auto")
    return figure


def _pixels(inches: float) -> int:
    return round(inches * DPI)


def _high(texts: Sequence[Sequence[str]], size: float) -> int:
    """Pixels of the highest of several texts, each a list of lines."""
    return _pixels(height_of(max(len(text) for text in texts), size))


def _sheet(canvas: NDArray[np.uint8]) -> tuple[Figure, Axes]:
    """A figure of as many pixels as the canvas, whose coordinates are the canvas's."""
    high, wide, _ = canvas.shape
    figure = Figure(figsize=((wide + 0.01) / DPI, (high + 0.01) / DPI))  # whole pixels, also when rounded down
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, wide), ylim=(high, 0))
    axes.set_axis_off()
    return figure, axes


def _enlarged(pictures: Tensor, columns: int) -> NDArray[np.uint8]:
    """Pictures (Q, C, H, W) as (Q, h, w, 3): each pixel several times, or fewer pixels where there are too many."""
    longer = max(pictures.shape[2:])
    times = max(1, round(min(max(ACROSS / columns, SIDE[0]), SIDE[1]) / longer))
    if longer > LARGEST:
        shape = [max(1, side * LARGEST // longer) for side in pictures.shape[2:]]
        pictures = torch.nn.functional.interpolate(pictures.float(), shape, mode="area").round().to(torch.uint8)
    pixels: NDArray[np.uint8] = pictures.permute(0, 2, 3, 1).numpy()
    return pixels.repeat(times, axis=1).repeat(times, axis=2).repeat(3 // pixels.shape[3], axis=3)


def _framed(place: NDArray[np.uint8], frame: Frame | None) -> None:
    """Draw a frame along the inner edge of a place of the canvas."""
    if frame is None:
        return
    inside = np.zeros(place.shape[:2], dtype=bool)
    inside[frame.width : -frame.width, frame.width : -frame.width] = True
    if frame.dashed:
        down, across = np.indices(inside.shape)
        high = len(inside)
        along = np.where((down < frame.width) | (down >= high - frame.width), across, down)
        inside |= along % (4 * frame.width) >= 3 * frame.width
    place[~inside] = frame.colour


def _parts(heading: str) -> list[str]:
    """What of a heading stays in one line: it may be broken after a hyphen and the like."""
    return re.findall(r"\n|[^-_ /\n]+[-_ /]?|[-_ /]", heading)


def _needed(heading: str) -> int:
    """Pixels for its longest part, unless that is longer than any heading should be."""
    return min(LONGEST, max(_pixels(width_of(part, SMALL)) for part in _parts(heading)))


def _broken(heading: str, pixels: int) -> str:
    """A heading in lines that are no wider than so many pixels; a part that is wider is broken where it must be."""
    lines = [""]
    for part in _parts(heading):
        wide = _pixels(width_of(part, SMALL))
        if part == "\n" or (lines[-1] and _pixels(width_of(lines[-1] + part, SMALL)) > pixels - GAP):
            lines.append("")
        fitting = len(part) if wide <= pixels else int(0.8 * len(part) * pixels / wide)
        first, *more = re.findall(f".{{1,{fitting}}}", part) or [""]
        lines[-1] += first
        lines += more
    return "\n".join(lines)


def _filled(text: str, size: float, pixels: int) -> list[str]:
    """A text in lines that are no wider than so many pixels."""
    return wrapped(text, max(1, int(len(text) * pixels / _pixels(width_of(text, size)) * 0.95)))


def _flow(texts: Sequence[str], pixels: int) -> list[tuple[int, int]]:
    """(line, left edge) of what stands side by side, and in the next line where there is no more room."""
    places: list[tuple[int, int]] = []
    row, left = 0, MARGIN
    for text in texts:
        wide = KEY + GAP + _pixels(width_of(text, SMALL))
        if left > MARGIN and left + wide > pixels - MARGIN:
            row, left = row + 1, MARGIN
        places.append((row, left))
        left += wide + 2 * MARGIN
    return places
