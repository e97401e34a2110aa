"""Convolutional classifiers: the investigated one, and each of the panel that is the oracle."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.optim import AdamW

from benchmark.data import Subset
from benchmark.data.tasks import Splits
from benchmark.judges.corruptions import Corruption, corrupted, named
from benchmark.judges.workshop import Workshop, timed
from benchmark.records.record import Judge
from benchmark.records.store import Artefact, code_of, key_of
from methods.base import Layer, in_batches
from methods.training import Phase, Plan, Trainer, brief_warmup_cosine

Network = Callable[[Tensor], Tensor]

CLASSIFIER = "classifier"
"""Role of the investigated one."""
RETRAINED = ("classifier-2", "classifier-3")
"""Roles of the same classifier trained again under other seeds; no method sees them."""
DISJOINT = 20_000
"""With at least so many training images, the classifier and the oracles learn from separate halves."""


class ClassifierConfig(BaseModel):
    """Settings of a convolutional classifier; the defaults are for the investigated one."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    channels: tuple[Annotated[int, Field(gt=0)], ...] = Field(
        (16, 32, 64), description="of each convolution; each halves the size"
    )
    kernel_size: int = Field(3, gt=0, description="pixels")
    pooling: Literal["max", "average"] = Field("max", description="how the size is halved")
    features: int = Field(64, gt=0, description="length of φ(x), the first fully connected layer's output")
    dropout: float = Field(0.3, ge=0, lt=1, description="between the two fully connected layers")
    epochs: int = Field(16, gt=0, description="passes over the training images")
    batch_size: int = Field(64, gt=0, description="images a step")
    learning_rate: float = Field(3e-3, gt=0, description="AdamW's, at its peak")
    rotation: float = Field(12.0, ge=0, description="augmentation: degrees either way")
    zoom: float = Field(0.12, ge=0, lt=1, description="augmentation: share of the size either way")
    shift: float = Field(0.08, ge=0, lt=1, description="augmentation: share of the side either way")
    corruptions: bool = Field(False, description="augmentation: also noise, blur and contrast (corruptions.py)")


PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "smoke": {"epochs": 4},
        "faces": {"epochs": 5, "rotation": 4.0, "zoom": 0.05, "shift": 0.03},
        "paper": {"channels": (32, 32, 64, 64, 128, 128), "features": 256, "dropout": 0.5, "epochs": 10},
    }
)
"""Preset -> settings in which the investigated classifier differs; "faces": the default preset on images in colour."""


