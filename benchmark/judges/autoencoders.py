"""Small autoencoders, one per class and one of all classes, for the metrics IM1 and IM2."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from types import MappingProxyType
from typing import Annotated, Any

import torch.nn.functional as F  # noqa: N812 - torch's own convention
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.optim import Adam

from benchmark.data import Subset
from benchmark.judges.classifier import Labelled
from benchmark.judges.workshop import Workshop, timed
from benchmark.records.store import Artefact, code_of
from methods.training import Phase, Plan, Trainer


class AutoencoderConfig(BaseModel):
    """Settings of each autoencoder."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    channels: tuple[Annotated[int, Field(gt=0)], ...] = Field(
        (8, 16), min_length=1, description="of each convolution; each halves the size (ours)"
    )
    code: int = Field(16, gt=0, description="numbers that an image is squeezed through (ours)")
    epochs: int = Field(6, gt=0, description="passes over the training images (ours)")
    batch_size: int = Field(64, gt=0, description="images a step (ours)")
    learning_rate: float = Field(4e-3, gt=0, description="Adam's (ours)")


PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "smoke": {"epochs": 2},
        "faces": {"channels": (8, 16, 32), "code": 32, "epochs": 4},
        "paper": {"channels": (32, 32, 64, 64), "code": 64, "epochs": 4},
    }
)
"""Preset -> the settings in which it differs; "faces": the default preset on images in colour."""


class Autoencoder(nn.Module):
    """Strided convolutions down to a short code, and back: images (B, C, H, W) in [0, 1] -> the same."""

    def __init__(self, config: AutoencoderConfig, shape: tuple[int, int, int]) -> None:
        super().__init__()
        widths = (shape[0], *config.channels)
        pairs = list(pairwise(widths))
        self.sizes = [shape[1:]]  # before each convolution, and after the last
        for _ in pairs:
            self.sizes.append(((self.sizes[-1][0] + 1) // 2, (self.sizes[-1][1] + 1) // 2))
        self.down = nn.ModuleList(nn.Conv2d(here, there, 3, stride=2, padding=1) for here, there in pairs)
        self.up = nn.ModuleList(nn.Conv2d(there, here, 3, padding=1) for here, there in reversed(pairs))
        smallest = (widths[-1], *self.sizes[-1])
        length = smallest[0] * smallest[1] * smallest[2]
        self.encode = nn.Sequential(nn.Flatten(), nn.Linear(length, config.code))
        self.decode = nn.Sequential(nn.Linear(config.code, length), nn.Unflatten(1, smallest))

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) restored from their codes."""
        for convolution in self.down:
            images = convolution(images).relu()
        images = self.decode(self.encode(images))
        for convolution, size in zip(self.up, self.sizes[-2::-1], strict=True):
            images = convolution(F.interpolate(images.relu(), size=size))
        return images.sigmoid()


class Autoencoders(nn.Module):
    """The autoencoders of the classes in order, then the one of all classes; they share no weights."""

    def __init__(self, config: AutoencoderConfig, shape: tuple[int, int, int], class_count: int) -> None:
        super().__init__()
        self.config = config
        self.parts = nn.ModuleList(Autoencoder(config, shape) for _ in range(class_count + 1))

    def losses(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Squared errors, summed over the pixels of an image and over the two autoencoders trained on it."""
        error = (self.parts[-1](images) - images).square().sum()
        for label in labels.unique().tolist():
            own = images[labels == label]
            error = error + (self.parts[label](own) - own).square().sum()
        return {"loss": error / len(images)}


def train_autoencoders(config: AutoencoderConfig, data: Subset, class_count: int, trainer: Trainer) -> Autoencoders:
    """Autoencoders of `data` and of each of its classes, frozen."""
    network = Autoencoders(config, data.shape, class_count)
    plan = Plan(batch=Labelled(data), count=len(data), epochs=config.epochs, batch_size=config.batch_size)
    trainer.fit(network, _phases, plan)
    return network.requires_grad_(False)


def _phases(network: nn.Module) -> list[Phase]:
    assert isinstance(network, Autoencoders)  # noqa: S101 - `train_autoencoders` built it
    return [Phase("losses", Adam(network.parameters(), lr=network.config.learning_rate, fused=True))]


@dataclass(frozen=True)
class TrainedAutoencoders:
    """The autoencoders of a question, trained once and kept; no method sees them."""

    config: AutoencoderConfig
    workshop: Workshop

    @property
    def artefact(self) -> Artefact:
        """Where the trained autoencoders are kept, or will be."""
        return self.workshop.artefact("autoencoders", config=self.config.model_dump(), code=code_of(__name__))

    def made(self) -> Artefact:
        """The trained autoencoders on disk."""
        artefact = self.artefact
        artefact.make(self._train)
        return artefact

    def networks(self) -> list[Callable[[Tensor], Tensor]]:
        """The trained autoencoders, frozen, on the device; the one of all classes last."""
        question = self.workshop.question
        network = Autoencoders(self.config, question.data.shape, question.class_count)
        network.load_state_dict(self.made().tensors())
        return list(network.eval().requires_grad_(False).to(self.workshop.device).parts)

    def _train(self, artefact: Artefact) -> tuple[dict[str, Tensor], dict[str, Any]]:
        question, trainer = self.workshop.question, self.workshop.trainer("autoencoders", artefact)
        learn = partial(train_autoencoders, self.config, question.train, question.class_count)
        network, seconds = timed("autoencoders", trainer, learn)
        return network.state_dict(), {"fit_seconds": seconds}
