"""Looks a user's classifier over before anything is explained: nothing is trained, and it takes seconds.

A wrong preprocessing is silent: the accuracy hardly falls, but the probabilities do, and counterfactuals rest on these.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from benchmark.errors import UserError
from benchmark.judges.adapter import OwnClassifier
from benchmark.judges.chance import doubt
from benchmark.judges.preprocessings import fed_as, plausible
from benchmark.judges.spec import Input
from methods.base import BATCH
from metrics.base import Estimate
from metrics.intervals import mean, proportion

ALIKE = 1e-4
"""Largest difference of logits between two ways to ask the same, relative to the largest logit."""
SUMS = 1e-3
"""Largest distance of a row of probabilities from 1."""
STEP = 2e-3
"""Length of the step of the finite difference."""
SLOPE = 0.05
"""Largest relative difference between the gradient and the finite difference."""
LEAST_GAIN = 0.05
"""Nats: a gain of likelihood that is worth a word; surer answers alone are gained by larger numbers, too."""
SURE = 0.9
"""Above this probability a classifier is called sure."""


class Finding(NamedTuple):
    """What one look has shown."""

    what: str
    fine: bool
    words: str


class Fed(NamedTuple):
    """What the classifier answers under one preprocessing."""

    name: str
    wanted: Input
    losses: Tensor
    """(N,): the negative log-likelihood of each label, nats."""
    right: Tensor
    """(N,) bool."""
    sure: Tensor
    """(N,) bool: a probability of .9 or more."""


@dataclass(frozen=True)
class Examination:
    """All findings, the preprocessings from the most likely, and the accuracy."""

    findings: list[Finding]
    fed: list[Fed]
    accuracy: Estimate

    @property
    def fine(self) -> bool:
        """Whether nothing was found that needs mending."""
        return all(finding.fine for finding in self.findings)


def examine(classifier: OwnClassifier, images: Tensor, labels: Tensor) -> Examination:
    """Look over `classifier` on labelled pictures.

    Parameters
    ----------
    classifier
        As it was loaded.
    images, labels
        (N, C, H, W) in [0, 1], and the classes (N,): of a split that nothing is reported on.

    Raises
    ------
    UserError
        If the network cannot be fed so many pictures at once, or an answer of it is no number.
    """
    few = images[:8]
    fed = sorted(_preprocessings(classifier, images, labels), key=lambda one: float(one.losses.mean()))
    own = next(one for one in fed if one.wanted == classifier.spec.input)
    looks: list[Callable[[], Finding]] = [
        lambda: _outputs(classifier, few),
        lambda: _twice(classifier, few),
        lambda: _batched(classifier, few),
        lambda: _accuracy(own, classifier.class_count),
        lambda: _likelihood(own, fed[0]),
    ]
    if classifier.offers != "probabilities" or classifier.cut:
        looks.append(lambda: _gradient(classifier, few))
    if classifier.offers == "features":
        looks.append(lambda: _features(classifier, few))
    return Examination([look() for look in looks], fed, proportion(own.right))


@torch.no_grad()
def _outputs(classifier: OwnClassifier, images: Tensor) -> Finding:
    """What the outputs are taken for, and whether they can be that."""
    outputs, said = classifier.outputs(images).float(), classifier.spec.output
    likely = bool((outputs >= 0).all()) and bool(((outputs.sum(1) - 1).abs() < SUMS).all())
    words = f"{outputs.shape[1]} columns, taken for {said}"
    if said == "logits" and likely:
        return Finding("outputs", False, f"{words}, but rows sum to 1: say --output probabilities")
    if said == "probabilities" and not likely and outputs.shape[1] > 1 and classifier.spec.columns is None:
        return Finding("outputs", False, f"{words}, but rows do not sum to 1: say --output logits")
    return Finding("outputs", True, words)


@torch.no_grad()
def _twice(classifier: OwnClassifier, images: Tensor) -> Finding:
    first, second = (classifier(images) for _ in range(2))
    return _alike("asked twice", first, second, "chance plays a part: is dropout left on?")


@torch.no_grad()
def _batched(classifier: OwnClassifier, images: Tensor) -> Finding:
    alone = torch.cat([classifier(image[None]) for image in images])
    return _alike(
        "one by one", alone, classifier(images), "pictures depend on one another: are batch statistics left on?"
    )


def _alike(what: str, first: Tensor, second: Tensor, otherwise: str) -> Finding:
    """Whether two ways to ask the same give the same logits (B, classes)."""
    apart = float((first - second).abs().max() / first.abs().max().clamp_min(1))
    fine = apart <= ALIKE
    return Finding(what, fine, f"logits {apart:.1g} apart" + ("" if fine else f"; {otherwise}"))


def _accuracy(own: Fed, classes: int) -> Finding:
    value, low, high, n = found = proportion(own.right)
    doubted = doubt(found, classes)
    words = f"{value:.1%} [{low:.1%}, {high:.1%}] of {n} validation pictures"
    return Finding("accuracy", not doubted, f"{words}: {doubted}" if doubted else words)


def _likelihood(own: Fed, best: Fed) -> Finding:
    """Whether another preprocessing explains the labels better, by more than chance."""
    difference = mean(own.losses - best.losses)
    worse = best is not own and difference.low > 0 and difference.value > LEAST_GAIN
    words = f"NLL {float(own.losses.mean()):.3f} as it is fed; {float(own.sure.double().mean()):.0%} with p ≥ {SURE:g}"
    if worse:
        words += f"; {float(best.losses.mean()):.3f} with {best.name}: --input '{best.wanted.text()}'"
    return Finding("preprocessing", not worse, words)


def _gradient(classifier: OwnClassifier, images: Tensor) -> Finding:
    """The gradient of a difference of logits against a finite difference, partly along it, partly anywhere."""
    if classifier.cut:
        return Finding("gradient", False, "there is none (detach or no_grad in forward?)")
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(images.shape, generator=generator).to(images)
    images = 0.8 * images + 0.2 * noise  # equal pixels, as of a background, are corners of max pooling
    point = images.clone().requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(_lead(classifier, point).sum(), point)
    anywhere = torch.randn(images.shape, generator=generator).to(images)
    way = F.normalize(F.normalize(slope.flatten(1)) + F.normalize(anywhere.flatten(1))).view_as(images)
    with torch.no_grad():
        risen = (_lead(classifier, images + STEP * way) - _lead(classifier, images - STEP * way)) / (2 * STEP)
    expected = (slope * way).flatten(1).sum(1)
    apart = float(((risen - expected).abs() / torch.maximum(risen.abs(), expected.abs()).clamp_min(1e-3)).median())
    fine = apart <= SLOPE
    return Finding("gradient", fine, f"{apart:.1%} from a finite difference" + ("" if fine else ": it is not its own"))


def _lead(classifier: OwnClassifier, images: Tensor) -> Tensor:
    logits = classifier(images)
    return logits[:, 0] - logits[:, -1]


@torch.no_grad()
def _features(classifier: OwnClassifier, images: Tensor) -> Finding:
    again = classifier.head(classifier.features(images))
    otherwise = "something goes past that module: name a later one by --features"
    return _alike(
        f"φ = {classifier.spec.features} ({classifier.feature_counts['fully connected']})",
        again,
        classifier(images),
        otherwise,
    )


def _preprocessings(classifier: OwnClassifier, images: Tensor, labels: Tensor) -> Iterator[Fed]:
    """The answers under each plausible preprocessing; one that is not said and cannot be fed is left out."""
    for name, wanted in plausible(classifier.spec.input, images.shape[1]).items():
        try:
            with torch.no_grad(), fed_as(classifier, wanted):
                logits = torch.cat([classifier.checked(some) for some in images.split(BATCH)])
        except UserError:
            if wanted == classifier.spec.input:
                raise
            continue
        logs = logits.log_softmax(1)
        losses = -logs.gather(1, labels[:, None])[:, 0]
        yield Fed(name, wanted, losses, logits.argmax(1) == labels, logs.amax(1).exp() >= SURE)
