"""The first stage of a job: fit its method, or load the fit from disk."""

import logging
import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from operator import attrgetter
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from benchmark.data.exact import ExactAnswers
from benchmark.jobs.work import Work
from benchmark.judges.workshop import timed
from benchmark.records.record import peak_memory
from benchmark.records.store import Artefact, key_of
from methods.base import Method
from methods.pictures import eight_bit, unit
from methods.training import Trainer
from metrics.modes import modes_kept

log = logging.getLogger(__name__)

LEAST_KEPT: Final = 0.5
"""A generator has lost its modes if it draws the kinds of less than half of the training images."""
SAMPLES, IMAGES = 200, 1000
"""What is drawn for this test, and the training images, evenly spread, at most."""
UNTESTED = frozenset({"smoke"})
"""Presets that train too briefly for any generator to pass."""


def fit(work: Work) -> Artefact:
    """The artefact of the fit; its key contains only settings that affect the fit, so variants share it."""
    artefact = artefact_of(work, work.classifier.made()[1].digest)
    artefact.make(partial(_fit, work))
    return artefact


def artefact_of(work: Work, classifier: str) -> Artefact:
    """Where the fit under the classifier of this digest is kept, or will be."""
    return Artefact(work.protocol.runs, "fit", key_of(**fit_settings(work), classifier=classifier))


def fit_settings(work: Work) -> dict[str, Any]:
    """Everything beside the classifier that determines the fit."""
    method = work.method()
    return {
        "method": work.entry.path,
        "version": method.version,
        **work.plugin,
        "config": method.config.fit_part(),
        **work.workshop.conditions(),
    }


def fitted(work: Work, fit: Artefact) -> Method:
    """The fitted method, on the device."""
    method = work.method().restore(fit.tensors(), work.question.data.shape, work.classifier.network())
    method.network.to(work.workshop.device)
    if method.takes_truth:
        method.exact = ExactAnswers(work.question.queries)
    return method


def remarks(facts: Mapping[str, Any]) -> list[str]:
    """What the reader must know of a fit with these `facts`: that a training lost modes, and what came of another."""
    kept = facts.get("modes_kept", [])
    if all(share >= LEAST_KEPT for share in kept):
        return []
    first, *others = [f"{share:.0%}" for share in kept]
    words = f"a training lost modes: it draws the kinds of {first} of the training images"
    again = [f"another, with other random numbers, of {share}; the better one answers" for share in others]
    return ["; ".join([words, *again])]


class _Attempt(NamedTuple):
    """One training of a method."""

    method: Method
    kept: float
    """Share of training images whose kind it draws from noise; NaN if that was not tested."""
    seconds: float


def _fit(work: Work, artefact: Artefact) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Fit the method; once more, with other random numbers, if its generator lost modes. The better fit is kept."""
    trainer = _keyed(work.workshop.trainer("fit", artefact), work.plugin)
    made = [_attempt(work, trainer)]
    if made[0].kept < LEAST_KEPT and (other := trainer.another()) is not None:
        log.info(
            "%s draws the kinds of %.0f %% of images: it is trained once more", work.job.method, 100 * made[0].kept
        )
        apart = replace(other, checkpoints=artefact.checkpoints / "again", seconds_before=0.0)
        made.append(_attempt(work, _keyed(apart, {"attempt": "2"})))
    method = max(made, key=attrgetter("kept")).method
    facts = {"fit_seconds": sum(one.seconds for one in made), "peak_memory": peak_memory()}
    kept = [one.kept for one in made if not math.isnan(one.kept)]
    return method.network.state_dict(), {**facts, **({"modes_kept": kept} if kept else {})}


def _attempt(work: Work, trainer: Trainer) -> _Attempt:
    method = work.method()

    def learn(trainer: Trainer) -> Method:
        # Loading the classifier draws random numbers. It happens under the trainer's seed, as in every published fit.
        return method.fit(work.question.train, work.classifier.network(), trainer=trainer)

    _, seconds = timed(work.job.method, trainer, learn)
    return _Attempt(method, _kept(work, method), seconds)


@torch.no_grad()
def _kept(work: Work, method: Method) -> float:
    """As `_Attempt` says."""
    if work.protocol.preset in UNTESTED:
        return math.nan
    torch.manual_seed(work.question.seed_for("show"))
    method.network.to(work.workshop.device)
    drawn = method.samples(SAMPLES).get("samples")
    method.network.cpu()
    if drawn is None:
        return math.nan
    images = work.question.train
    spread = torch.linspace(0, len(images) - 1, min(IMAGES, len(images))).long()
    return modes_kept(unit(eight_bit(drawn)).cpu(), images.batch(spread)).value


def _keyed(trainer: Trainer, more: Mapping[str, str]) -> Trainer:
    """The trainer, which keys what methods train together by `more`, too: another's code, or another attempt."""
    kept = trainer.shared
    if kept is None or not more:
        return trainer
    return replace(trainer, shared=lambda asking, key, training: kept(asking, {**key, **more}, training))
