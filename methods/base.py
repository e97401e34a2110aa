"""The contract of a method: its configuration, its fitted network, its counterfactuals."""

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, Self, final, get_args, runtime_checkable

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from methods.training import Trainer

CHANGE = "change_"
"""What the names of attributes' changes begin with, (N,) each, in the intervention of answers that tell them."""
DONOR = "donor"
"""The intervention that is the row of a training image, (N,) int64: what an answer took something from, or -1."""
BATCH = 64
"""Batch size outside training: small enough for the features to fit into a core's cache."""


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
    """Training batches of images without labels."""

    data: ImageSet

    def __call__(self, indices: Tensor) -> tuple[Tensor]:
        """Images (B, C, H, W)."""
        return (self.data.batch(indices),)


Asks = Literal["probabilities", "gradients", "features"]
"""What can be asked of a classifier, each includes the ones before it."""
ASKS: tuple[Asks, ...] = get_args(Asks)

Layer = Literal["fully connected", "convolutional"]
"""A hidden layer of a classifier: its first fully connected one, or its last convolutional block, flattened."""


class Classifier(Protocol):
    """The investigated classifier f, as a method sees it: frozen, in evaluation mode."""

    class_count: int
    feature_counts: Mapping[Layer, int]
    """Length of φ at each layer."""
    spatial: tuple[int, int, int] | None
    """(channels, height, width) of the convolutional layer's φ, or of the one there is; None if φ has no places."""

    def __call__(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, C, H, W)."""

    def features(self, images: Tensor, layer: Layer = "fully connected") -> Tensor:
        """φ(x): the output of a layer, (B, F)."""

    def head(self, features: Tensor, layer: Layer = "fully connected") -> Tensor:
        """Logits (B, classes) of φ: the part of f behind the layer."""


class MethodConfig(BaseModel):
    """Settings of a method; every field has a default, a unit and a source.

    The fields named in `explain_only` do not affect the fit, so variants that differ in them only share one training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    explain_only: ClassVar[frozenset[str]] = frozenset()

    @final
    def fit_part(self) -> dict[str, Any]:
        """The settings that affect the fit."""
        return self.model_dump(mode="json", exclude=set(self.explain_only))


@dataclass(frozen=True)
class Counterfactuals:
    """Answers to N queries at R relaxations."""

    images: Tensor
    """(R, N, C, H, W) in [0, 1], in the order of the relaxations and of the queries."""
    intervention: Mapping[str, Tensor] = field(default_factory=dict)
    """The variables that were intervened on (latents, path, modules, bits), each (N, ...)."""
    evidence: Mapping[str, Tensor] = field(default_factory=dict)
    """Values of each answer that only the method has, each (R, N, ...); evidence "answer_<name>" for metrics."""


@dataclass(frozen=True)
class Illustration:
    """A figure of a method's own: rows of pictures, without numbers."""

    title: str
    images: Tensor
    """(K, T, C, H, W) in [0, 1]: K rows of T pictures."""
    captions: Sequence[Sequence[str]]
    """Captions below the pictures, K rows of T texts; {3} is replaced by the name of class 3."""
    headings: Sequence[str]
    """Headings above the columns, T texts."""


