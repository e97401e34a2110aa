"""The oracle: a panel of classifiers of other architectures and seeds, trained to read through corruptions.

No method sees a member. One network's blind spot does not decide, and where the members disagree a reader is told so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from benchmark.judges.classifier import ClassifierConfig, ConvClassifier, TrainedClassifier, accuracies
from benchmark.judges.workshop import Workshop
from benchmark.records.record import Judge
from benchmark.records.store import Artefact, code_of, key_of


class Member(NamedTuple):
    """Settings in which a member differs from the investigated classifier's defaults."""

    own: Mapping[str, Any]
    presets: Mapping[str, Mapping[str, Any]]
    """Preset -> further differences; "faces": the default preset on images in colour."""


def _member(own: Mapping[str, Any], faces: Mapping[str, Any], paper: Mapping[str, Any]) -> Member:
    """A member with its own build, on small grey images, on faces and under the preset `paper`."""
    return Member(
        {"corruptions": True, "epochs": 20, **own},
        {
            "smoke": {"epochs": 6},
            "faces": {"epochs": 6, "rotation": 4.0, "zoom": 0.05, "shift": 0.03, **faces},
            "paper": {"features": 256, "dropout": 0.5, "epochs": 10, **paper},
        },
    )


PANEL: Mapping[str, Member] = MappingProxyType(
    {
        "oracle": _member(
            {"channels": (16, 32, 64), "kernel_size": 5, "pooling": "average", "features": 96},
            {"channels": (8, 16, 32, 64)},
            {"channels": (24, 48, 96, 96, 192)},
        ),
        "oracle-2": _member(
            {"channels": (24, 48, 64), "kernel_size": 3, "pooling": "average", "features": 128},
            {"channels": (8, 16, 32, 48, 64)},
            {"channels": (32, 48, 64, 96, 128)},
        ),
        "oracle-3": _member(
            {"channels": (12, 24, 48), "kernel_size": 7, "pooling": "max", "features": 64},
            {"channels": (8, 12, 24, 48), "learning_rate": 1e-3},
            {"channels": (16, 32, 64, 96)},
        ),
    }
)
"""Role of a member -> its settings. The role is also its purpose of random numbers, so each has its own seed."""


class Panel(nn.Module):
    """Classifiers that judge together."""

    def __init__(self, members: list[ConvClassifier]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def each(self, images: Tensor) -> Tensor:
        """Logits (B, M, K) of images (B, C, H, W) in [0, 1] by each of M members."""
        return torch.stack([member(images) for member in self.members], 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, K) of the members' mean probabilities."""
        return together(self.each(images))


def together(logits: Tensor) -> Tensor:
    """Logits (B, K) of the mean probabilities of M members with logits (B, M, K)."""
    return logits.log_softmax(2).logsumexp(1) - torch.tensor(float(logits.shape[1])).log()


@dataclass(frozen=True)
class TrainedPanel:
    """The panel of a question, trained once and kept."""

    members: tuple[TrainedClassifier, ...]
    workshop: Workshop
    role: ClassVar[str] = "oracle"

    @classmethod
    def of(cls, configs: Mapping[str, ClassifierConfig], workshop: Workshop) -> "TrainedPanel":
        """The panel with these settings, by the members' roles."""
        return cls(tuple(TrainedClassifier(role, config, workshop) for role, config in configs.items()), workshop)

    def made(self) -> tuple[Artefact, Judge]:
        """The trained networks on disk, and their entry for a record."""
        artefact = self.workshop.artefact("panel", members=self.settings(), code=code_of(__name__))
        return artefact, Judge.model_validate(artefact.make(self._train))

    def network(self) -> Panel:
        """The trained panel, frozen, on the device."""
        panel = Panel([member.untrained() for member in self.members])
        panel.load_state_dict(self.made()[0].tensors())
        return panel.eval().requires_grad_(False).to(self.workshop.device)

    def settings(self) -> list[dict[str, Any]]:
        """What determines it, beside the images that it learns from."""
        return [{"role": member.role, **member.settings()} for member in self.members]

    def _train(self, _: Artefact) -> tuple[dict[str, Tensor], dict[str, Any]]:
        judges = [member.made()[1] for member in self.members]
        panel = Panel([member.network() for member in self.members])
        state = {name: value.cpu() for name, value in panel.state_dict().items()}
        return state, {
            "config": {},
            "digest": key_of(members=[judge.digest for judge in judges]),
            "trained_on": judges[0].trained_on,
            "fit_seconds": sum(judge.fit_seconds for judge in judges),
            "members": [judge.model_dump(mode="json") for judge in judges],
            **accuracies(panel, self.workshop.question.splits, self.workshop.device),
        }
