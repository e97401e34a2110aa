"""Which attributes a method says that its answers change, for each kind of classifier of a planted bias."""

from benchmark.bias.trial import KINDS, Case, Trial
from benchmark.records.changes import CHANGED, Changes, ranked
from methods.base import Study


def changed(trial: Trial, method: str) -> dict[str, Study]:
    """The most changed attributes of answers that flip, and the planted one; nothing of methods that tell none."""
    planted = trial.planted.attribute
    found = {kind: _changes(trial, method, kind) for kind in KINDS}
    rows = [
        {"classifier": kind, **row}
        for kind, changes in found.items()
        if changes is not None
        for row in ranked(changes.taken(changes.flipped), also=planted)
    ]
    notes = (
        f"the most changed attributes of the answers that flip, and {planted} wherever it ranks",
        "relative change: mean share of all changes of an answer; signed: with the direction of the change",
        "greatest: share of answers in which no attribute changes more",
    )
    return {CHANGED: Study(title="most changed attributes", rows=rows, notes=notes)} if rows else {}


def _changes(trial: Trial, method: str, kind: str) -> Changes | None:
    """What the answers for all classifiers of a kind change."""
    chunks = [chunk for seed in trial.seeds for chunk in trial.explained(Case(method, kind, seed))]
    return Changes.of([chunk.tensors() for chunk in chunks])
