"""The oracle: a panel of classifiers of other architectures and seeds, trained to read through corruptions.

No method sees a member. One network's blind spot does not decide, and where the members disagree a reader is told so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
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


BEHIND = 0.05
"""A member that reads this much fewer of the validation pictures than the best one is trained once more."""


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
        made = [(member, member.made()[1]) for member in self.members]
        least = max(judge.validation_accuracy for _, judge in made) - BEHIND
        made = [_once_more(*pair) if pair[1].validation_accuracy < least else pair for pair in made]
        judges = [judge for _, judge in made]
        panel = Panel([member.network() for member, _ in made])
        state = {name: value.cpu() for name, value in panel.state_dict().items()}
        return state, {
            "config": {},
            "digest": key_of(members=[judge.digest for judge in judges]),
            "trained_on": judges[0].trained_on,
            "fit_seconds": sum(judge.fit_seconds for judge in judges),
            "members": [judge.model_dump(mode="json") for judge in judges],
            **accuracies(panel, self.workshop.question.splits, self.workshop.device),
        }


def _once_more(member: TrainedClassifier, judge: Judge) -> tuple[TrainedClassifier, Judge]:
    """The better of `member` and one like it that learns slower and twice as long, with its entry for a record."""
    slower = {"epochs": 2 * member.config.epochs, "learning_rate": member.config.learning_rate / 3}
    other = replace(member, config=member.config.model_copy(update=slower))
    second = other.made()[1]
    better = max((member, judge), (other, second), key=lambda pair: pair[1].validation_accuracy)
    words = f"{judge.trained_on}; once more, because it read {judge.validation_accuracy:.1%} of the validation pictures"
    told = {"config": judge.config, "trained_on": words, "fit_seconds": judge.fit_seconds + second.fit_seconds}
    return better[0], better[1].model_copy(update=told)
