"""Records -> figures: flip rate against r, queries and their counterfactuals, and what a method shows of its own."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import cycle
from pathlib import Path
from textwrap import wrap

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from benchmark.records.record import Record
from benchmark.records.store import find
from benchmark.report.cells import Results
from methods.files import write_whole

QUERIES = 8
"""Rows of a grid: the first queries, not chosen ones."""
VARIED = 4
"""Queries of a grid with a row a method."""
CHARACTERS = 17
"""Of a grid's title, above each column of pictures."""
NARROW = 22
"""Characters of a caption, under one of them."""
FORMATS = ("png", "svg")
GREY = 7
"""The place of grey in seaborn's colour-blind palette; greys are for references."""
MARKERS = "os^Dv<>PX*"
"""Of lines; one more than there are colours, so that two lines that share a colour have different ones."""


@contextmanager
def styled() -> Iterator[None]:
    """How all figures look; and nothing in them that differs from run to run."""
    with sns.axes_style("whitegrid"), sns.plotting_context("paper"), mpl.rc_context({"svg.hashsalt": "benchmark"}):
        yield


def write_figures(records: Sequence[Record], runs: Path, folder: Path) -> list[Path]:
    """All figures of the successful `records`; returns the files."""
    good = Results.of(records).good
    with styled():
        files = []
        for task in good.tasks:
            files += save(flip_rates(good.on(task)), folder / f"flip-rate-{task.replace('/', '_')}")
        for record in good:
            if record.seed == min(other.seed for other in good if other.task == record.task):
                files += _of_record(record, runs, folder)
    return files


def write_record_figures(record: Record, runs: Path, folder: Path, shown: Sequence[str] = ()) -> list[Path]:
    """The figures of one successful record, and those that further artefacts in `shown` keep of it."""
    with styled():
        files = _of_record(record, runs, folder)
        return files + [path for name in shown for path in _save_illustrations(record, runs, name, folder)]


def _of_record(record: Record, runs: Path, folder: Path) -> list[Path]:
    files = _save_grid(record, runs, folder) + _save_paths(record, runs, folder) + _save_studies(record, folder)
    return files + _save_illustrations(record, runs, record.artefacts.get("show", ""), folder)


def flip_rates(records: Sequence[Record]) -> Figure:
    """Flip rate against r with its 95 % interval, a line a method (over several seeds, their mean); dashed: oracle."""
    numbers = Results.of(records).numbers
    numbers = numbers[numbers["subset"] == "all"]
    figure = Figure(figsize=(7.2, 3.8), layout="constrained")
    axes = figure.add_subplot()
    methods = list(dict.fromkeys(record.method for record in records))
    references = {record.method for record in records if record.reference}
    colours = (colour for place, colour in enumerate(sns.color_palette("colorblind")) if place != GREY)
    coloured, greys = zip(cycle(colours), cycle(MARKERS)), zip(cycle(("0.75", "0.45", "0.6", "0.3")), cycle(MARKERS))
    for method in methods:
        colour, marker = next(greys if method in references else coloured)
        mine = numbers[numbers["method"] == method]
        flips = mine[mine["metric"] == "flip_rate"].groupby("relaxation")[["value", "low", "high"]].mean() * 100
        agreement = mine[mine["metric"] == "oracle_agreement"].groupby("relaxation")["value"].mean() * 100
        label = f"{method} (reference)" if method in references else method
        axes.plot(flips.index, flips["value"], f"{marker}-", color=colour, label=label, markersize=4)
        axes.fill_between(flips.index, flips["low"], flips["high"], color=colour, alpha=0.2, linewidth=0)
        axes.plot(agreement.index, agreement, "--", color=colour, linewidth=1)
    axes.plot([], [], "--", color="0.3", linewidth=1, label="oracle agreement")
    n = int(numbers[numbers["metric"] == "flip_rate"]["n"].max())
    axes.set(xlabel="relaxation r (0: the intervention acts fully)", ylabel="flip rate %", ylim=(-3, 103))
    axes.set_title(f"{records[0].task}, n = {n}")
    figure.legend(loc="outside right center", frameon=False, fontsize=7)
    return figure


