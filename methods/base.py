"""What a method is: its configuration, its fitted network, and the counterfactuals that it answers with."""

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, Self, final, runtime_checkable

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from methods.training import Trainer

CHANGE = "change_"
"""What the names of attributes' changes begin with, (N,) each, in the intervention of answers that tell them."""
BATCH = 64
"""Images that a network is shown at once outside training: few enough for a core's cache to hold their features."""


class ImageSet(Protocol):
    """Images that a method may learn from."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""

    def __len__(self) -> int: ...

    def batch(self, indices: Tensor) -> Tensor:
        """The images at `indices`, (B, C, H, W), float32 in [0, 1]."""


@runtime_checkable
class DescribedImages(ImageSet, Protocol):
    """Images whose attributes are known."""

    def described(self, names: Sequence[str]) -> Tensor:
        """Which of the attributes `names` each image has, (N, len(names)), float32 of 0 and 1."""


@dataclass(frozen=True)
class Attributes:
    """What images are known to have or not to have."""

    names: tuple[str, ...]
    label: str = ""
    """The one that the classifier is asked for; empty where it is asked for something else."""


@dataclass(frozen=True)
class Images:
    """Training batches of images alone."""

    data: ImageSet

    def __call__(self, indices: Tensor) -> tuple[Tensor]:
        """Images (B, C, H, W)."""
        return (self.data.batch(indices),)


class Classifier(Protocol):
    """The investigated classifier f, as a method sees it: frozen, in evaluation mode."""

    class_count: int
    feature_count: int
    """Length of φ."""

    def __call__(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, C, H, W)."""

    def features(self, images: Tensor) -> Tensor:
        """φ(x): the first fully connected layer's output, (B, F)."""

    def head(self, features: Tensor) -> Tensor:
        """Logits (B, classes) of φ: the part of f behind its first fully connected layer."""


class MethodConfig(BaseModel):
    """Settings of a method; every field has a default, a unit and a source.

    The fields named in `explain_only` do not touch what is fitted, so variants that differ in them share one training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    explain_only: ClassVar[frozenset[str]] = frozenset()

    @final
    def fit_part(self) -> dict[str, Any]:
        """The settings that what is fitted depends on."""
        return self.model_dump(mode="json", exclude=set(self.explain_only))


@dataclass(frozen=True)
class Counterfactuals:
    """Answers to N queries at R relaxations."""

    images: Tensor
    """(R, N, C, H, W) in [0, 1], in the order of the relaxations and of the queries."""
    intervention: Mapping[str, Tensor] = field(default_factory=dict)
    """What was intervened on (latents, path, modules, bits), each (N, ...)."""
    evidence: Mapping[str, Tensor] = field(default_factory=dict)
    """What only the method can say of each answer, each (R, N, ...); metrics know it as "answer_<name>"."""


@dataclass(frozen=True)
class Illustration:
    """Rows of pictures that a method shows of its own accord: a figure, and no number."""

    title: str
    images: Tensor
    """(K, T, C, H, W) in [0, 1]: K rows of T pictures."""
    captions: Sequence[Sequence[str]]
    """What stands below each picture, K rows of T texts; {3} stands for the name of class 3."""
    headings: Sequence[str]
    """What stands above each column, T texts."""


class Study(BaseModel):
    """Numbers about a method itself rather than its answers to queries: a table of their own, and a figure of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    rows: list[dict[str, str | int | float]]
    """A row of the table each, by the same headings."""
    notes: tuple[str, ...] = ()
    """What a reader has to know: n, seeds, units, source."""
    axes: tuple[str, str, str] | None = None
    """The headings that a figure draws: along x, along y, and a line each; None draws none."""
    spread: str | None = None
    """The heading that holds the standard deviation of what is along y."""
    bars: bool = False
    """Whether the figure draws bars, for counts, instead of lines."""


