"""What another program answered, kept as a run keeps its own stages, so that pages and comparisons find it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from benchmark.records.record import Row
from benchmark.records.store import Artefact, key_of


def keep(
    runs: Path, key: str, pictures: Mapping[str, Tensor], outcomes: Mapping[str, Tensor], rows: Sequence[Row]
) -> dict[str, str]:
    """Keep the answers to N queries at R relaxations; returns stage -> the name of its artefact.

    Parameters
    ----------
    runs
        Folder of artefacts.
    key
        Of the answers and of what they answer.
    pictures
        "queries" (N, C, H, W) and "images" (R, N, C, H, W) uint8; "targets" and "predicted" (N,).
    outcomes
        As `benchmark.jobs.measure.measure` returns them, and "asked" (N,): which pictures the queries are.
    rows
        The numbers.
    """
    facts: dict[str, Any] = {"rows": [row.model_dump() for row in rows], "studies": {}}
    stages = {"explain": (pictures, {}), "score": (outcomes, facts)}
    return {stage: _kept(runs, stage, key, *made) for stage, made in stages.items()}


def _kept(runs: Path, stage: str, key: str, tensors: Mapping[str, Tensor], facts: dict[str, Any]) -> str:
    artefact = Artefact(runs, stage, key_of(outside=key, stage=stage, rows=facts))
    artefact.make(lambda _: (tensors, facts))
    return artefact.name
