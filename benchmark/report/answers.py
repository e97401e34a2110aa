"""What the first queries of a record were answered with, from the artefacts on disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from benchmark.records.changes import Changes
from benchmark.records.record import Record
from benchmark.records.store import find

QUERIES = 8
"""Rows of a grid: the first queries, not chosen ones."""


@dataclass(frozen=True)
class Answers:
    """Q queries with their answers at R relaxations, the largest, which is closest to the query, first."""

    queries: Tensor
    """(Q, C, H, W) uint8."""
    images: Tensor
    """(R, Q, C, H, W) uint8."""
    relaxations: list[float]
    predicted: list[str]
    """The class that the classifier sees in each query."""
    targets: list[str]
    seen: list[list[str]]
    """Q rows of R: the class that the classifier sees in each answer."""
    reached: Tensor
    """(R, Q) bool: whether the classifier sees the target."""
    agreed: Tensor
    """(R, Q) bool: whether the oracle does."""
    probability: Tensor
    """(R, Q): of the target, by the classifier."""
    paths: Tensor | None
    """(Q, steps, C, H, W) uint8: from the query to the answer, of methods that keep it."""
    arrived: list[bool]
    """Whether each path did."""
    changes: list[str]
    """What each answer changes most, of methods that tell it; in words."""


def lowest_seed(records: Sequence[Record], runs: Path) -> list[tuple[Record, Answers]]:
    """The records of the lowest seed with their answers, where the pictures are still on disk."""
    lowest = min(record.seed for record in records)
    found = ((record, answers_of(record, runs)) for record in records if record.seed == lowest)
    return [(record, answers) for record, answers in found if answers is not None]


def answers_of(record: Record, runs: Path, count: int = QUERIES) -> Answers | None:
    """The first `count` queries of a record and their answers; None if the pictures are not on disk any more."""
    answered, scored = (find(runs, record.artefacts.get(stage, ""))[0] for stage in ("explain", "score"))
    if not answered or not scored:
        return None
    order = np.argsort(-np.array(record.relaxations)).copy()
    classes, targets = record.data["classes"], answered["targets"][:count]
    seen, judged, probability = (
        scored[name][order][:, :count] for name in ("answer_classes", "answer_oracle_classes", "target_probability")
    )
    paths, changes = answered.get("intervention.path"), Changes.of([answered])
    return Answers(
        queries=answered["queries"][:count].clone(),  # no view, which would keep all of them in memory
        images=answered["images"][order][:, :count].clone(),
        relaxations=[record.relaxations[place] for place in order],
        predicted=[classes[label] for label in answered["predicted"][:count].tolist()],
        targets=[classes[label] for label in targets.tolist()],
        seen=[[classes[label] if label >= 0 else "no answer" for label in row] for row in seen.T.tolist()],
        reached=seen == targets,
        agreed=judged == targets,
        probability=probability,
        paths=None if paths is None else paths[:count].clone(),
        arrived=[] if paths is None else answered["intervention.flipped"][:count].tolist(),
        changes=[] if changes is None else changes.words()[:count],
    )


def subject(record: Record) -> str:
    """What a figure of a record is about, for its title."""
    counts = [row.n for row in record.rows if row.metric == "flip_rate"]
    n = f", n = {max(counts)}" if counts else ""
    return f"{record.method} on {record.task} (preset {record.preset}, seed {record.seed}{n})"
