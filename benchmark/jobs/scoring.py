"""Counterfactuals -> numbers: applies the networks once, and hands their outputs to the metrics."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.records.record import Row
from methods.base import BATCH, Study
from metrics import METRICS, Estimate, Metric
from metrics.base import Average
from metrics.frechet import frechet_distance
from metrics.transition import STEPS, pasted

Network = Callable[[Tensor], Tensor]


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
    evidence: Mapping[str, Tensor] = field(default_factory=dict)
    """What only the method can say of each answer, each (R, N, ...)."""
    labels: Tensor | None = None
    """(N,): the classes that the queries are of."""
    probed: int = 100
    """How many of the first queries the costly metrics rest on."""
    probes: Mapping[str, Tensor] = field(default_factory=dict)
    """What these were asked beyond one edit, uint8: "null_edits" and, at the smallest relaxation, "undone", both
    (probed, C, H, W), and "draws", (probed, K, C, H, W). Metrics whose evidence is not there are left out."""
    exact: Tensor | None = None
    """(N, C, H, W) uint8: the exact counterfactuals, where the data know them."""


@dataclass(frozen=True)
class AttributeJudge:
    """Oracles of the attributes of drawn faces."""

    network: Network
    """Images (B, C, H, W) -> a logit an attribute, (B, A)."""
    accuracies: Mapping[str, float]
    """Of every attribute, on unseen faces whose attributes are all independent."""
    kept: Sequence[str]
    """Those that are seen surely enough."""
    asked: str
    """The attribute that the task asks for, which is to change."""

    @property
    def others(self) -> list[bool]:
        """Which of the attributes count as others: those kept, without the one asked for."""
        return [name in self.kept and name != self.asked for name in self.accuracies]


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
    attributes: AttributeJudge | None = None
    """Of drawn faces alone."""

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
        "answer_classes", "answer_oracle_classes" and "target_probability" (R, N), "predicted" (N,); of drawn faces
        "attributes" and "reconstruction_attributes" (N, A) and "answer_attributes" (R, N, A), bool; and, as
        "value.METRIC", what each metric averages that is a mean over all queries at all relaxations, (R, N) or (N,).
    """
    fixed = _fixed_evidence(answers, reals, judges)
    rows, single = _measure(fixed, len(answers.targets))
    outcomes: dict[str, list[Tensor]] = {}
    for place, (relaxation, images) in enumerate(zip(answers.relaxations, answers.images, strict=True)):
        evidence, probability = _answer_evidence(images, answers.targets, len(reals), judges)
        evidence |= _told_evidence(answers, place)
        evidence |= _path_evidence(images, answers, fixed["predicted"], judges)
        evidence |= _restored_evidence(images, answers.targets, fixed["predicted"], judges)
        more, values = _measure({**fixed, **evidence}, len(answers.targets), relaxation)
        rows += more
        kept = ("answer_classes", "answer_oracle_classes", "answer_attributes")
        values |= {name: evidence[name] for name in kept if name in evidence}
        for name, value in {**values, "target_probability": probability}.items():
            outcomes.setdefault(name, []).append(value)
    everywhere = {name: parts for name, parts in outcomes.items() if len(parts) == len(answers.relaxations)}
    per_relaxation = {name: torch.stack(parts) for name, parts in everywhere.items()}
    names = ("predicted", "attributes", "reconstruction_attributes")
    once: dict[str, Tensor] = {name: fixed[name] for name in names if name in fixed}
    return rows, {**single, **per_relaxation, **once}


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


def attribute_changes(outcomes: Mapping[str, Tensor], answers: Answers, judges: Judges) -> dict[str, Study]:
    """How often each attribute changes from the query's, as the oracles see it, by name; nothing without oracles.

    Parameters
    ----------
    outcomes
        What `score` returned.
    answers
        What a method answered.
    judges
        The networks that were applied.

    """
    if judges.attributes is None or answers.reconstructions is None:
        return {}
    changed = {"reconstruction": outcomes["reconstruction_attributes"] != outcomes["attributes"]}
    for r, seen in zip(answers.relaxations, outcomes["answer_attributes"], strict=True):
        changed[f"r = {r:g}"] = seen != outcomes["attributes"]
    rows: list[dict[str, str | int | float]] = [
        {
            "attribute": name + (" (asked for)" if name == judges.attributes.asked else ""),
            "oracle's accuracy": accuracy,
            **{column: f"{100 * part[:, place].double().mean():.1f}" for column, part in changed.items()},
        }
        for place, (name, accuracy) in enumerate(judges.attributes.accuracies.items())
        if name in judges.attributes.kept
    ]
    dropped = [name for name in judges.attributes.accuracies if name not in judges.attributes.kept]
    notes = [f"% of faces in which the oracle sees another value than in the query, n = {len(answers.targets)}"]
    if dropped:
        notes.append(f"dropped, because their oracle is too often wrong on unseen faces: {', '.join(dropped)}")
    return {"attributes": Study(title="Attributes that change", rows=rows, notes=tuple(notes))} if rows else {}


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
            f"generated to real, not divided: {unit:.1f}",
        ),
    )


