"""Corruptions of pictures that a person reads through: a judge learns under them, and is tested under each.

All take images (B, C, H, W) in [0, 1] and give as many back, in [0, 1]. Names and order are those of Hendrycks &
Dietterich, Benchmarking Neural Network Robustness to Common Corruptions and Perturbations, 2019.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

Corruption = Callable[[Tensor], Tensor]

SHARE = 0.5
"""Share of the training images that each corruption meets (ours)."""
SEED = 0
"""Of the noise that judges are tested under."""
NONE = 1e-3
"""Standard deviation of a blur, in pixels, that changes nothing."""


class Strength(NamedTuple):
    """How strong each corruption is at most."""

    blur: float
    """Standard deviation, as a share of the image's longer side."""
    noise: float
    """Standard deviation, as a share of the intensity range."""
    contrast: float
    """Share of the contrast that is left."""


GREY = Strength(2.2 / 28, 0.25, 0.4)
"""For grey images: digits that a person still reads at once (ours)."""
COLOUR = Strength(0.8 / 28, 0.25, 0.4)
"""For images in colour. A third of the blur, because what tells faces apart is a fifth of their side: at a σ of 2.6 of
65 pixels a person cannot tell all mouths, at 1.9 they can (ours)."""


def strongest(channels: int) -> Strength:
    """The strongest corruptions of images with so many channels."""
    return GREY if channels == 1 else COLOUR


def gaussian_noise(images: Tensor, deviation: Tensor | float, generator: torch.Generator | None = None) -> Tensor:
    """Add independent noise to every number, clipped to [0, 1].

    `deviation`, (B, 1, 1, 1) or one for all, is a share of the intensity range.
    """
    noise = torch.randn(images.shape, generator=generator).to(images)
    return (images + deviation * noise).clamp(0, 1)


def gaussian_blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Blur each image by its own standard deviation `sigma` (B,), in pixels; at the border the weights inside count."""
    rows, columns = (_smoothing(sigma, side)[:, None] for side in images.shape[2:])  # (B, 1, side, side)
    return rows @ images @ columns.mT


def _smoothing(sigma: Tensor, side: int) -> Tensor:
    """Weights (B, side, side) of a Gaussian about each place; every row sums to 1."""
    place = torch.arange(side, device=sigma.device)
    apart = (place[:, None] - place).square() / (2 * sigma.clamp_min(NONE)[:, None, None].square())
    return (-apart).softmax(2)


def contrast(images: Tensor, factor: Tensor | float) -> Tensor:
    """Draw every number towards its image's mean; of its difference `factor`, (B, 1, 1, 1) or one for all, is left."""
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + factor * (images - mean)


def corrupted(images: Tensor, strength: float = 1.0) -> Tensor:
    """Each image under a random choice of the corruptions, strong ones more often, because they are harder to read.

    None is stronger than the share `strength` of the strongest.
    """
    count, channels, *sides = images.shape
    most = strongest(channels)
    drawn = torch.rand(2, 3, count, 1, 1, 1).to(images)
    blur, noise, weaker = strength * drawn[0].sqrt() * (drawn[1] < SHARE)
    images = gaussian_blur(images, blur.flatten() * most.blur * max(sides))
    images = contrast(images, 1 - weaker * (1 - most.contrast))
    return gaussian_noise(images, noise * most.noise)


def named(channels: int) -> Mapping[str, Corruption]:
    """Name -> a corruption that judges are tested under, at half and at full strength; noise is drawn from `SEED`."""
    most = strongest(channels)
    found: dict[str, Corruption] = {}
    for words, part in (("half", 0.5), ("full", 1.0)):
        found[f"Gaussian noise, {words}"] = _noise(part * most.noise)
        found[f"Gaussian blur, {words}"] = _blur(part * most.blur)
        found[f"contrast, {words}"] = _contrast(1 - part * (1 - most.contrast))
    return dict(sorted(found.items()))


def _noise(deviation: float) -> Corruption:
    generator = torch.Generator().manual_seed(SEED)
    return lambda images: gaussian_noise(images, deviation, generator)


def _blur(share: float) -> Corruption:
    return lambda images: gaussian_blur(images, images.new_full((len(images),), share * max(images.shape[2:])))


def _contrast(factor: float) -> Corruption:
    return lambda images: contrast(images, factor)
