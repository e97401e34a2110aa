"""Records -> figures: flip rate against r, and a grid of queries and their counterfactuals."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure
from torch import Tensor

from benchmark.record import Record
from benchmark.store import artefact_tensors
from benchmark.tables import tidy
from methods.files import write_whole

QUERIES = 8
"""Rows of a grid: the first queries, not chosen ones."""
FORMATS = ("png", "svg")


def write_figures(records: Sequence[Record], runs: Path, folder: Path) -> list[Path]:
    """All figures of the successful `records`; returns the files."""
    good = [record for record in records if record.status == "ok"]
    with sns.axes_style("whitegrid"), sns.plotting_context("paper"), mpl.rc_context({"svg.hashsalt": "benchmark"}):
        files = []
        for task in dict.fromkeys(record.task for record in good):
            of_task = [record for record in good if record.task == task]
            files += _save(flip_rates(of_task), folder / f"flip-rate-{task.replace('/', '_')}")
        for record in good:
            if record.seed == min(other.seed for other in good if other.task == record.task):
                files += _save_grid(record, runs, folder)
    return files


def flip_rates(records: Sequence[Record]) -> Figure:
    """Flip rate against r with its 95 % interval, a line a method (over several seeds, their mean); dashed: oracle."""
    numbers = tidy(records)
    numbers = numbers[numbers["subset"] == "all"]
    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    axes = figure.add_subplot()
    methods = list(dict.fromkeys(record.method for record in records))
    references = {record.method for record in records if record.reference}
    colours = dict(zip([m for m in methods if m not in references], sns.color_palette("colorblind"), strict=False))
    for method in methods:
        colour = colours.get(method, "0.6")
        mine = numbers[numbers["method"] == method]
        flips = mine[mine["metric"] == "flip_rate"].groupby("relaxation")[["value", "low", "high"]].mean() * 100
        agreement = mine[mine["metric"] == "oracle_agreement"].groupby("relaxation")["value"].mean() * 100
        label = f"{method} (reference)" if method in references else method
        axes.plot(flips.index, flips["value"], "o-", color=colour, label=label, markersize=4)
        axes.fill_between(flips.index, flips["low"], flips["high"], color=colour, alpha=0.2, linewidth=0)
        axes.plot(agreement.index, agreement, "--", color=colour, linewidth=1)
    axes.plot([], [], "--", color="0.3", linewidth=1, label="oracle agreement")
    n = int(numbers[numbers["metric"] == "flip_rate"]["n"].max())
    axes.set(xlabel="relaxation r (0: the intervention acts fully)", ylabel="flip rate %", ylim=(-3, 103))
    axes.set_title(f"{records[0].task}, n = {n}")
    axes.legend(frameon=True, fontsize=7)
    return figure


def grid(
    queries: Tensor, answers: Tensor, captions: Sequence[Sequence[str]], relaxations: Sequence[float], title: str
) -> Figure:
    """Queries (Q, C, H, W) in the first column, then answers (R, Q, C, H, W), uint8, a column a relaxation.

    `captions`: Q rows of 1 + R texts, each standing under its picture.
    """
    rows, columns = len(queries), len(relaxations) + 1
    figure = Figure(figsize=(1.05 * columns, 1.25 * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    headings = ["query", *(f"r = {r:g}" for r in relaxations)]
    for row in range(rows):
        pictures = [queries[row], *answers[:, row]]
        for column, (picture, caption) in enumerate(zip(pictures, captions[row], strict=True)):
            place = axes[row, column]
            place.imshow(picture.permute(1, 2, 0).numpy().squeeze(), cmap="gray", vmin=0, vmax=255)
            place.set(xticks=[], yticks=[])
            place.grid(visible=False)
            place.set_xlabel(caption, fontsize=6.5, labelpad=2)
            if row == 0:
                place.set_title(headings[column], fontsize=8)
    figure.suptitle(title, fontsize=9)
    return figure


def _save_grid(record: Record, runs: Path, folder: Path) -> list[Path]:
    """The grid of one record; nothing if its pictures are not on disk any more."""
    answered, scored = (artefact_tensors(runs, record.artefacts[stage]) for stage in ("explain", "score"))
    if answered is None or scored is None:
        return []
    order = np.argsort(-np.array(record.relaxations))
    classes = record.data["classes"]
    shown = slice(0, QUERIES)
    captions = []
    for query in range(min(QUERIES, len(answered["queries"]))):
        own, target = (classes[int(answered[name][query])] for name in ("predicted", "targets"))
        texts = [f"{own} → {target}"]
        for place in order:
            seen = classes[int(scored["answer_classes"][place, query])]
            texts.append(f"{seen}   p({target}) = {float(scored['target_probability'][place, query]):.2f}")
        captions.append(texts)
    figure = grid(
        answered["queries"][shown],
        answered["images"][order.copy()][:, shown],
        captions,
        [record.relaxations[place] for place in order],
        f"{record.method} on {record.task}, seed {record.seed}: the first {len(captions)} queries; "
        "under each picture what the classifier sees",
    )
    return _save(figure, folder / f"counterfactuals-{record.task.replace('/', '_')}-{record.method}")


def _save(figure: Figure, path: Path) -> list[Path]:
    """The figure in all formats, without anything that differs from run to run."""
    files = []
    for suffix in FORMATS:
        buffer = BytesIO()
        figure.savefig(buffer, format=suffix, dpi=150, metadata={"Date": None} if suffix == "svg" else None)
        files.append(path.with_suffix(f".{suffix}"))
        write_whole(files[-1], buffer.getvalue())
    return files
