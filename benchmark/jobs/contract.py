"""`check-method`: a method is fitted to small made-up pictures and a tiny classifier, and held to every law."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from inspect import getdoc
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from benchmark.data import ImageData, Subset
from benchmark.errors import STRANGE, reason_of
from benchmark.jobs.settings import method_config
from benchmark.judges.classifier import ClassifierConfig, ConvClassifier, train
from methods import METHODS
from methods.base import Asks, Attributes, Classifier, Layer, Method, MethodConfig
from methods.contract import LAWS, BrokenLawError, Candidate, Posting, nearer_as_r_grows
from methods.training import Trainer, Training


class Kind(NamedTuple):
    """What a case is made of."""

    shape: tuple[int, int, int]
    """(C, H, W)."""
    classes: int
    training: int
    """Images."""


CASES: Mapping[str, Kind] = MappingProxyType({"grey": Kind((1, 28, 28), 3, 600), "colour": Kind((3, 20, 26), 2, 128)})
QUERIES = 64
LEARNT = ("grey",)
"""Cases with images enough for a network to give its latents a meaning, so that r can have one."""


def squares(kind: Kind, count: int, seed: int) -> Subset:
    """Bright squares of many colours, heights and backgrounds, whose place from left to right is the class.

    Three attributes are known: whether a square is in the first place, which is the label's own, bright, or low.
    """
    random, shape = np.random.default_rng(seed), kind.shape
    labels = np.arange(count) % kind.classes
    images = random.integers(0, 60, (count, shape[0], 1, 1), dtype=np.uint8) * np.ones(shape, np.uint8)
    attributes = pd.DataFrame({"first": labels == 0, "bright": False, "low": False}).astype(np.int8)
    for row, (image, label) in enumerate(zip(images, labels, strict=True)):
        left, top = 2 + 7 * label + random.integers(0, 3), random.integers(0, shape[1] - 9)
        colour = random.integers(90, 190, (shape[0], 1, 1), dtype=np.uint8)
        image[:, top : top + 9, left : left + 7] += colour
        attributes.loc[row, ["bright", "low"]] = int(colour.mean() > 140), int(top > (shape[1] - 9) / 2)
    names = tuple(f"place {label}" for label in range(kind.classes))
    data = ImageData(
        "squares", images, labels, names, f"{shape}{seed}", attributes=attributes, attribute=attributes.columns[0]
    )
    return Subset(data, np.arange(count))


def made(name: str, config: MethodConfig, attributes: Attributes | None) -> Method:
    """The unfitted method, told of `attributes` if it takes them."""
    method = METHODS[name].load()(config)
    method.attributes = attributes if method.takes_attributes else None
    return method


class Limited(nn.Module):
    """A classifier that gives no more than a method says it asks for: no φ, and no gradients unless asked for."""

    spatial = None

    def __init__(self, network: ConvClassifier, asks: Asks) -> None:
        super().__init__()
        self.network, self.asks, self.class_count = network, asks, network.class_count
        self.feature_counts: Mapping[Layer, int] = {}

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, C, H, W)."""
        logits = cast(Tensor, self.network(images))
        if self.asks == "probabilities" and logits.requires_grad:
            logits.register_hook(lambda _: self._refuse("gradients"))
        return logits

    def features(self, images: Tensor, layer: Layer = "fully connected") -> Tensor:  # noqa: ARG002 - refused
        """Refused."""
        return self._refuse("features")

    head = features

    def _refuse(self, taken: Asks) -> NoReturn:
        raise BrokenLawError(f'asks = "{self.asks}", but the method takes {taken} of the classifier')


@dataclass
class Case:
    """Small pictures, and a tiny classifier that was trained on them."""

    data: Subset
    classifier: ConvClassifier
    images: Tensor
    """(N, C, H, W): what is asked."""
    target: Tensor
    """(N,)."""

    @classmethod
    def of(cls, name: str) -> "Case":
        """The case of that name."""
        kind = CASES[name]
        data = squares(kind, kind.training, seed=0)
        config = ClassifierConfig(channels=(4, 8), features=8, dropout=0, epochs=4, batch_size=16, learning_rate=0.01)
        torch.manual_seed(1)
        classifier = train(config, data, kind.classes, Trainer(seed=2))
        classifier.zero_grad()
        images = squares(kind, QUERIES, seed=1).batch(slice(None))
        return cls(data, classifier, images, (classifier(images).argmax(1) + 1) % kind.classes)

    def offered(self, name: str) -> nn.Module:
        """The classifier as the method called `name` asks for it, and no more."""
        asks = METHODS[name].load().asks
        return self.classifier if asks == "features" else Limited(self.classifier, asks).eval()

    def fitted(
        self,
        name: str,
        config: MethodConfig | None = None,
        shared: Callable[[Trainer, Mapping[str, Any], Training], Mapping[str, Tensor]] | None = None,
    ) -> tuple[Method, Posting]:
        """The method, fitted as a run fits it, and the trainer that did it."""
        config = config or method_config(name, "smoke", {}, self.data.shape[0])
        method = made(name, config, self.data.data.known_attributes)
        trainer = Posting(seed=3, shared=shared)
        torch.manual_seed(4)
        if method.fit(self.data, cast(Classifier, self.offered(name)), trainer=trainer) is not method:
            raise BrokenLawError("fit does not return the method itself")
        return method, trainer

    def candidate(self, name: str) -> Candidate:
        """The method, fitted, to be held to the laws."""
        network = self.offered(name)
        before = {key: value.clone() for key, value in network.state_dict().items()}
        method, trainer = self.fitted(name)
        return Candidate(method, trainer, network, before, self.images.clone(), self.target)


class Finding(NamedTuple):
    """What came of a law."""

    law: str
    case: str
    broken: str
    """What the method did instead, in words; empty if the law holds."""


def check(name: str) -> Iterator[Finding]:
    """Hold the method called `name` to every law, on grey and on coloured pictures."""
    for case in CASES:
        yield from check_on(Case.of(case), name, case)


def check_on(case: Case, name: str, title: str) -> Iterator[Finding]:
    """Hold the method called `name` to every law on one case, which is called `title`."""
    fitted = "It can be fitted."
    try:
        candidate = case.candidate(name)
    except STRANGE as error:
        yield Finding(fitted, title, reason_of(error))
        return
    yield Finding(fitted, title, "")
    for law in LAWS:
        if law is not nearer_as_r_grows or title in LEARNT:
            yield Finding(cast(str, getdoc(law)), title, _broken(law, candidate))


def _broken(law: Callable[[Candidate], None], candidate: Candidate) -> str:
    try:
        law(candidate)
    except BrokenLawError as error:
        return str(error)
    except STRANGE as error:
        return reason_of(error)
    return ""
