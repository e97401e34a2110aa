"""The second stage of a job: its method answers every query with a counterfactual at every relaxation."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.jobs.calls import counted
from benchmark.jobs.fit import fitted
from benchmark.jobs.work import Work
from benchmark.records.record import peak_memory
from benchmark.records.store import Artefact, key_of
from methods.base import DONOR, Method
from methods.contract import check_answers, check_diagnostics, check_pictures, check_unchanged
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


def targets_of(work: Work, start: int, predicted: Tensor) -> Tensor:
    """The classes that the chunk from `start` was asked for, or at random others than the `predicted` ones, (N,).

    They are the same for all methods.
    """
    question, wanted = work.question, work.protocol.wanted
    if wanted is not None:
        return torch.tensor(wanted.classes(question.data)[start : start + CHUNK]).to(predicted)
    others = question.class_count - 1
    random = np.random.default_rng(question.seed_for("targets", start))
    steps = torch.from_numpy(random.integers(1, others + 1, CHUNK))[: len(predicted)]
    return (predicted + steps.to(predicted)) % (others + 1)


@dataclass(frozen=True)
class Asked:
    """What every method is asked, on the CPU."""

    queries: Tensor
    """(N, C, H, W) uint8."""
    predicted: Tensor
    """(N,): what the classifier sees in them."""
    targets: Tensor
    """(N,)."""

    @classmethod
    def of(cls, work: Work) -> "Asked":
        """The queries of a job and their targets, as the stage "explain" has them."""
        queries, network = work.question.queries, work.classifier.network()
        starts = range(0, len(queries), CHUNK)
        predicted, targets = [], []
        for start in starts:
            images = queries.batch(slice(start, start + CHUNK)).to(work.workshop.device)
            with torch.no_grad():
                predicted.append(network(images).argmax(1).cpu())
            targets.append(targets_of(work, start, predicted[-1]))
        pictures = torch.from_numpy(queries.data.images[queries.indices])
        return cls(pictures, torch.cat(predicted), torch.cat(targets))


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
        target = targets_of(work, start, predicted)
        torch.manual_seed(work.question.seed_for("explain", start))
        asked = images.clone()
        started = time.perf_counter()
        with torch.no_grad(), counted(cast(nn.Module, method.classifier)) as calls:
            answers = method.explain(asked, target, work.protocol.relaxations)
            check_answers(answers, images, len(work.protocol.relaxations))
            pictures = eight_bit(answers.images).cpu()  # waits until a GPU is done
        seconds = time.perf_counter() - started
        check_unchanged(asked, images, "explain")
        with torch.no_grad():
            reconstructions, diagnostics = method.reconstruct(asked), method.diagnostics(asked)
        check_unchanged(asked, images, "reconstruct or diagnostics")
        check_pictures(reconstructions, images.shape, "reconstruct's answer (N, C, H, W)")
        check_diagnostics(diagnostics, len(images))
        tensors = {
            "queries": torch.from_numpy(queries.data.images[queries.indices[start : start + CHUNK]]),
            "targets": target,
            "predicted": predicted,
            "images": pictures,
            "reconstructions": eight_bit(reconstructions),
            **{f"diagnostic.{name}": value for name, value in diagnostics.items()},
            **{f"intervention.{name}": value for name, value in answers.intervention.items()},
            **{f"evidence.{name}": value for name, value in answers.evidence.items()},
            **_donors(work, answers.intervention),
        }
        return {name: value.cpu() for name, value in tensors.items()}, {
            "explain_seconds": seconds,
            "classifier_calls": calls.rows,
            "peak_memory": peak_memory(),
        }


def _donors(work: Work, intervention: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The training images that answers took something from, (N, C, H, W) uint8, black where there is none."""
    if DONOR not in intervention:
        return {}
    train, rows = work.question.train, intervention[DONOR].cpu()
    pictures = torch.from_numpy(train.data.images[train.indices[rows.clamp(min=0).numpy()]])
    return {DONOR: pictures * (rows >= 0)[:, None, None, None]}
