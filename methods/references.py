"""References: no explanations, but a scale for the tables."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from methods.bank import Bank
from methods.base import Classifier, Counterfactuals, ImageSet, Method, MethodConfig
from methods.training import Trainer


class NullConfig(MethodConfig):
    """No settings."""


class Unlearned(Method):
    """A reference that learns nothing, and whose reconstruction is the query."""

    reference = True

    def build(self, shape: tuple[int, int, int], class_count: int) -> nn.Module:  # noqa: ARG002 - nothing to learn
        """A network without parameters."""
        return nn.Module()

    def fit(self, data: ImageSet, classifier: Classifier, *, trainer: Trainer) -> Self:  # noqa: ARG002 - likewise
        """Build the empty network; there is nothing to learn."""
        self.prepare(data.shape, classifier)
        return self

    def reconstruct(self, images: Tensor) -> Tensor:
        """The query itself."""
        return images


class Null(Unlearned):
    """Answers every question with the query itself: what a table shows for no change at all."""

    Config = NullConfig

    def explain(self, images: Tensor, target: Tensor, relaxations: Sequence[float]) -> Counterfactuals:  # noqa: ARG002
        """The query itself, for every target and relaxation."""
        return Counterfactuals(images.expand(len(relaxations), *images.shape))


class TruthConfig(MethodConfig):
    """No settings."""


class Truth(Unlearned):
    """Answers exactly: the picture of the same noise with the attribute set, which only drawn data know.

    It explains no classifier and competes with no method: it alone is given the exact answers.
    """

    Config = TruthConfig
    takes_truth = True

    def explain(self, images: Tensor, target: Tensor, relaxations: Sequence[float]) -> Counterfactuals:
        """The exact answer at every relaxation, as there is no code to keep; the query if no exact answer is known."""
        answers = images if self.exact is None else self.exact(images, target)
        return Counterfactuals(answers.expand(len(relaxations), *images.shape))


class NearestUnlikeConfig(MethodConfig):
    """Settings of `nearest-unlike`."""

    bank: int = Field(5000, gt=0, description="maximal number of training images to choose from (ours)")


class NearestUnlike(Method):
    """Answers with the nearest training image (L2 over pixels) that the classifier gives the target class.

    Nugent et al. 2009 call it the nearest unlike neighbour: real by construction, and as close as real images get. The
    relaxation r blends it with the query, pixel by pixel.
    """

    Config = NearestUnlikeConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"paper": {"bank": 20_000}}
    reference = True
    config: NearestUnlikeConfig
    network: Bank

    def build(self, shape: tuple[int, int, int], class_count: int) -> nn.Module:  # noqa: ARG002 - any number of classes
        """An empty bank."""
        return Bank(self.config.bank, shape)

    def fit(self, data: ImageSet, classifier: Classifier, *, trainer: Trainer) -> Self:
        """Fill the bank with training images, evenly spread over the training set."""
        bank = self.prepare(data.shape, classifier)
        assert isinstance(bank, Bank)  # noqa: S101 - `build` returned it
        bank.fill(data, classifier, trainer.device)
        return self

    def reconstruct(self, images: Tensor) -> Tensor:
        """The query itself."""
        return images

    def explain(self, images: Tensor, target: Tensor, relaxations: Sequence[float]) -> Counterfactuals:
        """Nearest images of the target class; the query if the bank has none of that class."""
        rows = self.network.nearest(images, target)[:, 0]
        found = self.network.pictures(rows).to(images)
        found = torch.where(rows[:, None, None, None] >= 0, found, images)
        dial = torch.tensor(relaxations, device=images.device)[:, None, None, None, None]
        return Counterfactuals(dial * images + (1 - dial) * found, {"bank_row": rows})
