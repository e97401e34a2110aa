"""The second stage of a job: its method answers every query with a counterfactual at every relaxation."""

import time
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.jobs.fit import fitted
from benchmark.jobs.work import Work
from benchmark.records.record import peak_memory
from benchmark.records.store import Artefact, key_of
from methods.base import Method
from methods.pictures import eight_bit

CHUNK = 250
"""Queries per call of a method; an interrupted run repeats at most so many."""


def explain(work: Work, fit: Artefact) -> list[Artefact]:
    """The method's answers, one artefact for every `CHUNK` queries."""
    count = len(work.question.queries)
    starts = range(0, count, CHUNK)
    artefacts = [Artefact(work.protocol.runs, "explain", _key(work, fit, start)) for start in starts]
    ask = _Ask(work, fit)
    for start, artefact in zip(starts, artefacts, strict=True):
        work.advance("explain", start, count, None)
        artefact.make(partial(ask, start))
    work.advance("explain", count, count, None)
    return artefacts


def _key(work: Work, fit: Artefact, start: int) -> str:
    return key_of(
        fit=fit.name,
        config=work.method().config.model_dump(),
        relaxations=work.protocol.relaxations,
        split=work.protocol.split,
        start=start,
        count=min(CHUNK, len(work.question.queries) - start),
        **work.question.foreign,
    )


class _Ask:
    """A fitted method, loaded at the first call."""

    def __init__(self, work: Work, fit: Artefact) -> None:
        self.work, self.fit = work, fit
        self.method: Method | None = None

    def __call__(self, start: int, _: Artefact) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The answers to one chunk of queries, as 8-bit images, so that the scores are about visible pictures."""
        work, queries = self.work, self.work.question.queries
        self.method = method = self.method or fitted(work, self.fit)
        images = queries.batch(slice(start, start + CHUNK)).to(work.workshop.device)
        with torch.no_grad():
            predicted = method.classifier(images).argmax(1)
        target = self._targets(start, predicted)
        torch.manual_seed(work.question.seed_for("explain", start))
        started = time.perf_counter()
        with torch.no_grad():
            answers = method.explain(images, target, work.protocol.relaxations)
            pictures = eight_bit(answers.images).cpu()  # waits until a GPU is done
        seconds = time.perf_counter() - started
        with torch.no_grad():
            reconstructions, diagnostics = method.reconstruct(images), method.diagnostics(images)
        tensors = {
            "queries": torch.from_numpy(queries.data.images[queries.indices[start : start + CHUNK]]),
            "targets": target,
            "predicted": predicted,
            "images": pictures,
            "reconstructions": eight_bit(reconstructions),
            **{f"diagnostic.{name}": value for name, value in diagnostics.items()},
            **{f"intervention.{name}": value for name, value in answers.intervention.items()},
            **{f"evidence.{name}": value for name, value in answers.evidence.items()},
        }
        return {name: value.cpu() for name, value in tensors.items()}, {
            "explain_seconds": seconds,
            "peak_memory": peak_memory(),
        }

    def _targets(self, start: int, predicted: Tensor) -> Tensor:
        """The classes that were asked for, or one at random other than the predicted, the same for all methods."""
        question, wanted = self.work.question, self.work.protocol.wanted
        if wanted is not None:
            return torch.tensor(wanted.classes(question.data)[start : start + CHUNK]).to(predicted)
        others = question.class_count - 1
        random = np.random.default_rng(question.seed_for("targets", start))
        steps = torch.from_numpy(random.integers(1, others + 1, CHUNK))[: len(predicted)]
        return (predicted + steps.to(predicted)) % (others + 1)
