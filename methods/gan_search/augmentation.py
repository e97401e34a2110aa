"""What a discriminator is shown of an image, real or generated, so that it does not learn a small data set by heart.

Zhao, Liu, Lin, Zhu and Han, "Differentiable Augmentation for Data-Efficient GAN Training", 2020.
"""

import torch
from torch import Tensor

BRIGHTNESS = 0.15
"""Added to all intensities, at most, either way; of the intensity range (the paper: .5)."""
CONTRAST = 0.5
"""By which the factor on the distance to an image's mean differs from 1, at most, either way (as in the paper)."""
SHIFT = 0.1
"""Of the side, at most, either way (the paper: 1/8); what comes in repeats the edge (the paper: is black)."""


def augmented(images: Tensor) -> Tensor:
    """Images (B, C, H, W), each under its own random brightness, contrast and shift; differentiable."""
    drawn = 2 * torch.rand(2, len(images), 1, 1, 1, device=images.device) - 1
    mean = images.mean((1, 2, 3), keepdim=True)
    lit = mean + BRIGHTNESS * drawn[0] + (1 + CONTRAST * drawn[1]) * (images - mean)
    down, across = (int(SHIFT * side) for side in images.shape[2:])
    steps = [torch.randint(-most, most + 1, (len(images),), device=images.device) for most in (down, across)]
    return shifted(lit, *steps)


def shifted(images: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """Images (B, C, H, W), each moved by its own whole pixels `down` and `across`, (B,); the edge is repeated."""
    height, width = images.shape[2:]
    rows = (torch.arange(height, device=images.device) - down[:, None]).clamp(0, height - 1)
    columns = (torch.arange(width, device=images.device) - across[:, None]).clamp(0, width - 1)
    each, channel = torch.arange(len(images), device=images.device), torch.arange(images.shape[1], device=images.device)
    return images[each[:, None, None, None], channel[:, None, None], rows[:, None, :, None], columns[:, None, None]]