class Study(BaseModel):
    """A table, and perhaps a figure, of numbers about a method itself rather than its answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    rows: list[dict[str, str | int | float]]
    """Rows of the table, all with the same headings."""
    notes: tuple[str, ...] = ()
    """Notes for the reader: n, seeds, units, source."""
    axes: tuple[str, str, str] | None = None
    """Headings for the figure: x, y, and one line per value of the third; None for no figure."""
    spread: str | None = None
    """Heading of the standard deviation of y."""
    bars: bool = False
    """Whether the figure draws bars, for counts, instead of lines."""


class Method(abc.ABC):
    """A way to answer "what would this picture look like if the classifier saw another class in it?".

    `__init__` stores the configuration, `fit` learns, `explain` answers. Everything fitted is in `self.network`, whose
    state is written to disk.
    """

    Config: ClassVar[type[MethodConfig]]
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Preset -> the settings in which it differs from the defaults. For the default preset there are also "faces", on
    images in colour, and "bias", for bias discovery with its many classifiers of small faces."""
    reference: ClassVar[bool] = False
    """True for a reference: no explanation, but a scale for the tables, listed apart."""
    asks: ClassVar[Asks] = "probabilities"
    """What it asks of the classifier: its answers alone, gradients through it too, or φ and the rest too."""
    one_generator: ClassVar[bool] = False
    """True if the training does not use the classifier; `Trainer.once` then runs it once for all classifiers."""
    takes_truth: ClassVar[bool] = False
    """True for the reference that is given the exact counterfactuals as `exact`; only drawn data have them."""
    takes_attributes: ClassVar[bool] = False
    """True for a method that learns from attributes of the images, and is given their names as `attributes`."""
    version: ClassVar[int] = 1
    """Raised whenever the same settings give other answers than before."""

    exact: Callable[[Tensor, Tensor], Tensor] | None = None
    """(Queries (N, C, H, W), targets (N,)) -> exact counterfactuals; set only if `takes_truth`."""
    attributes: Attributes | None = None
    """The attributes of the images, set before anything is built, only if `takes_attributes`; the images are then
    `DescribedImages`."""

    def __init__(self, config: MethodConfig) -> None:
        self.config = config
        self.network: nn.Module
        self.classifier: Classifier

    @abc.abstractmethod
    def build(self, shape: tuple[int, int, int], class_count: int) -> nn.Module:
        """The untrained network for images of `shape` (C, H, W); it may read sizes of `self.classifier`, no weights."""

    @abc.abstractmethod
    def fit(self, data: ImageSet, classifier: Classifier, *, trainer: Trainer) -> Self:
        """Learn from the training images, to explain `classifier`."""

    @abc.abstractmethod
    def reconstruct(self, images: Tensor) -> Tensor:
        """Reconstructions of `images`: the answers to "change nothing", (N, C, H, W) in [0, 1]."""

    @abc.abstractmethod
    def explain(self, images: Tensor, target: Tensor, relaxations: Sequence[float]) -> Counterfactuals:
        """Counterfactuals of `images` (N, C, H, W) for the classes `target` (N,), at every relaxation in [0, 1].

        Relaxation 1 keeps the query's own code, 0 lets the intervention act fully.
        """

    def diagnostics(self, images: Tensor) -> Mapping[str, Tensor]:  # noqa: ARG002 - most methods have none
        """Values that only this method can report on `images`: evidence name -> one value per image, (N,)."""
        return {}

    def samples(self, count: int) -> Mapping[str, Tensor]:  # noqa: ARG002 - most methods have none
        """Sets of `count` generated images that show the generator's quality, each (count, C, H, W) in [0, 1].

        "samples" are generated from noise alone.
        """
        return {}

    def illustrations(self) -> Mapping[str, Illustration]:
        """Figures that only this method has, by names that can be part of a file name."""
        return {}

    def studies(self) -> Mapping[str, Study]:
        """Tables that only this method has, by names that can be part of a file name."""
        return {}

    def remarks(self) -> tuple[str, ...]:
        """Notes about these settings for readers of the tables, a sentence each."""
        return ()

    @final
    def prepare(self, shape: tuple[int, int, int], classifier: Classifier) -> nn.Module:
        """Build `self.network` for this kind of image and this classifier."""
        self.classifier = classifier
        self.network = self.build(shape, classifier.class_count)
        return self.network

    @final
    def restore(self, state: Mapping[str, Tensor], shape: tuple[int, int, int], classifier: Classifier) -> Self:
        """Restore an earlier fit from the `state_dict` of `self.network`."""
        self.prepare(shape, classifier).load_state_dict(state)
        self.network.eval()
        return self


@torch.no_grad()
def in_batches(function: Callable[[Tensor], Tensor], data: ImageSet, device: torch.device) -> Tensor:
    """Apply `function` to all images in `data`, in batches on `device`; returns one tensor on the CPU."""
    chunks = torch.arange(len(data)).split(BATCH)
    return torch.cat([function(data.batch(chunk).to(device)).cpu() for chunk in chunks])
