"""Counterfactuals -> numbers: applies the networks once, and hands their outputs to the metrics."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.record import Row
from methods.base import Study
from metrics import METRICS, Metric
from metrics.frechet import frechet_distance
from metrics.transition import STEPS, pasted

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
    reconstructions: Tensor
    """(N, C, H, W) uint8."""
    relaxations: Sequence[float]
    diagnostics: Mapping[str, Tensor]
    """What only the method can report, each (N,)."""
    samples: Tensor | None = None
    """(M, C, H, W) uint8: what the method's generator makes of noise, if it has one."""
    evidence: Mapping[str, Tensor] = field(default_factory=dict)
    """What only the method can say of each answer, each (R, N, ...)."""
    labels: Tensor | None = None
    """(N,): the classes that the queries are of."""
    probed: int = 100
    """How many of the first queries the costly metrics rest on."""
    probes: Mapping[str, Tensor] = field(default_factory=dict)
    """What these were asked beyond one edit, uint8: "null_edits" and, at the smallest relaxation, "undone", both
    (probed, C, H, W), and "draws", (probed, K, C, H, W). Metrics whose evidence is not there are left out."""


@dataclass(frozen=True)
class Judges:
    """The networks that answers are shown to."""

    classifier: Network
    """Images (B, C, H, W) -> logits of the investigated classifier."""
    oracle: Network
    extractors: Mapping[str, Network]
    """Name -> images to features (B, F): what Fréchet distances rest on."""
    device: torch.device
    autoencoders: Sequence[Network] = ()
    """Images -> images restored: of each class, and last of all classes; none of them leaves out IM1 and IM2."""

    def apply(self, network: Network, images: Tensor) -> Tensor:
        """`network` of 8-bit images (N, C, H, W), in batches, gathered on the CPU."""
        with torch.no_grad():
            outputs = [network(unit(chunk).to(self.device)).cpu() for chunk in images.split(BATCH)]
        return torch.cat(outputs)


