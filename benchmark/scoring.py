"""Counterfactuals -> numbers: applies the networks once, and hands their outputs to the metrics."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.record import Row
from metrics import METRICS, Estimate, Metric
from metrics.base import Average

Network = Callable[[Tensor], Tensor]

BATCH = 256
"""Images that a network is shown at once while scoring."""


@dataclass(frozen=True)
class Answers:
    """A job's answers, as they were written down: 8-bit images, so that what is scored is what is seen."""

    queries: Tensor
    """(N, C, H, W) uint8."""
    targets: Tensor
    """(N,)."""
    images: Tensor
    """(R, N, C, H, W) uint8."""
    reconstructions: Tensor | None
    """(N, C, H, W) uint8; None where nobody gave them."""
    relaxations: Sequence[float]
    diagnostics: Mapping[str, Tensor]
    """What only the method can report, each (N,)."""
    samples: Tensor | None = None
    """(M, C, H, W) uint8: what the method's generator makes of noise, if it has one."""


@dataclass(frozen=True)
class Judges:
    """The networks that answers are shown to."""

    classifier: Network
    """Images (B, C, H, W) -> logits of the investigated classifier."""
    oracle: Network
    extractors: Mapping[str, Network]
    """Name -> images to features (B, F): what Fréchet distances rest on."""
    device: torch.device

    def apply(self, network: Network, images: Tensor) -> Tensor:
        """`network` of 8-bit images (N, C, H, W), in batches, gathered on the CPU."""
        with torch.no_grad():
            outputs = [network(unit(chunk).to(self.device)).cpu() for chunk in images.split(BATCH)]
        return torch.cat(outputs)


def unit(images: Tensor) -> Tensor:
    """8-bit images as float32 in [0, 1]."""
    return images.float() / 255


def score(answers: Answers, reals: Tensor, judges: Judges) -> tuple[list[Row], dict[str, Tensor]]:
    """Every metric whose evidence there is, and the outcome of every single query.

    Parameters
    ----------
    answers
        What a method answered to N queries at R relaxations.
    reals
        (M, C, H, W) uint8: real images, none of which is among the first M queries. Fréchet distances compare as
        many answers with them.
    judges
        The networks to apply.

    Returns
    -------
    rows
        A number each.
    outcomes
        "answer_classes", "answer_oracle_classes" and "target_probability" (R, N), "predicted" (N,); and, as
        "value.METRIC", what each metric that is a mean over the queries averages, (R, N) or (N,).
    """
    fixed = _fixed_evidence(answers, reals, judges)
    rows, single = _measure(fixed, len(answers.targets))
    outcomes: dict[str, list[Tensor]] = {}
    for relaxation, images in zip(answers.relaxations, answers.images, strict=True):
        evidence, probability = _answer_evidence(images, answers.targets, len(reals), judges)
        more, values = _measure({**fixed, **evidence}, len(answers.targets), relaxation)
        rows += more
        values |= {name: evidence[name] for name in ("answer_classes", "answer_oracle_classes")}
        for name, value in {**values, "target_probability": probability}.items():
            outcomes.setdefault(name, []).append(value)
    per_relaxation = {name: torch.stack(parts) for name, parts in outcomes.items()}
    return rows, {**single, **per_relaxation, "predicted": fixed["predicted"]}


def _measure(
    evidence: Mapping[str, Any], count: int, relaxation: float | None = None
) -> tuple[list[Row], dict[str, Tensor]]:
    """The metrics of one relaxation, or those that depend on none: rows, and "value.METRIC" of the `count` queries."""
    rows, values = [], {}
    for name, metric in METRICS.items():
        if metric.per_relaxation == (relaxation is not None) and all(need in evidence for need in metric.needs):
            for subset, estimate in _estimates(metric, evidence):
                rows.append(row(name, estimate, relaxation, subset))
                if subset == "all" and isinstance(estimate, Average) and estimate.n == count:
                    values[f"value.{name}"] = estimate.values
    return rows, values


def _fixed_evidence(answers: Answers, reals: Tensor, judges: Judges) -> dict[str, Any]:
    """What does not depend on the relaxation."""
    evidence: dict[str, Any] = {
        "queries": unit(answers.queries),
        "targets": answers.targets,
        "predicted": judges.apply(judges.classifier, answers.queries).argmax(1),
        "dimensions": math.prod(answers.queries.shape[1:]),
        **answers.diagnostics,
    }
    if answers.reconstructions is not None:
        evidence["reconstructions"] = unit(answers.reconstructions)
        evidence["reconstruction_classes"] = judges.apply(judges.classifier, answers.reconstructions).argmax(1)
    for name, extractor in judges.extractors.items():
        evidence[f"real_{name}_features"] = judges.apply(extractor, reals)
        evidence[f"query_{name}_features"] = judges.apply(extractor, answers.queries[: len(reals)])
        if answers.reconstructions is not None:
            evidence[f"reconstruction_{name}_features"] = judges.apply(extractor, answers.reconstructions[: len(reals)])
        if answers.samples is not None:
            evidence[f"sample_{name}_features"] = judges.apply(extractor, answers.samples)
    return evidence


def _answer_evidence(images: Tensor, targets: Tensor, real: int, judges: Judges) -> tuple[dict[str, Any], Tensor]:
    """What depends on the answers (N, C, H, W) at one relaxation; and f's probability of the target, (N,)."""
    logits = judges.apply(judges.classifier, images)
    evidence: dict[str, Any] = {
        "answers": unit(images),
        "answer_classes": logits.argmax(1),
        "answer_oracle_classes": judges.apply(judges.oracle, images).argmax(1),
    }
    for name, extractor in judges.extractors.items():
        evidence[f"answer_{name}_features"] = judges.apply(extractor, images[:real])
    return evidence, logits.softmax(1).gather(1, targets[:, None])[:, 0]


def _estimates(metric: Metric, evidence: Mapping[str, Any]) -> Iterator[tuple[str, Estimate]]:
    """The metric over all queries and, where it is asked for, over the flipped ones, by the name of the subset."""
    inputs = [evidence[need] for need in metric.needs]
    yield "all", metric.load()(*inputs)
    if metric.also_flipped:
        flipped = evidence["answer_classes"] == evidence["targets"]
        yield "flipped", metric.load()(*[part[flipped] for part in inputs])


def row(metric: str, estimate: Sequence[float], relaxation: float | None = None, subset: str = "all") -> Row:
    """An estimate (value, low, high, n) as a record keeps it, with None for what is not defined."""
    value, low, high = (float(part) if np.isfinite(part) else None for part in estimate[:3])
    return Row(
        relaxation=relaxation,
        metric=metric,
        subset=subset,
        value=value,
        low=low,
        high=high,
        n=int(estimate[3]),
    )
