"""Pictures as a classifier wants them: the usual ways to feed one, and one that is fed in another way for a while."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from benchmark.judges.spec import Input

if TYPE_CHECKING:
    from benchmark.judges.adapter import OwnClassifier

LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in grey (ITU-R BT.601), as Pillow's."""
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
IMAGENET_GREY = {"mean": (0.449,), "std": (0.226,)}
MNIST = {"mean": (0.1307,), "std": (0.3081,)}


class Preprocessing(nn.Module):
    """Pictures (B, C, H, W) in [0, 1] as a network wants them; differentiable."""

    mean: Tensor
    std: Tensor

    def __init__(self, wanted: Input) -> None:
        super().__init__()
        self.wanted = wanted
        self.register_buffer("mean", torch.tensor(wanted.mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(wanted.std).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Channels, size, order, range, mean and deviation, layout: in this order."""
        wanted = self.wanted
        images = with_channels(images, wanted.channels or images.shape[1])
        if wanted.size is not None and images.shape[2:] != wanted.size:
            images = F.interpolate(images, wanted.size, mode="bilinear", antialias=True, align_corners=False)
        if wanted.invert:
            images = 1 - images
        if wanted.order == "bgr":
            images = images.flip(1)
        low, high = wanted.range
        images = (low + (high - low) * images - self.mean) / self.std
        return images.permute(0, 2, 3, 1) if wanted.layout == "nhwc" else images


def with_channels(images: Tensor, channels: int) -> Tensor:
    """Pictures (B, C, H, W) with so many channels: grey is repeated, colour is weighted as Pillow weighs it."""
    if images.shape[1] == channels:
        return images
    if channels == 3:
        return images.expand(-1, 3, -1, -1)
    return (images * images.new_tensor(LUMA).view(3, 1, 1)).sum(1, keepdim=True)


@contextmanager
def fed_as(classifier: "OwnClassifier", wanted: Input) -> Iterator[None]:
    """While it lasts, `classifier` feeds its network as `wanted`."""
    own = classifier.preprocessing
    classifier.preprocessing = Preprocessing(wanted)
    try:
        yield
    finally:
        classifier.preprocessing = own


def plausible(said: Input, channels: int) -> dict[str, Input]:
    """By what it is called: as it is said, and what others are trained on; each once."""
    plain: dict[str, object] = {"range": (0.0, 1.0), "mean": (0.0,), "std": (1.0,)}
    colour = (said.channels or channels) == 3
    changes: dict[str, dict[str, object]] = {
        "[0, 1]": plain,
        "bytes": {**plain, "range": (0.0, 255.0)},
        "[-1, 1]": {**plain, "range": (-1.0, 1.0)},
        "ImageNet's mean and deviation": {**plain, **(IMAGENET if colour else IMAGENET_GREY)},
        **({} if colour else {"MNIST's mean and deviation": {**plain, **MNIST}}),
        "black and white swapped": {"invert": not said.invert},
        **({"blue first": {"order": "rgb" if said.order == "bgr" else "bgr"}} if colour else {}),
    }
    found = {"as it is said": said}
    for name, change in changes.items():
        wanted = Input.model_validate({**said.model_dump(), **change})
        if wanted not in found.values():
            found[name] = wanted
    return found
