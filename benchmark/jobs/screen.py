"""Which attributes change with flips, beside how often they go with the label in the data: a screen for bias."""

from collections.abc import Mapping

import torch
from torch import Tensor

from benchmark.data import ImageData
from benchmark.jobs.evidence import Answers, AttributeNetwork
from benchmark.records.screens import SCREEN
from methods.base import Study
from metrics.bias import signed_changes
from metrics.intervals import mean

NOTES = (
    "in the data: share of the class's pictures that have the attribute, less its share of all other pictures",
    "with flips: how often the attribute appears on the way towards the class, less how often it vanishes; the way "
    "away from it counts the other way round; by the oracle, from reconstruction to answer, of n answers that flip",
    "low, high: 95 % interval of that over queries",
    "an attribute that moves with flips is what the classifier looks at, or what the method's generator changes beside "
    "it; one that also goes with the label in the data may be a shortcut that the classifier has learnt",
)


def attribute_screen(
    outcomes: Mapping[str, Tensor], answers: Answers, oracles: AttributeNetwork | None, data: ImageData
) -> dict[str, Study]:
    """A row an attribute and class at the smallest relaxation; of two classes the second alone, which says it of both.

    Parameters
    ----------
    outcomes
        The outcomes from `benchmark.jobs.measure.measure`.
    answers
        A method's answers.
    oracles
        Attribute oracles; without them, and without reconstructions, there is no table.
    data
        The labelled pictures, with their attributes.

    """
    if oracles is None or data.attributes is None or "reconstruction_attributes" not in outcomes:
        return {}
    strongest = min(range(len(answers.relaxations)), key=lambda place: answers.relaxations[place])
    flipped = (outcomes["answer_classes"][strongest] == answers.targets) & (outcomes["predicted"] != answers.targets)
    before, after = outcomes["reconstruction_attributes"], outcomes["answer_attributes"][strongest]
    rows: list[dict[str, str | int | float]] = []
    for label in range(len(data.class_names))[1 if len(data.class_names) == 2 else 0 :]:
        here = flipped & ((answers.targets == label) | (outcomes["predicted"] == label))
        changes = signed_changes(before[here], after[here], (answers.targets[here] == label).long())
        for place, name in enumerate(oracles.accuracies):
            if name in oracles.kept and here.sum() > 1:
                value, low, high, n = mean(changes[:, place].double())
                rows.append(
                    {
                        "attribute": name,
                        "towards": data.class_names[label],
                        "in the data": association(data, name, label),
                        "with flips": value,
                        "low": low,
                        "high": high,
                        "n": n,
                    }
                )
    return {SCREEN: Study(title="Attributes that change with flips", rows=rows, notes=NOTES)} if rows else {}


def association(data: ImageData, name: str, label: int) -> float:
    """How often pictures of a class have an attribute, less how often others do, in [−1, 1]."""
    assert data.attributes is not None  # noqa: S101 - the caller looked
    assert data.labels is not None  # noqa: S101 - a task's data have labels
    there = torch.tensor(data.attributes[name].to_numpy()).double()
    inside = torch.from_numpy(data.labels) == label
    return float(there[inside].mean() - there[~inside].mean())