class MaxPool(nn.Module):
    """Maximum over 2 × 2 pixels.

    Without gradients it avoids PyTorch's own kernel, which takes ten times as long on a CPU.
    """

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H // 2, W // 2)."""
        if torch.is_grad_enabled():
            return F.max_pool2d(images, 2)
        height, width = (side // 2 * 2 for side in images.shape[2:])
        rows = torch.maximum(images[:, :, 0:height:2], images[:, :, 1:height:2])
        return torch.maximum(rows[..., 0:width:2], rows[..., 1:width:2])


class ConvClassifier(nn.Module):
    """Convolutions, then two fully connected layers: f = head ∘ φ at either hidden layer."""

    feature_counts: Mapping[Layer, int]

    def __init__(self, config: ClassifierConfig, shape: tuple[int, int, int], class_count: int) -> None:
        super().__init__()
        self.config, self.class_count = config, class_count
        depth, *sides = shape
        layers: list[nn.Module] = []
        for channels in config.channels:
            layers += [
                nn.Conv2d(depth, channels, config.kernel_size, padding="same", bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(),
            ]
            if min(sides) > 1:
                layers.append(MaxPool() if config.pooling == "max" else nn.AvgPool2d(2))
                sides = [side // 2 for side in sides]
            depth = channels
        self.convolutions = nn.Sequential(*layers, nn.Flatten())
        self.spatial: tuple[int, int, int] | None = (depth, sides[0], sides[1])
        self.feature_counts = {"fully connected": config.features, "convolutional": depth * sides[0] * sides[1]}
        self.first = nn.Linear(self.feature_counts["convolutional"], config.features)
        self.rest = nn.Sequential(nn.ReLU(), nn.Dropout(config.dropout), nn.Linear(config.features, class_count))

    def features(self, images: Tensor, layer: Layer = "fully connected") -> Tensor:
        """φ(x), (B, features), of images (B, C, H, W) in [0, 1]."""
        maps: Tensor = self.convolutions(images)
        return maps if layer == "convolutional" else self.first(maps)

    def head(self, features: Tensor, layer: Layer = "fully connected") -> Tensor:
        """Logits (B, classes) of φ."""
        logits: Tensor = self.rest(self.first(features) if layer == "convolutional" else features)
        return logits

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, C, H, W) in [0, 1]."""
        return self.head(self.features(images))

    def losses(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Cross entropy in nats, under random rotations, zooms and shifts, and corruptions if the settings say so."""
        images = self._augmented(images)
        return {"loss": F.cross_entropy(self(corrupted(images) if self.config.corruptions else images), labels)}

    def _augmented(self, images: Tensor) -> Tensor:
        """Each image under its own random affine map."""
        count, _, height, width = images.shape
        config = self.config
        drawn = 2 * torch.rand(4, count, device=images.device) - 1
        angle = torch.deg2rad(config.rotation * drawn[0])
        scale = 1 + config.zoom * drawn[1]
        cosine, sine = scale * angle.cos(), scale * angle.sin()
        across, down = 2 * config.shift * drawn[2], 2 * config.shift * drawn[3]
        # Coordinates run from -1 to 1 on either side, so unequal sides need their ratio in the rotation.
        across_by_down, down_by_across = -sine * height / width, sine * width / height
        rows = torch.stack([cosine, across_by_down, across, down_by_across, cosine, down], dim=1)
        grid = F.affine_grid(rows.view(count, 2, 3), list(images.shape), align_corners=False)
        return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


@dataclass(frozen=True)
class Labelled:
    """Training batches of images and labels."""

    data: Subset

    def __call__(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, C, H, W) and labels (B,)."""
        return self.data.batch(indices), self.data.labels[indices]


def train(config: ClassifierConfig, data: Subset, class_count: int, trainer: Trainer) -> ConvClassifier:
    """A classifier of `data`, frozen."""
    network = ConvClassifier(config, data.shape, class_count)
    plan = Plan(
        batch=Labelled(data),
        count=len(data),
        epochs=config.epochs,
        batch_size=config.batch_size,
        schedule=brief_warmup_cosine,
    )
    trainer.fit(network, _phases, plan)
    return network.requires_grad_(False)


def _phases(network: nn.Module) -> list[Phase]:
    assert isinstance(network, ConvClassifier)  # noqa: S101 - `train` built it
    return [Phase("losses", AdamW(network.parameters(), lr=network.config.learning_rate))]


@dataclass(frozen=True)
class TrainedClassifier:
    """The classifier of a question, trained once and kept; one like it; or one member of its panel."""

    role: str
    """ "classifier", one of `RETRAINED`, or a member's: a purpose of random numbers."""
    config: ClassifierConfig
    workshop: Workshop

    @property
    def artefact(self) -> Artefact:
        """Where the trained network is kept, or will be."""
        return self.workshop.artefact(self.role, config=self.config.model_dump(), code=code_of(__name__))

    def made(self) -> tuple[Artefact, Judge]:
        """The trained network on disk, and its entry for a record."""
        artefact = self.artefact
        return artefact, Judge.model_validate(artefact.make(self._train))

    def network(self) -> ConvClassifier:
        """The trained network, frozen, on the device."""
        artefact, _ = self.made()
        network = self.untrained()
        network.load_state_dict(artefact.tensors())
        return network.eval().requires_grad_(False).to(self.workshop.device)

    def untrained(self) -> ConvClassifier:
        """The untrained network."""
        question = self.workshop.question
        return ConvClassifier(self.config, question.data.shape, question.class_count)

    def settings(self) -> dict[str, Any]:
        """What determines it, beside the images that it learns from."""
        return self.config.model_dump()

    def learns_from(self) -> tuple[Subset, str]:
        """Its training images, and their description for a record."""
        images = self.workshop.question.train
        if len(images) < DISJOINT:
            return images, f"all {len(images)} training images"
        own = Subset(images.data, images.indices[int(not self.role.startswith(CLASSIFIER)) :: 2])
        return own, f"{len(own)} training images that the other side has not seen"

    def _train(self, artefact: Artefact) -> tuple[dict[str, Tensor], dict[str, Any]]:
        images, words = self.learns_from()
        question, trainer = self.workshop.question, self.workshop.trainer(self.role, artefact)
        network, seconds = timed(self.role, trainer, partial(train, self.config, images, question.class_count))
        network.to(trainer.device)
        state = {name: value.cpu() for name, value in network.state_dict().items()}
        facts = {
            "config": self.config.model_dump(mode="json"),
            "digest": key_of(**{name: value.numpy().tobytes().hex() for name, value in state.items()}),
            "trained_on": words,
            "fit_seconds": seconds,
            **accuracies(network, question.splits, trainer.device),
        }
        return state, facts


def accuracies(network: Network, splits: Splits, device: torch.device) -> dict[str, Any]:
    """What a `Judge` says of a network's accuracy: on validation and test images, and on the latter corrupted."""
    test = splits.test
    under = named(test.data.shape[0])
    return {
        "validation_accuracy": accuracy(network, splits.validation, device),
        "test_accuracy": accuracy(network, test, device),
        "test_n": len(test),
        "corrupted": {name: accuracy(after(corrupt, network), test, device) for name, corrupt in under.items()},
    }


def after(corrupt: Corruption, network: Network) -> Network:
    """The network that sees every image corrupted."""
    return lambda images: network(corrupt(images))


def accuracy(network: Network, subset: Subset, device: torch.device) -> float:
    """The share of `subset` whose label the network names: images (B, C, H, W) in [0, 1] -> logits (B, K)."""
    return int((in_batches(network, subset, device).argmax(1) == subset.labels).sum()) / len(subset)
