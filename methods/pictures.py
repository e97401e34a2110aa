"""Conversion between pictures on disk, with 256 levels, and images for networks, in [0, 1]."""

from dataclasses import dataclass

import torch
from torch import Tensor


def unit(levels: Tensor) -> Tensor:
    """8-bit pictures as float32 in [0, 1]."""
    return levels.float() / 255


def eight_bit(images: Tensor) -> Tensor:
    """Images in [0, 1], rounded to the 256 levels of uint8.

    Raises
    ------
    ValueError
        If a value is not finite or outside [0, 1] by more than rounding.
    """
    if not torch.isfinite(images).all() or (images.numel() and (images.min() < -1e-5 or images.max() > 1 + 1e-5)):
        raise ValueError("a method answered with values outside [0, 1]")
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)


@dataclass(frozen=True)
class Pictures:
    """8-bit pictures in memory, as an `ImageSet`."""

    levels: Tensor
    """(N, C, H, W) uint8."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one picture."""
        channels, height, width = self.levels.shape[1:]
        return channels, height, width

    def __len__(self) -> int:
        return len(self.levels)

    def batch(self, indices: Tensor) -> Tensor:
        """The pictures at `indices`, (B, C, H, W), float32 in [0, 1]."""
        return unit(self.levels[indices])
