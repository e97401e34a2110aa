"""The first stage of a job: fit its method, or load the fit from disk."""

from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor

from benchmark.data.exact import ExactAnswers
from benchmark.jobs.work import Work
from benchmark.judges.workshop import timed
from benchmark.records.record import peak_memory
from benchmark.records.store import Artefact, key_of
from methods.base import Method
from methods.training import Trainer


def fit(work: Work) -> Artefact:
    """The artefact of the fit; its key contains only settings that affect the fit, so variants share it."""
    classifier = work.classifier.made()[1].digest
    artefact = Artefact(work.protocol.runs, "fit", key_of(**fit_settings(work), classifier=classifier))
    artefact.make(partial(_fit, work))
    return artefact


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


def _fit(work: Work, artefact: Artefact) -> tuple[dict[str, Tensor], dict[str, Any]]:
    method = work.method()

    def learn(trainer: Trainer) -> Method:
        # Loading the classifier draws random numbers. It happens under the trainer's seed, as in every published fit.
        return method.fit(work.question.train, work.classifier.network(), trainer=trainer)

    _, seconds = timed(work.job.method, _trainer(work, artefact), learn)
    return method.network.state_dict(), {"fit_seconds": seconds, "peak_memory": peak_memory()}


def _trainer(work: Work, artefact: Artefact) -> Trainer:
    """The method's trainer; what another's method trains once is keyed by its code, too."""
    trainer = work.workshop.trainer("fit", artefact)
    kept = trainer.shared
    if kept is None or not work.plugin:
        return trainer
    return replace(trainer, shared=lambda asking, key, training: kept(asking, {**key, **work.plugin}, training))
