"""Attribute oracles: one network that recognises every attribute of a picture.

Of drawn faces it is trained on faces with independent attributes. There an attribute can be recognised only by the
pixels that it draws, so a change that the oracles see is a change in these pixels. Of other data it is trained on their
own training pictures, where attributes that go together cannot be told apart as surely. An attribute with too low an
accuracy is dropped. The pictures are corrupted as the panel's are, because answers can be blurred.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.optim import AdamW

from benchmark.data import ImageData, Subset
from benchmark.judges.corruptions import corrupted
from benchmark.judges.workshop import Workshop, timed
from benchmark.records.store import Artefact, code_of, key_of
from methods.base import in_batches
from methods.training import Phase, Plan, Trainer, brief_warmup_cosine

SEED = 2**20
"""Seed of the attribute oracles and of drawn training faces, for every seed of a job."""


class AttributesConfig(BaseModel):
    """Settings of the attribute oracles."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    faces: int = Field(
        6000, gt=0, description="pictures to learn from: independent faces, or the first of others (ours)"
    )
    unseen: int = Field(2000, gt=0, description="more of them, to judge by (ours)")
    least: float = Field(0.99, ge=0, le=1, description="accuracy on unseen faces under which an attribute is dropped")
    least_balanced: float = Field(
        0.9, ge=0, le=1, description="the same of pictures that are not drawn: mean accuracy with and without it (ours)"
    )
    channels: tuple[Annotated[int, Field(gt=0)], ...] = Field(
        (24, 32, 48, 64), description="of each strided convolution, which halves the size (ours)"
    )
    features: int = Field(128, gt=0, description="width of the layer before the last (ours)")
    epochs: int = Field(10, gt=0, description="passes over the pictures (ours)")
    min_steps: int = Field(600, ge=0, description="steps, at least, where pictures are few (ours)")
    batch_size: int = Field(64, gt=0, description="faces a step (ours)")
    learning_rate: float = Field(2e-3, gt=0, description="AdamW's at its peak (ours)")


STRENGTH = 0.5
"""Of the corruptions: at full strength nobody reads wrinkles, and Young fell to .986 on clean faces."""

PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {"smoke": {"faces": 600, "unseen": 200, "least": 0.7, "least_balanced": 0.7, "epochs": 4, "min_steps": 0}}
)
"""Preset -> the settings in which it differs."""


class AttributeOracles(nn.Module):
    """Strided convolutions, leaky and without pooling, unlike the classifier's: images -> one logit per attribute."""

    def __init__(self, config: AttributesConfig, shape: tuple[int, int, int], count: int) -> None:
        super().__init__()
        self.config = config
        depth, height, width = shape
        layers: list[nn.Module] = []
        for channels in config.channels:
            layers += [nn.Conv2d(depth, channels, 3, stride=2, padding=1), nn.BatchNorm2d(channels), nn.LeakyReLU(0.1)]
            depth, height, width = channels, (height + 1) // 2, (width + 1) // 2
        layers += [nn.Flatten(), nn.Linear(depth * height * width, config.features), nn.LeakyReLU(0.1)]
        self.layers = nn.Sequential(*layers, nn.Linear(config.features, count))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, A) of images (B, C, H, W) in [0, 1]."""
        logits: Tensor = self.layers(images)
        return logits

    def losses(self, images: Tensor, attributes: Tensor) -> dict[str, Tensor]:
        """Cross entropy in nats, averaged over the attributes, of images under random corruptions."""
        return {"loss": F.binary_cross_entropy_with_logits(self(corrupted(images, STRENGTH)), attributes)}


@dataclass(frozen=True)
class Described:
    """Training batches of images and all of their attributes."""

    images: Subset
    attributes: Tensor
    """(N, A) float of 0 and 1."""

    def __call__(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, C, H, W) and attributes (B, A)."""
        return self.images.batch(indices), self.attributes[indices]


def train_attribute_oracles(config: AttributesConfig, pictures: Subset, trainer: Trainer) -> AttributeOracles:
    """Oracles of all attributes of `pictures`, frozen."""
    attributes = pictures.described(names_of(pictures))
    network = AttributeOracles(config, pictures.shape, attributes.shape[1])
    plan = Plan(
        Described(pictures, attributes),
        len(pictures),
        config.epochs,
        config.batch_size,
        config.min_steps,
        brief_warmup_cosine,
    )
    trainer.fit(network, _phases, plan)
    return network.requires_grad_(False)


