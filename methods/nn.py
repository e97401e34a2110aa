"""What several methods share: building blocks of networks, and how tensors of answers become one."""

from typing import Self

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

SLOPE = 0.2  # slope of leaky ReLUs below zero (DCGAN)


class Averaging(nn.Module):
    """A model with a running average of one of its networks, which answers."""

    averaged: nn.Module

    def train(self, mode: bool = True) -> Self:
        """As ever, except that the average is no network in training."""
        super().train(mode)
        self.averaged.eval()
        return self


class Doubling(nn.Module):
    """Doubles height and width to `size`, which may be odd.

    By a transposed convolution (DCGAN); or, `resized`, by repeating pixels before a convolution, which draws no
    checkerboards (Odena et al. 2016).
    """

    def __init__(
        self, channels_in: int, channels_out: int, size: tuple[int, int], *, last: bool, resized: bool = False
    ) -> None:
        super().__init__()
        self.size, self.resized = size, resized
        self.convolution = (
            # Channels last in memory: with so few of them a CPU takes 2.4 times as long otherwise.
            nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=last).to(memory_format=torch.channels_last)
            if resized
            else nn.ConvTranspose2d(channels_in, channels_out, 4, stride=2, padding=1, bias=last)
        )
        self.finish = nn.Sigmoid() if last else nn.Sequential(nn.BatchNorm2d(channels_out), nn.ReLU())

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels_in, h, w) -> (B, channels_out, *size)."""
        height, width = self.size
        if self.resized:
            return self.finish(self.convolution(F.interpolate(features, self.size)))
        return self.finish(self.convolution(features)[:, :, :height, :width])


def levels(shape: tuple[int, int, int], depth: int) -> list[tuple[int, int]]:
    """(height, width) of the features of `depth` layers, coarse to fine, and of the image of `shape` (C, H, W)."""
    _, height, width = shape
    return [(-(-height // 2**i), -(-width // 2**i)) for i in range(depth, -1, -1)]


def check_halvings(shape: tuple[int, int, int], depth: int) -> None:
    """Check that images of `shape` (C, H, W) can be halved `depth` times.

    Raises
    ------
    ValueError
        If they are too small.
    """
    if 2**depth > min(shape[1:]):
        raise ValueError(f"images of {min(shape[1:])} pixels cannot be halved {depth} times")


def doublings(
    shape: tuple[int, int, int], latent: int, widths: tuple[int, ...], *, resized: bool = False
) -> nn.Sequential:
    """A DCGAN's generator: latents (B, latent) -> features of `widths` channels, coarse to fine -> images in [0, 1].

    The first four modules make the coarsest features, each `Doubling` the next finer ones, the last the image.
    """
    (height, width), *finer = levels(shape, len(widths))
    channels = (*widths, shape[0])
    first = [
        nn.Linear(latent, channels[0] * height * width, bias=False),
        nn.Unflatten(1, (channels[0], height, width)),
        nn.BatchNorm2d(channels[0]),
        nn.ReLU(),
    ]
    rest = [
        Doubling(channels[i], channels[i + 1], size, last=i + 1 == len(finer), resized=resized)
        for i, size in enumerate(finer)
    ]
    return nn.Sequential(*first, *rest)


def halvings(shape: tuple[int, int, int], widths: tuple[int, ...], outputs: int) -> nn.Sequential:
    """Images (B, C, H, W) -> (B, outputs): strided convolutions, and a linear layer."""
    channels, height, width = shape
    layers: list[nn.Module] = []
    for i, wide in enumerate(widths):
        layers.append(nn.Conv2d(channels, wide, 4, stride=2, padding=1, bias=i == 0))
        layers += [nn.BatchNorm2d(wide)] * (i > 0) + [nn.LeakyReLU(SLOPE)]
        channels, height, width = wide, height // 2, width // 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * height * width, outputs))


def standard_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """The KL divergence of a diagonal Gaussian (B, latent) from N(0, I), in nats, (B,)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)


@torch.no_grad()
def follow(averaged: nn.Module, network: nn.Module, share: float) -> None:
    """`averaged` keeps so large a `share` of itself and takes the rest, running statistics too, from `network`."""
    for mean, value in zip(averaged.state_dict().values(), network.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - share)


def stacked(answers: list[Tensor], like: Tensor) -> Tensor:
    """R tensors of the shape of `like` as one, (R, *like.shape), also if R is 0."""
    return torch.stack(answers) if answers else like.new_empty(0, *like.shape)
