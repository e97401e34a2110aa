"""Counterfactuals -> evidence: the outputs of the networks, applied once; metrics are functions of these."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from methods.base import BATCH, in_batches
from methods.pictures import Pictures, unit
from metrics.transition import STEPS, pasted

Network = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Answers:
    """A job's answers as 8-bit images, as they are stored and seen."""

    queries: Tensor
    """(N, C, H, W) uint8."""
    targets: Tensor
    """(N,)."""
    images: Tensor
    """(R, N, C, H, W) uint8."""
    reconstructions: Tensor | None
    """(N, C, H, W) uint8; None if there are none."""
    relaxations: Sequence[float]
    diagnostics: Mapping[str, Tensor]
    """The method's own values of each query (`Method.diagnostics`), each (N,)."""
    samples: Tensor | None = None
    """(M, C, H, W) uint8: pictures generated from noise, if the method has a generator."""
    evidence: Mapping[str, Tensor] = field(default_factory=dict)
    """The method's own values of each answer, each (R, N, ...)."""
    labels: Tensor | None = None
    """(N,): the true classes of the queries."""
    probed: int = 100
    """Number of first queries for the costly metrics."""
    probes: Mapping[str, Tensor] = field(default_factory=dict)
    """Further answers to the first queries, uint8: "null_edits" (probed, C, H, W) and, at the smallest relaxation,
    "undone" and "nudged" (probed, C, H, W) and "draws" (probed, K, C, H, W), the last of which and "nudged" are a pair.
    Metrics without their evidence are left out."""
    exact: Tensor | None = None
    """(N, C, H, W) uint8: the exact counterfactuals, for data that have them."""
    unanswered: Tensor | None = None
    """(R, N) bool: where there is no answer, but the query in its place; of no class, so it fails in every rate."""


@dataclass(frozen=True)
class Reals:
    """Real images that answers are compared with, 8-bit."""

    images: Tensor
    """(M, C, H, W): of the queries' split, disjoint from the first M queries."""
    labels: Tensor | None = None
    """(M,): their classes; None leaves out the metrics of single pictures' realism."""
    train: Tensor | None = None
    """(T, C, H, W): training images, in whose neighbourhood real images lie."""
    train_labels: Tensor | None = None
    """(T,)."""

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class AttributeNetwork:
    """Oracles of attributes."""

    network: Network
    """Images (B, C, H, W) -> one logit per attribute, (B, A)."""
    accuracies: Mapping[str, float]
    """Attribute -> accuracy on unseen pictures: of drawn faces, or balanced over those with it and without it."""
    kept: Sequence[str]
    """Attributes with sufficient accuracy."""
    asked: str
    """The attribute of the task, which should change."""
    correlations: Mapping[str, float] = field(default_factory=dict)
    """Attribute -> correlation with the asked one, in the labels of the training images; empty leaves out the CD."""

    @property
    def others(self) -> list[bool]:
        """Mask of the kept attributes other than the task's."""
        return [name in self.kept and name != self.asked for name in self.accuracies]


@dataclass(frozen=True)
class Networks:
    """The networks that judge answers."""

    classifier: Network
    """Images (B, C, H, W) -> logits of the investigated classifier."""
    oracle: Network
    """Images -> logits of each of M oracles, (B, M, K)."""
    extractors: Mapping[str, Network]
    """Name -> (images -> features (B, F)), for Fréchet and kernel distances."""
    device: torch.device
    autoencoders: Sequence[Network] = ()
    """Images -> restored images: one network per class, then the one of all classes; empty leaves out IM1 and IM2."""
    attributes: AttributeNetwork | None = None
    """Attribute oracles; for data whose attributes are known."""
    retrained: Sequence[Network] = ()
    """Images -> logits of each of the classifiers that were trained again; empty for a classifier of the user's."""

    def apply(self, network: Network, images: Tensor) -> Tensor:
        """Apply `network` to 8-bit images (N, C, H, W) in batches; the result is on the CPU."""
        return in_batches(network, Pictures(images), self.device)


UNANSWERED = -1
"""The class of what is no answer."""
VOTES = {"answer_classes", "answer_oracle_classes", "answer_oracle_votes", "answer_retrained_votes"}
"""Classes that networks see in answers, (N,) or (N, M)."""
PROBES = ("undone", "draws")
"""The probes that exist for the smallest relaxation only."""


