"""The network that separates a picture from its noise, a small U-Net, and what it learns from.

After Ho, Jain and Abbeel 2020, and Dhariwal and Nichol, "Diffusion Models Beat GANs on Image Synthesis", 2021.
"""

import math
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from methods.diffusion.schedule import Schedule
from methods.nn import Averaging, follow

GROUPS = 8
"""Groups of channels that are normalised together, at most."""


@dataclass(frozen=True)
class Sizes:
    """What the network's shapes depend on."""

    shape: tuple[int, int, int]
    """(C, H, W) of a picture."""
    patch: int
    """Side of the square of pixels that becomes one place, with all their values as channels."""
    widths: tuple[int, ...]
    """Channels at each resolution, fine to coarse, each half the size of the one before."""
    blocks: int
    """Residual blocks at each resolution, on the way down and on the way up."""
    attentive: int
    """Resolutions with attention, counted from the coarsest."""


class Residual(nn.Module):
    """Two convolutions, told the time, beside a shortcut."""

    def __init__(self, channels_in: int, channels_out: int, told: int) -> None:
        super().__init__()
        self.first = nn.Sequential(_norm(channels_in), nn.SiLU(), nn.Conv2d(channels_in, channels_out, 3, padding=1))
        self.time = nn.Linear(told, channels_out)
        self.second = nn.Sequential(_norm(channels_out), nn.SiLU(), nn.Conv2d(channels_out, channels_out, 3, padding=1))
        self.shortcut = nn.Identity() if channels_in == channels_out else nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, features: Tensor, time: Tensor) -> Tensor:
        """(B, channels_in, h, w), (B, told) -> (B, channels_out, h, w)."""
        inner = self.first(features) + self.time(time)[:, :, None, None]
        return self.shortcut(features) + self.second(inner)


class Attention(nn.Module):
    """Each place looks at all others, in one head for every 32 channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = _norm(channels)
        self.heads = max(1, channels // 32) if channels % max(1, channels // 32) == 0 else 1
        self.ask = nn.Conv2d(channels, 3 * channels, 1)
        self.answer = nn.Conv2d(channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels, h, w) -> the same shape."""
        parts = self.ask(self.norm(features)).flatten(2).unflatten(1, (3, self.heads, -1)).transpose(3, 4)
        query, key, value = parts.unbind(1)  # (B, heads, h·w, channels / heads) each
        seen = F.scaled_dot_product_attention(query, key, value).transpose(2, 3)
        return features + self.answer(seen.reshape(features.shape))


class Level(nn.Module):
    """The blocks at one resolution, on one way."""

    def __init__(self, inputs: list[int], channels: int, told: int, *, attentive: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Residual(channels_in, channels, told) for channels_in in inputs])
        self.attention = Attention(channels) if attentive else nn.Identity()

    def forward(self, features: Tensor, time: Tensor) -> Tensor:
        """(B, inputs[0], h, w), (B, told) -> (B, channels, h, w)."""
        for block in self.blocks:
            features = block(features, time)
        return self.attention(features)


