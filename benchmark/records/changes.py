"""What answers change of attributes, where a method says so, and which of them they change most."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from methods.base import CHANGE, Study
from metrics.intervals import proportion

CHANGED = "changed-attributes"
"""What the study is called: "attributes" are those that the oracles see changed."""
MOST = 5
"""Attributes that are named, as in the paper's Figs. 6 and 8."""

Cells = dict[str, str | int | float]


@dataclass(frozen=True)
class Changes:
    """How far N answers have moved A attributes that a generator is told."""

    names: tuple[str, ...]
    values: Tensor
    """(N, A), signed."""
    flipped: Tensor
    """(N,) bool: whether the answer flips."""

    @classmethod
    def of(cls, parts: Sequence[Mapping[str, Tensor]], kind: str = "intervention.") -> Self | None:
        """Those that the artefacts of an explanation hold, one after another, attributes in alphabetical order.

        None if the method tells none. An intervention that no artefact holds has no `kind` before its names.
        """
        start = f"{kind}{CHANGE}"
        columns = sorted(name for name in parts[0] if name.startswith(start)) if parts else []
        if not columns:
            return None
        values = torch.cat([torch.stack([part[name] for name in columns], dim=1) for part in parts])
        flipped = torch.cat([part[f"{kind}flipped"] for part in parts])
        return cls(tuple(name.removeprefix(start) for name in columns), values, flipped)

    @property
    def relative(self) -> Tensor:
        """Each change as a share of the sum of all of the same answer, with its sign, (N, A); 0 where nothing moved."""
        total = self.values.abs().sum(1, keepdim=True)
        return torch.where(total > 0, self.values / total, 0.0)

    @property
    def greatest(self) -> Tensor:
        """The attribute that each answer has changed most, (N,); −1 where nothing moved."""
        moved, place = self.values.abs().max(1)
        return torch.where(moved > 0, place, -1)

    def taken(self, rows: Tensor) -> "Changes":
        """Those of some answers, (N,) bool."""
        return Changes(self.names, self.values[rows], self.flipped[rows])

    def words(self) -> list[str]:
        """For each answer its most changed attributes, a line each, with their relative changes."""
        told = []
        for row in self.relative:
            order = [place for place in row.abs().argsort(descending=True, stable=True)[:MOST] if row[place] != 0]
            told.append("\n".join(f"{self.names[place]} {100 * row[place]:+.0f} %" for place in order))
        return told


def most_changed(changes: Changes, predicted: Tensor, targets: Tensor, classes: Sequence[str]) -> Study:
    """The most changed attributes of answers that flip, overall and by direction, and of all answers.

    `predicted` and `targets` (N,) are the classes of the queries and those that they were to become.
    """
    asked = predicted != targets
    parts = {("all", "flipped"): changes.flipped & asked, ("all", "all"): asked}
    for own, target in sorted(set(zip(predicted.tolist(), targets.tolist(), strict=True))):
        here = (predicted == own) & (targets == target) & asked
        if len(classes) == 2 and here.any():
            parts[f"{classes[own]} → {classes[target]}", "flipped"] = changes.flipped & here
    rows = [
        {"direction": direction, "answers": kind, **row}
        for (direction, kind), chosen in parts.items()
        for row in ranked(changes.taken(chosen))
    ]
    notes = (
        f"the {MOST} attributes whose share of all changes of an answer is greatest, on average",
        "signed: the same with the direction of the change, so that changes to and fro cancel out",
        "greatest: share of answers in which no attribute changes more",
    )
    return Study(title="most changed attributes", rows=rows, notes=notes)


def ranked(changes: Changes, also: str = "") -> list[Cells]:
    """A row an attribute, the most changed one first, and one for `also`; none if there are no answers."""
    relative = changes.relative
    if not len(relative):
        return []
    shares = relative.abs().mean(0)
    order = shares.argsort(descending=True, stable=True).tolist()
    return [_row(changes, place) for rank, place in enumerate(order) if rank < MOST or changes.names[place] == also]


def _row(changes: Changes, place: int) -> Cells:
    """What is told of one attribute."""
    relative, first = changes.relative[:, place], proportion(changes.greatest == place)
    return {
        "attribute": changes.names[place],
        "relative change": float(relative.abs().mean()),
        "signed": float(relative.mean()),
        "greatest": float(first.value),
        "low": float(first.low),
        "high": float(first.high),
        "n": len(relative),
    }
