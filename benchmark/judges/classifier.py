"""The investigated classifier f, and the oracle o: another architecture and seed, which no method ever sees."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.optim import AdamW

from benchmark.data import Subset
from methods.training import Phase, Plan, Trainer, brief_warmup_cosine


class ClassifierConfig(BaseModel):
    """Settings of a convolutional classifier; the defaults are the investigated one's."""

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


ORACLE = MappingProxyType({"channels": (16, 32, 64), "kernel_size": 5, "pooling": "average", "features": 96})
"""What sets the oracle apart from the investigated classifier."""

PRESETS: Mapping[str, Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "smoke": {"classifier": {"epochs": 4}, "oracle": {"epochs": 4}},
        "faces": {
            "classifier": {"epochs": 5, "rotation": 4.0, "zoom": 0.05, "shift": 0.03},
            "oracle": {"channels": (8, 16, 32, 64), "epochs": 5, "rotation": 4.0, "zoom": 0.05, "shift": 0.03},
        },
        "paper": {
            "classifier": {"channels": (32, 32, 64, 64, 128, 128), "features": 256, "dropout": 0.5, "epochs": 10},
            "oracle": {"channels": (24, 48, 96, 96, 192), "features": 256, "dropout": 0.5, "epochs": 10},
        },
    }
)
"""Preset -> role -> the settings in which it differs; "faces": those of the default preset on images in colour."""


class MaxPool(nn.Module):
    """The greatest of 2 × 2 pixels.

    Where no gradient is asked for, without PyTorch's own kernel, which takes a CPU ten times as long.
    """

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H // 2, W // 2)."""
        if torch.is_grad_enabled():
            return F.max_pool2d(images, 2)
        height, width = (side // 2 * 2 for side in images.shape[2:])
        rows = torch.maximum(images[:, :, 0:height:2], images[:, :, 1:height:2])
        return torch.maximum(rows[..., 0:width:2], rows[..., 1:width:2])


class ConvClassifier(nn.Module):
    """Convolutions, then two fully connected layers: f = head ∘ φ."""

    def __init__(self, config: ClassifierConfig, shape: tuple[int, int, int], class_count: int) -> None:
        super().__init__()
        self.config, self.class_count, self.feature_count = config, class_count, config.features
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
        self.first = nn.Linear(depth * sides[0] * sides[1], config.features)
        self.rest = nn.Sequential(nn.ReLU(), nn.Dropout(config.dropout), nn.Linear(config.features, class_count))

    def features(self, images: Tensor) -> Tensor:
        """φ(x), (B, features), of images (B, C, H, W) in [0, 1]."""
        phi: Tensor = self.first(self.convolutions(images))
        return phi

    def head(self, features: Tensor) -> Tensor:
        """Logits (B, classes) of φ."""
        logits: Tensor = self.rest(features)
        return logits

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, C, H, W) in [0, 1]."""
        return self.head(self.features(images))

    def losses(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Cross entropy in nats, under random rotations, zooms and shifts."""
        return {"loss": F.cross_entropy(self(self._augmented(images)), labels)}

    def _augmented(self, images: Tensor) -> Tensor:
        """Each image under an affine map of its own."""
        count, _, height, width = images.shape
        config = self.config
        drawn = 2 * torch.rand(4, count, device=images.device) - 1
        angle = torch.deg2rad(config.rotation * drawn[0])
        scale = 1 + config.zoom * drawn[1]
        cosine, sine = scale * angle.cos(), scale * angle.sin()
        across, down = 2 * config.shift * drawn[2], 2 * config.shift * drawn[3]
        # Coordinates run from -1 to 1 along either side, so a rotation of pixels is one of an ellipse.
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