def at_relaxation(
    answers: Answers, place: int, real: int, fixed: Mapping[str, Any], networks: Networks
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What depends on the answers at the relaxation in that `place`; and how sure the judges are, as `_sureness` says.

    Fréchet distances use the first `real` answers; `fixed` is the result of `once`.
    """
    images = answers.images[place]
    evidence, sureness = _answer_evidence(images, answers.targets, real, networks)
    if answers.unanswered is not None:
        none = answers.unanswered[place]
        sureness = {name: values.masked_fill(none, 0) for name, values in sureness.items()}
        for name in VOTES & evidence.keys():
            evidence[name] = evidence[name].where(~none.view(-1, *[1] * (evidence[name].ndim - 1)), UNANSWERED)
    evidence |= _told_evidence(answers, place, networks)
    evidence |= _path_evidence(images, answers, fixed["predicted"], networks)
    evidence |= _restored_evidence(images, answers.targets, fixed["predicted"], networks)
    return evidence, sureness


def once(answers: Answers, reals: Reals, networks: Networks) -> dict[str, Any]:
    """Evidence that does not depend on the relaxation."""
    evidence: dict[str, Any] = {
        "queries": unit(answers.queries),
        "targets": answers.targets,
        "predicted": networks.apply(networks.classifier, answers.queries).argmax(1),
        "dimensions": math.prod(answers.queries.shape[1:]),
        "probes": unit(answers.queries[: answers.probed]),
        **answers.diagnostics,
    }
    sets = {"real": reals.images, "queries": answers.queries}
    if answers.labels is not None:
        evidence["labels"] = answers.labels
    if reals.labels is not None and reals.train is not None:
        evidence |= {"real_classes": reals.labels, "train_classes": reals.train_labels}
        sets["train"] = reals.train
    if "null_edits" in answers.probes:
        evidence["null_edits"] = unit(answers.probes["null_edits"])
    if answers.reconstructions is not None:
        evidence["reconstructions"] = unit(answers.reconstructions)
        evidence["reconstruction_classes"] = networks.apply(networks.classifier, answers.reconstructions).argmax(1)
        sets["reconstruction"] = answers.reconstructions[: len(reals)]
    if answers.exact is not None:
        evidence["exact"] = unit(answers.exact)
    seen = {"": answers.queries, "reconstruction_": answers.reconstructions}
    for name, images in seen.items():
        if networks.attributes is not None and images is not None:
            evidence |= _attribute_evidence(name, images, networks, networks.attributes)
    if answers.samples is not None:
        sets["sample"] = answers.samples
        evidence |= {"samples": unit(answers.samples), "reals": unit(reals.images)}
    for name, extractor in networks.extractors.items():
        features = {of: networks.apply(extractor, images) for of, images in sets.items()}
        features["query"] = features["queries"][: len(reals)]
        evidence |= {f"{of}_{name}_features": found for of, found in features.items()}
    return evidence


def _answer_evidence(
    images: Tensor, targets: Tensor, real: int, networks: Networks
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What depends on the answers (N, C, H, W) at one relaxation; and how sure the judges are of what they see."""
    logits, votes = (networks.apply(network, images) for network in (networks.classifier, networks.oracle))
    judged = votes.softmax(2).mean(1)
    evidence: dict[str, Any] = {
        "answers": unit(images),
        "answer_classes": logits.argmax(1),
        "answer_oracle_classes": judged.argmax(1),
        "answer_oracle_votes": votes.argmax(2),
    }
    if networks.retrained:
        again = [networks.apply(network, images).argmax(1) for network in networks.retrained]
        evidence["answer_retrained_votes"] = torch.stack(again, 1)
    if networks.attributes is not None:
        evidence |= _attribute_evidence("answer_", images, networks, networks.attributes)
    for name, extractor in networks.extractors.items():
        features = networks.apply(extractor, images)
        evidence |= {f"answers_{name}_features": features, f"answer_{name}_features": features[:real]}
    return evidence, _sureness(logits.softmax(1), judged, targets)


def _sureness(classified: Tensor, judged: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """Of probabilities (N, K) by classifier and oracle: the target's by the former, each one's highest; all (N,)."""
    return {
        "target_probability": classified.gather(1, targets[:, None])[:, 0],
        "answer_probability": classified.amax(1),
        "answer_oracle_probability": judged.amax(1),
    }


def _attribute_evidence(of: str, images: Tensor, networks: Networks, oracles: AttributeNetwork) -> dict[str, Any]:
    """What the oracles see in `images` (N, C, H, W): attributes, (N, A) bool, and the probabilities of them.

    All; those that metrics count, with the asked one and without; and the asked one alone.
    """
    logits = networks.apply(oracles.network, images)
    seen, others, names = logits > 0, oracles.others, list(oracles.accuracies)
    evidence: dict[str, Any] = {f"{of}attributes": seen}
    if any(others):
        evidence |= {f"{of}other_attributes": seen[:, others], f"{of}other_probabilities": logits[:, others].sigmoid()}
    if any(others) and oracles.asked in names:
        asked = names.index(oracles.asked)
        evidence[f"{of}asked_attribute"] = seen[:, asked]
        evidence[f"{of}asked_probability"] = logits[:, [asked]].sigmoid()
        evidence[f"{of}counted_attributes"] = torch.cat([seen[:, [asked]], seen[:, others]], 1)
    if any(others) and oracles.correlations and not of:
        counted = [name for name, other in zip(names, others, strict=True) if other]
        evidence["label_correlations"] = [oracles.correlations[name] for name in counted]
    return evidence


def _told_evidence(answers: Answers, place: int, networks: Networks) -> dict[str, Tensor]:
    """The method's own values of its answers at one relaxation; at the smallest also the probes."""
    told = {f"answer_{name}": values[place] for name, values in answers.evidence.items()}
    if answers.relaxations[place] == min(answers.relaxations):
        told |= {f"answer_{name}": unit(answers.probes[name]) for name in PROBES if name in answers.probes}
        told |= _nudged_evidence(answers.probes, networks)
    return told


def _nudged_evidence(probes: Mapping[str, Tensor], networks: Networks) -> dict[str, Tensor]:
    """Answers to the first queries, and to these changed by one grey level; and the classes of both."""
    if "nudged" not in probes:
        return {}
    found: dict[str, Tensor] = {}
    for name, images in (("drawn", probes["draws"][:, -1]), ("nudged", probes["nudged"])):
        found[f"answer_{name}"] = unit(images)
        found[f"answer_{name}_classes"] = networks.apply(networks.classifier, images).argmax(1)
    return found


def _path_evidence(images: Tensor, answers: Answers, predicted: Tensor, networks: Networks) -> dict[str, Tensor]:
    """Probabilities by f of the target and the query's class, on the way from the first queries to their answers."""
    found: dict[str, list[Tensor]] = {"answer_paths_target": [], "answer_paths_predicted": []}
    for few in torch.arange(min(answers.probed, len(images))).split(max(1, BATCH // STEPS)):
        paths = pasted(answers.queries[few], images[few])  # (B, STEPS + 1, C, H, W)
        probability = networks.apply(networks.classifier, paths.flatten(0, 1)).softmax(1).unflatten(0, paths.shape[:2])
        for name, classes in (("target", answers.targets), ("predicted", predicted)):
            column = classes[few, None, None].expand(-1, paths.shape[1], 1)
            found[f"answer_paths_{name}"].append(probability.gather(2, column)[..., 0])
    return {name: torch.cat(parts) for name, parts in found.items()}


def _restored_evidence(images: Tensor, targets: Tensor, predicted: Tensor, networks: Networks) -> dict[str, Tensor]:
    """The answers restored by the autoencoders of the target, of the query's class, and of all classes."""
    if not networks.autoencoders:
        return {}
    return {
        "answer_target_autoencoded": _restored_by_class(images, targets, networks),
        "answer_predicted_autoencoded": _restored_by_class(images, predicted, networks),
        "answer_autoencoded": networks.apply(networks.autoencoders[-1], images),
    }


def _restored_by_class(images: Tensor, classes: Tensor, networks: Networks) -> Tensor:
    """Each image restored by the autoencoder of its class."""
    restored = torch.empty(images.shape)
    for label in classes.unique().tolist():
        own = classes == label
        restored[own] = networks.apply(networks.autoencoders[label], images[own])
    return restored
