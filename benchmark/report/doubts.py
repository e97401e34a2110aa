"""Numbers that rest on an oracle which does not read the pictures well enough to judge: a mark, and what it means."""

from collections.abc import Sequence

import torch

from benchmark.records.record import Record
from metrics import METRICS, Estimate
from metrics.intervals import proportion

READS = 0.9
"""An oracle whose accuracy on test pictures is below this, with all of its interval, is doubted."""
DOUBTED = "‡"
"""Mark of a heading whose numbers rest on such an oracle."""


def weak(record: Record) -> Estimate | None:
    """The test accuracy of a record's oracle, if that is too low to judge by; None if it is not, or is not known."""
    judge = record.oracle
    if judge is None or not judge.test_n:
        return None
    found = proportion(torch.arange(judge.test_n) < round(judge.test_accuracy * judge.test_n))
    return found if found.high < READS else None


def warnings(records: Sequence[Record]) -> list[str]:
    """A line for each task and accuracy of an oracle that is doubted."""
    found = ((record.task, accuracy) for record in records if (accuracy := weak(record)) is not None)
    return list(dict.fromkeys(_words(task, accuracy) for task, accuracy in found))


def first_words(task: str, records: Sequence[Record]) -> list[str]:
    """What stands before all that rests on the oracle, where it is doubted."""
    if not doubted(records):
        return []
    return [
        f"On {task} nobody can say who convinces: the oracle reads too few of these pictures itself, and what follows "
        "rests on it. Look at the pictures."
    ]


def _words(task: str, accuracy: Estimate) -> str:
    value, low, high, n = accuracy
    return (
        f"{task}: the oracle is right on {value:.1%} [{low:.1%}, {high:.1%}] of {n:,} test pictures only. What it says "
        f"of answers, in the columns marked {DOUBTED}, is little to rely on."
    )


def doubted(records: Sequence[Record]) -> set[str]:
    """The metrics that rest on the oracle, if that of any record is doubted."""
    if not any(weak(record) for record in records):
        return set()
    return {name for name, metric in METRICS.items() if metric.rests_on_oracle}


def marked(title: str, name: str, doubts: set[str]) -> str:
    """The heading of a metric, with the mark if it is among the doubted."""
    return f"{title} {DOUBTED}" if name in doubts else title