def accuracies(network: AttributeOracles, unseen: Subset, device: torch.device) -> dict[str, float]:
    """Attribute -> accuracy on `unseen` pictures."""
    right, _ = _right(network, unseen, device)
    return dict(zip(names_of(unseen), right.mean(0).tolist(), strict=True))


def balanced_accuracies(network: AttributeOracles, unseen: Subset, device: torch.device) -> dict[str, float]:
    """Attribute -> mean of the accuracies on `unseen` pictures with it and without it; 0 if either has none.

    An oracle that says the same of every picture has 1/2, however rare the attribute is.
    """
    right, there = _right(network, unseen, device)
    shares = [(right * state).sum(0) / state.sum(0) for state in (there, 1 - there)]
    return dict(zip(names_of(unseen), torch.stack(shares).mean(0).nan_to_num(0.0).tolist(), strict=True))


def _right(network: AttributeOracles, unseen: Subset, device: torch.device) -> tuple[Tensor, Tensor]:
    """Of each picture and attribute: whether it is named rightly, and whether it is there, (N, A) of 0 and 1 each."""
    there = unseen.described(names_of(unseen)).double()
    return ((in_batches(network, unseen, device) > 0) == there.bool()).double(), there


def names_of(pictures: Subset) -> tuple[str, ...]:
    """The attributes that are known of `pictures`."""
    known = pictures.data.known_attributes
    assert known is not None  # noqa: S101 - asked of described pictures alone
    return known.names


def _phases(network: nn.Module) -> list[Phase]:
    assert isinstance(network, AttributeOracles)  # noqa: S101 - `train_attribute_oracles` built it
    return [Phase("losses", AdamW(network.parameters(), lr=network.config.learning_rate))]


@dataclass(frozen=True)
class TrainedAttributeOracles:
    """Oracles of every attribute; of drawn faces the same for all tasks, methods and seeds at this size."""

    config: AttributesConfig
    workshop: Workshop

    def made(self) -> Artefact:
        """The trained oracles on disk; facts: "accuracies" by attribute, and the attributes "kept"."""
        workshop, drawn = self.workshop, self._drawn()
        learnt, unseen = self._pictures(drawn)
        which = {"data": drawn.digest, **workshop.devices.deciding()} if drawn else workshop.conditions()
        key = key_of(config=self.config.model_dump(), code=code_of(__name__), **which)
        artefact = Artefact(workshop.runs, "attributes", key)
        artefact.make(partial(self._train, learnt, unseen, drawn is None))
        return artefact

    def network(self) -> tuple[AttributeOracles, dict[str, Any]]:
        """The trained oracles, frozen, on the device; and the facts of `made`."""
        artefact = self.made()
        facts = artefact.facts() or {}
        network = AttributeOracles(self.config, self.workshop.question.data.shape, len(facts["accuracies"]))
        network.load_state_dict(artefact.tensors())
        return network.eval().requires_grad_(False).to(self.workshop.device), facts

    def _drawn(self) -> ImageData | None:
        """Faces with independent attributes; None of data that cannot be drawn."""
        independent = self.workshop.question.data.independent
        return None if independent is None else independent(self.config.faces + self.config.unseen, SEED)

    def _pictures(self, drawn: ImageData | None) -> tuple[Subset, Subset]:
        """Pictures to learn from, and unseen ones to be judged by."""
        if drawn is None:
            return self.workshop.question.train.first(self.config.faces), self.workshop.question.splits.test
        places = np.arange(len(drawn))
        return Subset(drawn, places[: self.config.faces]), Subset(drawn, places[self.config.faces :])

    def _train(
        self,
        learnt: Subset,
        unseen: Subset,
        balanced: bool,
        artefact: Artefact,
    ) -> tuple[dict[str, Tensor], dict[str, Any]]:
        workshop = self.workshop
        trainer = Trainer(SEED, workshop.devices, artefact.checkpoints, advance=workshop.advance)
        network, seconds = timed("attributes", trainer, partial(train_attribute_oracles, self.config, learnt))
        judge, least = (
            (balanced_accuracies, self.config.least_balanced) if balanced else (accuracies, self.config.least)
        )
        found = judge(network.to(trainer.device), unseen, trainer.device)
        return {name: value.cpu() for name, value in network.state_dict().items()}, {
            "accuracies": found,
            "kept": [name for name, accuracy in found.items() if accuracy >= least],
            "fit_seconds": seconds,
        }