def _fixed_evidence(answers: Answers, reals: Tensor, judges: Judges) -> dict[str, Any]:
    """What does not depend on the relaxation."""
    evidence: dict[str, Any] = {
        "queries": unit(answers.queries),
        "targets": answers.targets,
        "predicted": judges.apply(judges.classifier, answers.queries).argmax(1),
        "dimensions": math.prod(answers.queries.shape[1:]),
        "probes": unit(answers.queries[: answers.probed]),
        **answers.diagnostics,
    }
    sets = {"real": reals, "queries": answers.queries}
    if answers.labels is not None:
        evidence["labels"] = answers.labels
    if "null_edits" in answers.probes:
        evidence["null_edits"] = unit(answers.probes["null_edits"])
    if answers.reconstructions is not None:
        evidence["reconstructions"] = unit(answers.reconstructions)
        evidence["reconstruction_classes"] = judges.apply(judges.classifier, answers.reconstructions).argmax(1)
        sets["reconstruction"] = answers.reconstructions[: len(reals)]
    if answers.exact is not None:
        evidence["exact"] = unit(answers.exact)
    seen = {"": answers.queries, "reconstruction_": answers.reconstructions}
    for name, images in seen.items():
        if judges.attributes is not None and images is not None:
            evidence |= _attribute_evidence(name, images, judges, judges.attributes)
    if answers.samples is not None:
        sets["sample"] = answers.samples
    for name, extractor in judges.extractors.items():
        features = {of: judges.apply(extractor, images) for of, images in sets.items()}
        features["query"] = features["queries"][: len(reals)]
        evidence |= {f"{of}_{name}_features": found for of, found in features.items()}
    return evidence


def _answer_evidence(images: Tensor, targets: Tensor, real: int, judges: Judges) -> tuple[dict[str, Any], Tensor]:
    """What depends on the answers (N, C, H, W) at one relaxation; and f's probability of the target, (N,)."""
    logits = judges.apply(judges.classifier, images)
    evidence: dict[str, Any] = {
        "answers": unit(images),
        "answer_classes": logits.argmax(1),
        "answer_oracle_classes": judges.apply(judges.oracle, images).argmax(1),
    }
    if judges.attributes is not None:
        evidence |= _attribute_evidence("answer_", images, judges, judges.attributes)
    for name, extractor in judges.extractors.items():
        features = judges.apply(extractor, images)
        evidence |= {f"answers_{name}_features": features, f"answer_{name}_features": features[:real]}
    return evidence, logits.softmax(1).gather(1, targets[:, None])[:, 0]


def _attribute_evidence(of: str, images: Tensor, judges: Judges, oracles: AttributeJudge) -> dict[str, Tensor]:
    """What the oracles see in `images` (N, C, H, W): all attributes, and the others that metrics count, (N, A) bool."""
    seen = judges.apply(oracles.network, images) > 0
    others = {f"{of}other_attributes": seen[:, oracles.others]} if any(oracles.others) else {}
    return {f"{of}attributes": seen, **others}


def _told_evidence(answers: Answers, place: int) -> dict[str, Tensor]:
    """What the method says of its answers at one relaxation, and what it was asked beyond them at the smallest."""
    told = {f"answer_{name}": values[place] for name, values in answers.evidence.items()}
    if answers.relaxations[place] == min(answers.relaxations):
        told |= {f"answer_{name}": unit(answers.probes[name]) for name in PROBES if name in answers.probes}
    return told


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


def _estimates(metric: Metric, evidence: Mapping[str, Any]) -> Iterator[tuple[str, Estimate]]:
    """The metric over all queries and, where it is asked for, over the flipped ones, by the name of the subset."""
    inputs = [evidence[need] for need in metric.needs]
    yield "all", metric.load()(*inputs)
    if metric.also_flipped:
        flipped = evidence["answer_classes"] == evidence["targets"]
        # Costly evidence is there of the first queries only.
        yield "flipped", metric.load()(*[part[flipped[: len(part)]] for part in inputs])


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
