"""What an interval of a table is about: the queries of one training, or trainings and queries together."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from metrics import METRICS
from metrics.intervals import Z
from metrics.metric import ANY, RATE, Format
from metrics.trainings import LEAST, NONE, Ends, over_trainings, share_over_trainings

Column = Sequence[float] | pd.Series | np.ndarray
"""A column of the tidy table, a number a training."""


def shown_as(metric: str) -> Format:
    """How a metric, or the accuracy of a network, is written."""
    if metric in METRICS:
        return METRICS[metric].shown
    return RATE if "_accuracy" in metric else Format()


def interval_of(metric: str, values: Column, lows: Column, highs: Column, counts: Column) -> Ends:
    """The 95 % interval of a number in tables, from one row of the tidy table for each training.

    Of one training it is the row's own, about its queries; of two there is none; of three and more it is about
    trainings and queries together. Values that are not defined are left out.
    """
    rows = np.array([values, lows, highs, counts], dtype=float)
    value, low, high, n = rows[:, np.isfinite(rows[0])]
    if len(value) < LEAST:
        return (float(low[0]), float(high[0])) if len(value) == 1 else NONE
    if shown_as(metric).percent:
        return share_over_trainings(value, n.astype(int))
    ends = over_trainings(value, (high - low) / (2 * Z))
    smallest, largest = METRICS[metric].range if metric in METRICS else ANY
    return max(smallest, ends[0]), min(largest, ends[1])


def about(numbers: pd.DataFrame) -> str:
    """For headings: what the intervals of these rows of the tidy table are about, by task if tasks differ."""
    seeds = numbers.groupby("task", sort=False)["seed"].nunique()
    words = {str(task): _about(int(count)) for task, count in seeds.items()}
    if len(set(words.values())) < 2:
        return f"95 % intervals: {next(iter(words.values()), _about(1))}"
    groups = {said: [task for task, other in words.items() if other == said] for said in words.values()}
    return "95 % intervals: " + "; ".join(f"{', '.join(tasks)}: {said}" for said, tasks in groups.items())


def _about(trainings: int) -> str:
    if trainings < LEAST:
        return ("over the queries of one training only", "none, for there are two trainings")[trainings - 1]
    return f"over trainings ({trainings}) and queries"