def grid(
    queries: Tensor, answers: Tensor, captions: Sequence[Sequence[str]], headings: Sequence[str], title: str
) -> Figure:
    """Queries (Q, C, H, W) in the first column, then answers (R, Q, C, H, W), uint8, a column a relaxation.

    `captions`: Q rows of 1 + R texts, each standing under its picture; `headings`: 1 + R texts above the first row.
    """
    pictures = torch.cat([queries[None], answers]).permute(1, 0, 3, 4, 2).numpy()  # (Q, 1 + R, H, W, C)
    rows, columns, height, width, channels = pictures.shape
    captions = [["\n".join(_wrapped(text, NARROW)) for text in row] for row in captions]
    under = max(2, *(1 + text.count("\n") for row in captions for text in row))  # lines
    gap, margin = round(0.08 * width), 0.1 * round(0.3 * height)
    strip = round(0.3 * height) + round(0.12 * height * (under - 2))
    canvas = np.full((rows * (height + strip), columns * (width + gap) - gap, channels), 255, dtype=np.uint8)
    title = "\n".join(_wrapped(title, CHARACTERS * columns))
    lines = 2 + title.count("\n") + max(heading.count("\n") for heading in headings)
    above = max(0.55, 0.2 + 0.14 * lines)  # inches, whatever the height of the figure
    figure = Figure(figsize=(columns, canvas.shape[0] / canvas.shape[1] * columns + above + 0.05))
    axes = figure.add_axes((0.01, 0.0, 0.98, 1 - above / figure.get_figheight()))
    axes.set_axis_off()
    for row, column in np.ndindex(rows, columns):
        top, left = row * (height + strip), column * (width + gap)
        canvas[top : top + height, left : left + width] = pictures[row, column]
        centre = left + width / 2
        axes.text(centre, top + height + margin, captions[row][column], ha="center", va="top", fontsize=6)
        if row == 0:
            axes.text(centre, -2, headings[column], ha="center", va="bottom", fontsize=8)
    axes.imshow(canvas.repeat(3 // channels, axis=2), interpolation="nearest")
    figure.suptitle(title, fontsize=8, y=1 - 0.06 / figure.get_figheight())
    return figure


def _wrapped(text: str, characters: int) -> list[str]:
    """The lines of a text, none longer than so many characters if a space is in it; those that are there stay."""
    return [piece for line in text.splitlines() for piece in wrap(line, characters, break_long_words=False)]


@dataclass(frozen=True)
class _Rows:
    """The first queries of a record with their answers as r falls."""

    pictures: Tensor
    """(Q, 1 + R, C, H, W) uint8."""
    captions: list[list[str]]
    headings: list[str]


def _rows_of(record: Record, runs: Path) -> _Rows | None:
    """None if the pictures are not on disk any more."""
    answered, scored = (find(runs, record.artefacts.get(stage, ""))[0] for stage in ("explain", "score"))
    if not answered or not scored:
        return None
    order = np.argsort(-np.array(record.relaxations))
    classes = record.data["classes"]
    captions = []
    for query in range(min(QUERIES, len(answered["queries"]))):
        own, target = (classes[int(answered[name][query])] for name in ("predicted", "targets"))
        texts = [f"{own} → {target}"]
        for place in order:
            seen = classes[int(scored["answer_classes"][place, query])]
            texts.append(f"{seen}\np({target}) = {float(scored['target_probability'][place, query]):.2f}")
        captions.append(texts)
    answers = answered["images"][order.copy()][:, :QUERIES].transpose(0, 1)
    pictures = torch.cat([answered["queries"][:QUERIES, None], answers], dim=1)
    return _Rows(pictures, captions, ["query", *(f"r = {record.relaxations[place]:g}" for place in order)])


BELOW = "below each picture the class that the classifier sees, and its probability of the target"


def _save_grid(record: Record, runs: Path, folder: Path) -> list[Path]:
    """The grid of one record; nothing if its pictures are not on disk any more."""
    rows = _rows_of(record, runs)
    if rows is None:
        return []
    title = (
        f"{record.method} on {record.task}, seed {record.seed}: the first {len(rows.captions)} queries, not chosen ones"
    )
    figure = grid(
        rows.pictures[:, 0], rows.pictures[:, 1:].transpose(0, 1), rows.captions, rows.headings, f"{title}\n{BELOW}"
    )
    return save(figure, folder / f"counterfactuals-{record.task.replace('/', '_')}-{record.method}")


def write_variants(records: Sequence[Record], runs: Path, folder: Path) -> list[Path]:
    """The answers of several methods to the same first queries, a row each under one another."""
    rows = [_rows_of(record, runs) for record in records]
    there = [part for part in rows if part is not None]
    if len(there) < len(records) or len({tuple(part.headings) for part in there}) > 1:
        return []
    count = min(VARIED, *(len(part.captions) for part in there))
    pictures = torch.stack([part.pictures[:count] for part in there], dim=1).flatten(0, 1)
    captions = [
        [f"{part.captions[query][0]}\n{record.method}", *part.captions[query][1:]]
        for query in range(count)
        for record, part in zip(records, there, strict=True)
    ]
    first = records[0]
    title = f"{first.task}, seed {first.seed}: the first {count} queries, not chosen ones\n{BELOW}"
    with styled():
        figure = grid(pictures[:, 0], pictures[:, 1:].transpose(0, 1), captions, there[0].headings, title)
        return save(figure, folder / f"variants-{first.task.replace('/', '_')}-{first.method}")


def _save_paths(record: Record, runs: Path, folder: Path) -> list[Path]:
    """The optimisation paths of the first queries where a method keeps them: from a query to an answer."""
    answered, _ = find(runs, record.artefacts.get("explain", ""))
    if "intervention.path" not in answered:
        return []
    paths = answered["intervention.path"][:QUERIES]
    classes, blank = record.data["classes"], [""] * paths.shape[1]
    facts = (answered[name][:QUERIES].tolist() for name in ("predicted", "targets", "intervention.flipped"))
    captions = [
        [f"{classes[own]} → {classes[target]}{'' if flipped else ': not reached'}", *blank]
        for own, target, flipped in zip(*facts, strict=True)
    ]
    title = f"{record.method} on {record.task}, seed {record.seed}: paths of the first queries, not chosen ones"
    headings = ["query", "start", *blank[2:], "answer"]
    figure = grid(answered["queries"][:QUERIES], paths.transpose(0, 1), captions, headings, title)
    return save(figure, folder / f"paths-{record.task.replace('/', '_')}-{record.method}")


def _save_illustrations(record: Record, runs: Path, artefact: str, folder: Path) -> list[Path]:
    """The illustrations in an artefact, under the names of the classes."""
    tensors, facts = find(runs, artefact)
    files = []
    for name, words in facts.get("illustrations", {}).items():
        pictures = tensors[f"illustration.{name}"]
        captions = [[text.format(*record.data["classes"]) for text in row] for row in words["captions"]]
        title = f"{record.method} on {record.task}, seed {record.seed}: {words['title']}"
        figure = grid(pictures[:, 0], pictures[:, 1:].transpose(0, 1), captions, words["headings"], title)
        files += save(figure, folder / f"{name}-{record.task.replace('/', '_')}-{record.method}")
    return files


def _save_studies(record: Record, folder: Path) -> list[Path]:
    """A figure of each study that says what to draw."""
    files = []
    for name, study in record.studies.items():
        if study.axes and study.rows:
            title = f"{record.method} on {record.task}, seed {record.seed}: {study.title}"
            cells = pd.DataFrame(study.rows)
            figure = bars(cells, study.axes, title) if study.bars else lines(cells, study.axes, study.spread, title)
            files += save(figure, folder / f"{name}-{record.task.replace('/', '_')}-{record.method}")
    return files


def lines(cells: pd.DataFrame, axes: tuple[str, str, str], spread: str | None, title: str) -> Figure:
    """A line for each value of the third column of `axes`: the second against the first, with ± `spread` as bars."""
    along, height, each = axes
    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    panel = figure.add_subplot()
    for colour, (name, group) in zip(cycle(sns.color_palette("colorblind")), cells.groupby(each, sort=False)):
        bars = None if spread is None else group[spread]
        panel.errorbar(
            group[along], group[height], bars, fmt="o-", color=colour, label=str(name), capsize=2, markersize=4
        )
    panel.set(xlabel=along, ylabel=height)
    if pd.api.types.is_integer_dtype(cells[along]):
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.set_title("\n".join(wrap(title, 80)), fontsize=8)
    panel.legend(title=each, fontsize=7)
    return figure


def bars(cells: pd.DataFrame, axes: tuple[str, str, str], title: str) -> Figure:
    """Bars as high as the second column of `axes`, at the first, in a colour for each value of the third."""
    along, height, each = axes
    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    panel = figure.add_subplot()
    sns.barplot(cells, x=along, y=height, hue=each, palette="colorblind", errorbar=None, ax=panel)
    panel.set_title("\n".join(wrap(title, 80)), fontsize=8)
    panel.legend(title=each, fontsize=7)
    return figure


def save(figure: Figure, path: Path) -> list[Path]:
    """The figure in all formats, without anything that differs from run to run."""
    files = []
    for suffix in FORMATS:
        buffer = BytesIO()
        figure.savefig(buffer, format=suffix, dpi=150, metadata={"Date": None} if suffix == "svg" else None)
        files.append(path.with_suffix(f".{suffix}"))
        write_whole(files[-1], buffer.getvalue())
    return files
