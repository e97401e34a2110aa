"""Numbers as curves and bars: flip rate against r, a panel a family; and what a method's studies say."""

from collections.abc import Sequence
from itertools import cycle
from textwrap import wrap

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from benchmark.errors import UserError
from benchmark.records.record import Record
from benchmark.report.cells import Results, means
from benchmark.report.looks import REFERENCES, families_of, look
from benchmark.report.trainings import about

ACROSS = 3
"""Panels in a row."""
WIDE, HIGH = 2.7, 2.3
"""Inches of a panel."""


def flip_rates(records: Sequence[Record]) -> Figure:
    """Flip rate against r with its 95 % interval, a panel a family (of several seeds, their mean); dashed: both.

    The interval is about what the title says.

    All `records` are of one task and one preset.

    Raises
    ------
    UserError
        If there is no flip rate among their numbers.
    """
    numbers = Results.of(records).numbers
    numbers = numbers[numbers["subset"] == "all"]
    if not has_flip_rates(records):
        raise UserError(f"there are no flip rates of {records[0].task} to draw")
    families = families_of(records)
    columns = min(ACROSS, len(families))
    rows = -(-len(families) // columns)
    figure = Figure(figsize=(WIDE * columns + 0.4, HIGH * rows + 0.9), layout="constrained")
    panels = np.atleast_1d(figure.subplots(rows, columns, sharex=True, sharey=True)).ravel()
    for panel, (family, methods) in zip(panels, families.items(), strict=False):
        for method in methods:
            _curve(panel, method, numbers[numbers["method"] == method], reference=family == REFERENCES)
        panel.set_title(family, fontsize=9)
        panel.set_ylim(-3, 103)
        below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.1), "frameon": False}  # where it covers no line
        panel.legend(**below, fontsize=6.5, ncols=2, handlelength=1.5, labelspacing=0.3, columnspacing=1)
        panel.tick_params(labelsize=7, labelbottom=True)
    for panel in panels[len(families) :]:
        panel.set_axis_off()
    _key(figure)
    figure.suptitle("\n".join(wrap(_title(records, numbers), 27 * columns)), fontsize=9)
    figure.supylabel("% of queries", fontsize=8)
    return figure


def has_flip_rates(records: Sequence[Record]) -> bool:
    """Whether there is a flip rate of all queries among their numbers."""
    numbers = Results.of(records).numbers
    return bool(((numbers["metric"] == "flip_rate") & (numbers["subset"] == "all")).any())


def _curve(panel: Axes, method: str, mine: pd.DataFrame, *, reference: bool) -> None:
    colour, marker = look(method, reference=reference)
    flips = means(mine[mine["metric"] == "flip_rate"]).set_index("relaxation")[["mean", "low", "high"]] * 100
    both = mine[mine["metric"] == "oracle_aware_flips"].groupby("relaxation")["value"].mean() * 100
    panel.plot(flips.index, flips["mean"], f"{marker}-", color=colour, label=method, markersize=4, linewidth=1.3)
    panel.fill_between(flips.index, flips["low"], flips["high"], color=colour, alpha=0.2, linewidth=0)
    panel.plot(both.index, both, f"{marker}--", color=colour, markersize=3, markerfacecolor="white", linewidth=1.1)


def _key(figure: Figure) -> None:
    """What a solid and a dashed line are, once for all panels."""
    figure.legend(
        handles=[
            figure.axes[0].plot([], [], style, color="0.3", linewidth=1.2, label=f"_{name}")[0]
            for style, name in (("-", "flips"), ("--", "both"))
        ],
        labels=["flip rate: the classifier sees the target (band: 95 %)", "classifier and oracle see it"],
        title="relaxation r (0: the intervention acts fully)",
        title_fontsize=8,
        loc="outside lower center",
        ncols=2,
        frameon=False,
        fontsize=7,
    )


def _title(records: Sequence[Record], numbers: pd.DataFrame) -> str:
    seeds = sorted({record.seed for record in records})
    n = int(numbers[numbers["metric"] == "flip_rate"]["n"].max())
    over = f"seed {seeds[0]}" if len(seeds) == 1 else f"mean of {len(seeds)} seeds"
    return f"{records[0].task}: flip rate against r (preset {records[0].preset}, n = {n}, {over}; {about(numbers)})"


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
    figure.legend(title=each, fontsize=7, title_fontsize=7, loc="outside right upper")  # where it covers no line
    return figure


def bars(cells: pd.DataFrame, axes: tuple[str, str, str], title: str) -> Figure:
    """Bars as high as the second column of `axes`, at the first, in a colour for each value of the third."""
    along, height, each = axes
    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    panel = figure.add_subplot()
    sns.barplot(cells, x=along, y=height, hue=each, palette="colorblind", errorbar=None, ax=panel)
    panel.set_title("\n".join(wrap(title, 80)), fontsize=8)
    sns.move_legend(panel, "upper left", bbox_to_anchor=(1, 1), fontsize=7, title_fontsize=7)  # where it covers no bar
    return figure