class Method(abc.ABC):
    """A way to answer "what would this picture look like if the classifier saw another class in it?".

    `__init__` stores; `fit` learns, `explain` answers. All that is fitted lives in `self.network`, whose state is what
    is written to disk.
    """

    Config: ClassVar[type[MethodConfig]]
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Preset -> the settings in which it differs from the defaults; "faces": those of the default preset on images in
    colour; "bias": what the default preset changes where biases are planted in many classifiers of small faces."""
    reference: ClassVar[bool] = False
    """True for what only gives the tables a scale; it stands apart there."""
    one_generator: ClassVar[bool] = False
    """True if no classifier has a part in the training, which `Trainer.once` then makes once for all classifiers."""
    takes_truth: ClassVar[bool] = False
    """True for the reference that is given the exact answers as `exact`, which only drawn data have."""
    takes_attributes: ClassVar[bool] = False
    """True for what learns from images' attributes, and is told which there are as `attributes`."""
    version: ClassVar[int] = 1
    """Raised whenever the same settings give other answers than before."""

    exact: Callable[[Tensor, Tensor], Tensor] | None = None
    """(Queries (N, C, H, W), targets (N,)) -> the exact answers; only for what `takes_truth`."""
    attributes: Attributes | None = None
    """Those of the images, before anything is built; only for what `takes_attributes`, whose images are
    `DescribedImages`."""

    def __init__(self, config: MethodConfig) -> None:
        self.config = config
        self.network: nn.Module
        self.classifier: Classifier

    @abc.abstractmethod
    def build(self, shape: tuple[int, int, int], class_count: int) -> nn.Module:
        """The untrained network for images of `shape` (C, H, W); of `self.classifier` it may ask the sizes alone."""

    @abc.abstractmethod
    def fit(self, data: ImageSet, classifier: Classifier, *, trainer: Trainer) -> Self:
        """Learn from the training images, with `classifier` as the one to be explained."""

    @abc.abstractmethod
    def reconstruct(self, images: Tensor) -> Tensor:
        """The answer to "change nothing", (N, C, H, W) in [0, 1]."""

    @abc.abstractmethod
    def explain(self, images: Tensor, target: Tensor, relaxations: Sequence[float]) -> Counterfactuals:
        """Counterfactuals of `images` (N, C, H, W) for the classes `target` (N,), at every relaxation in [0, 1].

        Relaxation 1 keeps the query's own code, 0 lets the intervention act fully.
        """

    def diagnostics(self, images: Tensor) -> Mapping[str, Tensor]:  # noqa: ARG002 - most methods have none
        """What only this method can report on `images`: metric name -> one value an image, (N,)."""
        return {}

    def samples(self, count: int) -> Mapping[str, Tensor]:  # noqa: ARG002 - most methods have none
        """Sets of `count` images that a generator makes, to judge it by, each (count, C, H, W) in [0, 1].

        "samples" is what it makes of nothing but noise.
        """
        return {}

    def illustrations(self) -> Mapping[str, Illustration]:
        """Figures that only this method has, by a name that can be part of a file's."""
        return {}

    def studies(self) -> Mapping[str, Study]:
        """Tables that only this method has, by a name that can be part of a file's."""
        return {}

    def remarks(self) -> tuple[str, ...]:
        """What a reader of the tables has to know about these settings, a sentence each."""
        return ()

    @final
    def prepare(self, shape: tuple[int, int, int], classifier: Classifier) -> nn.Module:
        """Build `self.network` for this kind of image and this classifier."""
        self.classifier = classifier
        self.network = self.build(shape, classifier.class_count)
        return self.network

    @final
    def restore(self, state: Mapping[str, Tensor], shape: tuple[int, int, int], classifier: Classifier) -> Self:
        """Take up what was fitted before: the `state_dict` of `self.network`."""
        self.prepare(shape, classifier).load_state_dict(state)
        self.network.eval()
        return self


@torch.no_grad()
def in_batches(function: Callable[[Tensor], Tensor], data: ImageSet, device: torch.device) -> Tensor:
    """`function` of all images in `data`, computed on `device` in batches, gathered on the CPU."""
    chunks = torch.arange(len(data)).split(BATCH)
    return torch.cat([function(data.batch(chunk).to(device)).cpu() for chunk in chunks])