class UNet(nn.Module):
    """Down to the coarsest resolution and up again; what was seen on the way down is put beside what comes up."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        widths, told = sizes.widths, 2 * sizes.widths[0]
        values = sizes.shape[0] * sizes.patch**2
        looks = [len(widths) - place <= sizes.attentive for place in range(len(widths))]
        rest = sizes.blocks - 1
        self.told = told
        self.tell = nn.Sequential(nn.Linear(told, told), nn.SiLU(), nn.Linear(told, told), nn.SiLU())
        self.enter = nn.Conv2d(values, widths[0], 3, padding=1)
        self.down = nn.ModuleList(
            [Level([wide] * sizes.blocks, wide, told, attentive=look) for wide, look in zip(widths, looks, strict=True)]
        )
        self.halve = nn.ModuleList([nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths)])
        self.middle = Residual(widths[-1], widths[-1], told)
        comes = [*widths[1:], widths[-1]]
        self.up = nn.ModuleList(
            [
                Level([below + wide, *[wide] * rest], wide, told, attentive=look)
                for below, wide, look in zip(comes, widths, looks, strict=True)
            ]
        )
        self.leave = nn.Sequential(_norm(widths[0]), nn.SiLU(), nn.Conv2d(widths[0], values, 3, padding=1))

    def forward(self, noised: Tensor, time: Tensor) -> Tensor:
        """z_t (B, C, H, W) and t / T (B,) in [0, 1] -> what it predicts, (B, C, H, W)."""
        told = self.tell(waves(time, self.told))
        features, seen = self.enter(self._folded(noised)), []
        for place, level in enumerate(self.down):
            features = level(features if place == 0 else self.halve[place - 1](features), told)
            seen.append(features)
        features = self.middle(features, told)
        for level, beside in zip(reversed(self.up), reversed(seen), strict=True):
            wide = F.interpolate(features, beside.shape[2:]) if features.shape != beside.shape else features
            features = level(torch.cat([wide, beside], dim=1), told)
        return self._unfolded(self.leave(features))

    def _folded(self, images: Tensor) -> Tensor:
        """A square of pixels as the channels of one place; sides that are no multiple are padded by zeros."""
        _, height, width = self.sizes.shape
        side = self.sizes.patch
        return F.pixel_unshuffle(F.pad(images, (0, -width % side, 0, -height % side)), side)

    def _unfolded(self, features: Tensor) -> Tensor:
        _, height, width = self.sizes.shape
        return F.pixel_shuffle(features, self.sizes.patch)[:, :, :height, :width]


Predicts = Literal["noise", "picture"]
"""What the U-Net gives: ε, or x (both Ho et al., Sec. 3.2).

ε has to pass the network whole, which needs more channels than a place has values. x has not: its squared error is
weighted by the signal-to-noise ratio ᾱ / (1 − ᾱ), at least by 1 (Salimans and Ho, "Progressive Distillation", 2022) and
at most by `MOST` (Hang et al., "Min-SNR Weighting", 2023).
"""
MOST = 5.0
"""Greatest weight of a picture's squared error, γ of Hang et al."""


class Denoiser(Averaging):
    """The U-Net, and the running average of it that answers."""

    def __init__(self, sizes: Sizes, schedule: Schedule, average: float, predicts: Predicts = "noise") -> None:
        super().__init__()
        self.schedule, self.average, self.predicts = schedule, average, predicts
        self.trained = UNet(sizes)
        self.averaged = deepcopy(self.trained).requires_grad_(False)

    def noise(self, noised: Tensor, time: int) -> Tensor:
        """ε(z, t) of z (B, C, H, W), at a time among all that were trained on: (B, C, H, W)."""
        predicted: Tensor = self.averaged(noised, noised.new_full((len(noised),), time / len(self.schedule)))
        if self.predicts == "noise":
            return predicted
        share = float(self.schedule.kept[time])
        return (noised - math.sqrt(share) * predicted) / math.sqrt(1 - share)

    def losses(self, images: Tensor) -> dict[str, Tensor]:
        """Squared error of what is predicted of images (B, C, H, W) in [0, 1], each at a time of its own."""
        follow(self.averaged, self.trained, self.average)
        step = torch.randint(1, len(self.schedule) + 1, (len(images),), device=images.device)
        share = self.schedule.kept.to(images.device)[step, None, None, None].to(images)
        noise = torch.randn_like(images)
        clean = 2 * images - 1
        noised = share.sqrt() * clean + (1 - share).sqrt() * noise
        found = self.trained(noised, step / len(self.schedule)).to(noise)
        if self.predicts == "noise":
            return {"loss": F.mse_loss(found, noise)}
        weight = (share / (1 - share)).clamp(1, MOST)
        return {"loss": (weight * (found - clean).square()).mean()}


def waves(time: Tensor, count: int) -> Tensor:
    """Times (B,) in [0, 1] as `count` sines and cosines, (B, count).

    Their angular frequencies grow geometrically from 1 to 1,000.
    """
    frequencies = torch.exp(torch.linspace(0, math.log(1000), count // 2, device=time.device))
    angles = time[:, None].float() * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(GROUPS, channels), channels)
