"""A paper's planted biases: run its methods on them, and read the outcomes for its page."""

import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from benchmark.bias.discovery import BiasOutcome, discover, finished, read_outcome, write_failure
from benchmark.bias.opposite import oppose, read_opposite
from benchmark.bias.trial import Trial, trials
from benchmark.errors import reason_of
from benchmark.jobs.progress import Board
from benchmark.jobs.protocol import Protocol
from benchmark.papers import Paper
from methods import METHODS

log = logging.getLogger(__name__)

REFERENCES = ("truth", "null", "nearest-unlike")
"""References that run beside a paper's methods."""

Planting = tuple[Trial, BiasOutcome]


def plant(paper: Paper, seeds: Iterable[int], protocol: Protocol, workers: int, board: Board) -> list[Planting]:
    """The outcome of each of a paper's biases under `seeds`; a bias that cannot be planted has a failed record.

    The preset `paper` plants none: its pictures are photographs, and its forecast does not include biases.
    """
    names = [name for name in METHODS if name in {*(paper.planted_methods or paper.methods), *REFERENCES}]
    planted = paper.planted if protocol.preset != "paper" else ()
    asked = [fuller(trial, names) for trial in trials(planted, protocol, seeds)]
    found = [(trial, _outcome(trial, names, workers, board)) for trial in asked]
    return [(trial, _opposed(paper, trial, outcome, workers, board)) for trial, outcome in found]


def _opposed(paper: Paper, trial: Trial, found: BiasOutcome, workers: int, board: Board) -> BiasOutcome:
    """The outcome with what the paper's method shows of two opposite classifiers, if the paper asks it."""
    method = paper.opposed.get(str(trial.planted))
    if method is None or found.gates.status != "ok":
        return found
    try:
        return replace(found, opposite=[oppose(trial, method, workers, board)])
    except Exception as error:
        if trial.protocol.raise_errors:
            raise
        log.warning("the page goes without two opposite classifiers of %s: %s", trial.planted, reason_of(error))
        return found


def fuller(trial: Trial, names: list[str]) -> Trial:
    """`trial` with all seeds for which the outcomes of `names` are on disk, if these begin with its own seeds.

    So a page never replaces an outcome of the command `bias` by one with fewer seeds.
    """
    found = read_outcome(str(trial.planted), trial.protocol.preset, trial.protocol.runs)
    seeds = tuple(found.gates.data.get("seeds", ())) if found else ()
    wider = replace(trial, seeds=seeds)
    return wider if seeds[: len(trial.seeds)] == trial.seeds and finished(wider, names) else trial


def _outcome(trial: Trial, names: list[str], workers: int, board: Board) -> BiasOutcome:
    """Load the outcome if complete, otherwise compute it; include other methods already run on these classifiers."""
    try:
        found = finished(trial, names) or discover([trial], names, workers, board)[0]
        return read_outcome(str(trial.planted), trial.protocol.preset, trial.protocol.runs) or found
    except Exception as error:
        if trial.protocol.raise_errors:
            raise
        log.debug("%s could not be planted", trial.planted, exc_info=True)
        return write_failure(trial, error)


def outcomes(paper: Paper, preset: str, runs: Path) -> dict[str, BiasOutcome]:
    """What is on disk of a paper's biases, by their names."""
    found = {}
    for planted in (*paper.planted, *paper.told):
        if outcome := read_outcome(planted, preset, runs):
            method = paper.opposed.get(planted)
            opposite = read_opposite(outcome.gates, method, runs) if method else None
            found[planted] = replace(outcome, opposite=[opposite] if opposite else [])
    return found
