"""Feature extractors for Fréchet and kernel distances."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from benchmark.errors import UserError
from benchmark.judges.classifier import ConvClassifier
from benchmark.judges.panel import Panel

EXTRACTORS = ("oracle", "inception")
"""Names of extractors: `oracle`, the penultimate features of the panel's first member; `inception`,
pytorch-fid's network for colour images."""

WEIGHTS_HELP = "download pt_inception-2015-12-05-6726825d.pth from the releases of pytorch-fid"


def penultimate(panel: Panel) -> Callable[[Tensor], Tensor]:
    """Images (B, C, H, W) -> the input of the last layer of the panel's first member, (B, F).

    One member's, because features of several networks have no common scale: joined, the largest would decide.
    """
    oracle = panel.members[0]
    assert isinstance(oracle, ConvClassifier)  # noqa: S101 - a panel has no others

    def features(images: Tensor) -> Tensor:
        return torch.relu(oracle.features(images))

    return features


def inception_network(weights: Path | None) -> nn.Module:
    """pytorch-fid's InceptionV3: images (B, 3, H, W) in [0, 1] -> features (B, 2048, 1, 1).

    Without `weights` they are read from torch's folder of downloads, and downloaded first if they are missing.

    Raises
    ------
    UserError
        If the weights cannot be downloaded or read; there is no fallback.
    """
    from pytorch_fid import inception  # noqa: PLC0415 - imports torchvision, which few runs need

    if weights is None:
        try:
            return inception.InceptionV3().eval().requires_grad_(False)
        except OSError as error:
            raise UserError(
                f"the Inception weights cannot be downloaded ({error}); {WEIGHTS_HELP} elsewhere "
                "and name the file with --inception-weights"
            ) from error

    # pytorch-fid takes no file name, so its download function is replaced by a reader that runs no code.
    def read(*_: Any, **__: Any) -> Any:  # noqa: ANN401 - replaces torch.hub's function
        return torch.load(weights, weights_only=True, map_location="cpu")

    try:
        with patch.object(inception, "load_state_dict_from_url", read):
            return inception.InceptionV3().eval().requires_grad_(False)
    except Exception as error:
        raise UserError(f"cannot read Inception weights from {weights}: {error!s:.200}; {WEIGHTS_HELP}") from error


def pooled(network: nn.Module) -> Callable[[Tensor], Tensor]:
    """Images -> Inception's last pooled features, (B, 2048)."""

    def features(images: Tensor) -> Tensor:
        maps: Tensor = network(images)[0]
        return maps.flatten(1)

    return features
