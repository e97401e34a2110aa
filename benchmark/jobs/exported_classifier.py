"""The classifier that `benchmark export` wrote beside this file; it needs torch and safetensors, and nothing else.

`build()` returns it frozen: pictures (N, C, H, W), float in [0, 1], in; logits (N, classes) out. Class k is the k-th of
`classes()`.
"""

import json
from pathlib import Path
from typing import Any, cast

from safetensors import safe_open
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("classifier.safetensors")


class Classifier(nn.Module):
    """Convolutions that each halve the size, then two fully connected layers."""

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__()
        (depth, *sides), size = settings["shape"], settings["kernel_size"]
        pool = nn.MaxPool2d(2) if settings["pooling"] == "max" else nn.AvgPool2d(2)
        layers: list[nn.Module] = []
        for channels in settings["channels"]:
            layers += [
                nn.Conv2d(depth, channels, size, padding="same", bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(),
            ]
            if min(sides) > 1:
                layers.append(pool)
                sides = [side // 2 for side in sides]
            depth = channels
        self.convolutions = nn.Sequential(*layers, nn.Flatten())
        self.first = nn.Linear(depth * sides[0] * sides[1], settings["features"])
        self.rest = nn.Sequential(
            nn.ReLU(), nn.Dropout(settings["dropout"]), nn.Linear(settings["features"], len(settings["classes"]))
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, C, H, W) in [0, 1]."""
        return cast(Tensor, self.rest(self.first(self.convolutions(images))))


def _settings(weights: Path) -> dict[str, Any]:
    with safe_open(str(weights), "pt") as file:
        return cast(dict[str, Any], json.loads(file.metadata()["settings"]))


def classes(weights: Path = WEIGHTS) -> list[str]:
    """The names of the classes, in the order of the logits."""
    return [str(name) for name in _settings(weights)["classes"]]


def build(weights: Path = WEIGHTS) -> nn.Module:
    """The trained classifier, frozen, in evaluation mode, on the CPU."""
    network = Classifier(_settings(weights))
    with safe_open(str(weights), "pt") as file:
        network.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 - no mapping
    return network.eval().requires_grad_(False)