PROBES = ("undone", "draws")
"""What was asked of answers at the smallest relaxation alone."""


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
        "answer_classes", "answer_oracle_classes" and "target_probability" (R, N), "predicted" (N,).
    """
    fixed = _fixed_evidence(answers, reals, judges)
    rows = [row for name, metric in METRICS.items() if not metric.per_relaxation for row in _rows(name, metric, fixed)]
    outcomes: dict[str, list[Tensor]] = {"answer_classes": [], "answer_oracle_classes": [], "target_probability": []}
    for place, (relaxation, images) in enumerate(zip(answers.relaxations, answers.images, strict=True)):
        evidence, probability = _answer_evidence(images, answers.targets, len(reals), judges)
        evidence |= {f"answer_{name}": values[place] for name, values in answers.evidence.items()}
        evidence |= _path_evidence(images, answers, fixed["predicted"], judges)
        evidence |= _restored_evidence(images, answers.targets, fixed["predicted"], judges)
        if relaxation == min(answers.relaxations):
            evidence |= {f"answer_{name}": unit(answers.probes[name]) for name in PROBES if name in answers.probes}
        for name, metric in METRICS.items():
            if metric.per_relaxation:
                rows += _rows(name, metric, {**fixed, **evidence}, relaxation)
        for name in ("answer_classes", "answer_oracle_classes"):
            outcomes[name].append(evidence[name])
        outcomes["target_probability"].append(probability)
    return rows, {**{name: torch.stack(parts) for name, parts in outcomes.items()}, "predicted": fixed["predicted"]}


def normalised_distances(sets: Mapping[str, Tensor], reals: Tensor, judges: Judges) -> dict[str, Study]:
    """Fréchet distances between all sets that a method makes, divided by that of "samples" to real images.

    The form is Table 2 of Besserve et al. 2020. A method that makes fewer than two sets has no such table.

    Parameters
    ----------
    sets
        Name -> (M, C, H, W) uint8, "samples" among them.
    reals
        (M, C, H, W) uint8.
    judges
        The networks to apply.

    """
    if len(sets) < 2 or "samples" not in sets:
        return {}
    others = {name: images for name, images in sets.items() if name != "samples"}
    named = {"real": reals, "generated": sets["samples"], **others}
    return {
        f"normalised-fid-{name}": _normalised({key: judges.apply(extractor, of) for key, of in named.items()}, name)
        for name, extractor in judges.extractors.items()
    }


def _normalised(features: Mapping[str, Tensor], extractor: str) -> Study:
    """Each of the sets of features (M, F) against those before it; the first two are the real and generated ones."""
    names = list(features)
    distances = {
        (name, earlier): frechet_distance(features[name], features[earlier], replicates=0).value
        for i, name in enumerate(names)
        for earlier in names[:i]
    }
    unit = distances["generated", "real"]
    rows: list[dict[str, str | int | float]] = []
    for i, name in enumerate(names[1:], start=1):
        cells = {f"to {earlier}": distances[name, earlier] / unit for earlier in names[:i]}
        rows.append({"set": name, **cells, **{f"to {later}": "" for later in names[i:-1]}})
    return Study(
        title="Fréchet distances divided by that of generated to real images",
        rows=rows,
        notes=(
            f"FID ({extractor}), n = {len(features['generated'])} of each set, without intervals",
            "Besserve et al. 2020, Table 2, a BEGAN on CelebA: hybrids 1.022-1.158 to real, .036-.097 to generated",
            f"generated to real, not divided: {unit:.1f}",
        ),
    )


def _fixed_evidence(answers: Answers, reals: Tensor, judges: Judges) -> dict[str, Any]:
    """What does not depend on the relaxation."""
    evidence: dict[str, Any] = {
        "queries": unit(answers.queries),
        "reconstructions": unit(answers.reconstructions),
        "targets": answers.targets,
        "predicted": judges.apply(judges.classifier, answers.queries).argmax(1),
        "reconstruction_classes": judges.apply(judges.classifier, answers.reconstructions).argmax(1),
        "dimensions": math.prod(answers.queries.shape[1:]),
        "probes": unit(answers.queries[: answers.probed]),
        **answers.diagnostics,
        **({} if answers.labels is None else {"labels": answers.labels}),
    }
    if "null_edits" in answers.probes:
        evidence["null_edits"] = unit(answers.probes["null_edits"])
    for name, extractor in judges.extractors.items():
        evidence[f"real_{name}_features"] = judges.apply(extractor, reals)
        evidence[f"query_{name}_features"] = judges.apply(extractor, answers.queries[: len(reals)])
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


def _path_evidence(images: Tensor, answers: Answers, predicted: Tensor, judges: Judges) -> dict[str, Tensor]:
    """What f gives the target and the query's class on the way from the first queries to their answers."""
    found: dict[str, list[Tensor]] = {"answer_paths_target": [], "answer_paths_predicted": []}
    for few in torch.arange(min(answers.probed, len(images))).split(max(1, BATCH // STEPS)):
        paths = pasted(answers.queries[few], images[few])  # (B, STEPS + 1, C, H, W)
        probability = judges.apply(judges.classifier, paths.flatten(0, 1)).softmax(1).unflatten(0, paths.shape[:2])
        for name, classes in (("target", answers.targets), ("predicted", predicted)):
            column = classes[few, None, None].expand(-1, paths.shape[1], 1)
            found[f"answer_paths_{name}"].append(probability.gather(2, column)[..., 0])
    return {name: torch.cat(parts) for name, parts in found.items()}


def _restored_evidence(images: Tensor, targets: Tensor, predicted: Tensor, judges: Judges) -> dict[str, Tensor]:
    """The answers as the autoencoders of their target, of their query's class and of all classes restore them."""
    if not judges.autoencoders:
        return {}
    return {
        "answer_target_autoencoded": _restored_by_class(images, targets, judges),
        "answer_predicted_autoencoded": _restored_by_class(images, predicted, judges),
        "answer_autoencoded": judges.apply(judges.autoencoders[-1], images),
    }


def _restored_by_class(images: Tensor, classes: Tensor, judges: Judges) -> Tensor:
    """Each image restored by the autoencoder of its class."""
    restored = torch.empty(images.shape)
    for label in classes.unique().tolist():
        own = classes == label
        restored[own] = judges.apply(judges.autoencoders[label], images[own])
    return restored


def _rows(name: str, metric: Metric, evidence: Mapping[str, Any], relaxation: float | None = None) -> Iterator[Row]:
    """The metric over all queries and, where it is asked for, over the flipped ones; nothing without its evidence."""
    if not all(need in evidence for need in metric.needs):
        return
    inputs = [evidence[need] for need in metric.needs]
    yield row(name, metric.load()(*inputs), relaxation)
    if metric.also_flipped:
        flipped = evidence["answer_classes"] == evidence["targets"]
        # Costly evidence is there of the first queries only.
        subset = [part[flipped[: len(part)]] for part in inputs]
        yield row(name, metric.load()(*subset), relaxation, "flipped")


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
