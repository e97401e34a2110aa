"""A BEGAN: a generator, an autoencoder as its discriminator, and the balance between both (Berthelot et al. 2017)."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from methods.gan_search.model import inversion_error
from methods.nn import Averaging, follow, halvings, levels

PER_SIZE = 2
"""Convolutions at each size."""
POINTS = 40
"""Of the course of a training, a mean over as many steps each."""
COURSE = ("M", "l(x)", "l(G(z))", "k")
"""What the course tells: the convergence measure, both losses and the balance."""


class Enlarging(nn.Module):
    """Doubles height and width by the nearest pixel, then convolves 3 × 3, cut to `size` where that is odd.

    Both are one convolution at the smaller size, with four times the channels: so a layer of few channels costs less.
    """

    taps: Tensor
    """(2, 3, 3): which weights (last) fall on which smaller pixel, for the even and the odd of the larger ones."""

    def __init__(self, channels_in: int, channels_out: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size
        self.convolution = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        taps = torch.tensor([[[1.0, 0, 0], [0, 1, 1], [0, 0, 0]], [[0, 0, 0], [1, 1, 0], [0, 0, 1]]])
        self.register_buffer("taps", taps, persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels_in, h, w) -> (B, channels_out, *size)."""
        weight, bias = self.convolution.weight, self.convolution.bias
        folded = torch.einsum("pau,qbv,ocuv->opqcab", self.taps, self.taps, weight).flatten(0, 2)
        shuffled = F.conv2d(features, folded, padding=1)
        height, width = self.size
        parts = shuffled.unflatten(1, (len(weight), 2, 2))  # (B, channels_out, row, column, h, w)
        larger = parts.permute(0, 1, 4, 2, 5, 3).flatten(4).flatten(2, 3)[:, :, :height, :width]
        assert bias is not None  # noqa: S101 - it has one
        return larger + bias[:, None, None]


class Decoder(nn.Module):
    """Latents (B, latent) -> images (B, C, H, W) in [0, 1], by two convolutions a size, the nearest pixel in between.

    The first features are enlarged, too, and enter each later size again (the skip connections).
    """

    def __init__(self, shape: tuple[int, int, int], latent: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.sizes = levels(shape, len(widths))
        self.widths = [wide for wide in widths for _ in range(PER_SIZE)]
        height, width = self.sizes[0]
        self.first = nn.Sequential(
            nn.Linear(latent, widths[0] * height * width), nn.Unflatten(1, (widths[0], height, width))
        )
        self.convolutions = nn.ModuleList()
        for i, (before, after) in enumerate(pairwise((widths[0], *self.widths, shape[0]))):
            if _enlarges(i):
                self.convolutions.append(Enlarging(before + widths[0], after, self.sizes[i // PER_SIZE]))
            else:
                self.convolutions.append(nn.Conv2d(before, after, 3, padding=1))

    def forward(self, latents: Tensor) -> Tensor:
        """Images of `latents`."""
        first = self.first(latents)
        return self.run(first, first, 0, len(self.convolutions))

    def run(self, first: Tensor, features: Tensor, start: int, end: int) -> Tensor:
        """What `end` convolutions make, (B, channels, h, w), of the features behind `start` ones; of all: the images.

        `first` are the unit's first features.
        """
        for i in range(start, end):
            if _enlarges(i):
                features = torch.cat([features, F.interpolate(first, size=features.shape[2:])], dim=1)
            features = self.convolutions[i](features)
            features = F.elu(features) if i < len(self.widths) else (1 + features) / 2
        return features


def _enlarges(convolution: int) -> bool:
    """Whether it is the first one of its size, the coarsest size apart."""
    return convolution > 0 and convolution % PER_SIZE == 0


def narrowing(shape: tuple[int, int, int], latent: int, widths: tuple[int, ...]) -> nn.Sequential:
    """The decoder's mirror, images -> codes (B, latent): two convolutions a size, of which the first one halves it."""
    channels, layers = shape[0], list[nn.Module]()
    for wide in reversed(widths):
        layers += [nn.Conv2d(channels, wide, 3, stride=2, padding=1), nn.ELU()]
        layers += [nn.Conv2d(wide, wide, 3, padding=1), nn.ELU()]
        channels = wide
    height, width = levels(shape, len(widths))[0]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * height * width, latent))


def uniform(count: int, latent: int, device: torch.device) -> Tensor:
    """Latents (count, latent) of the prior, uniform in [−1, 1]."""
    return 2 * torch.rand(count, latent, device=device) - 1


@dataclass(frozen=True)
class Convolutions:
    """A BEGAN's generator, each of whose convolutions is a layer, the one that makes the image apart."""

    network: Decoder
    latent: int

    @property
    def layers(self) -> Mapping[str, int]:
        """Names tell the place and the size."""
        sizes = [size for size in self.network.sizes[:-1] for _ in range(PER_SIZE)]
        shapes = zip(sizes, self.network.widths, strict=True)
        return {f"layer {i} ({h} × {w})": channels for i, ((h, w), channels) in enumerate(shapes, start=1)}

    def noise(self, count: int) -> Tensor:
        """Latents (count, latent), uniform in [−1, 1]."""
        return uniform(count, self.latent, next(self.network.parameters()).device)

    def upstream(self, latents: Tensor, layer: str) -> Tensor:
        """v(z), (B, channels, h, w), of latents (B, latent)."""
        first = self.network.first(latents)
        return self.network.run(first, first, 0, self._end(layer))

    def downstream(self, features: Tensor, layer: str, latents: Tensor, to: str | None = None) -> Tensor:
        """Images, or features of the later layer `to`; the unit's first features enter each size again."""
        end = len(self.network.convolutions) if to is None else self._end(to)
        reached = self.network.run(self.network.first(latents), features, self._end(layer), end)
        return reached.clamp(0, 1) if to is None else reached

    def _end(self, layer: str) -> int:
        """Convolutions up to `layer`."""
        return 1 + list(self.layers).index(layer)


@dataclass(frozen=True)
class BeganSizes:
    """What the networks' shapes depend on."""

    shape: tuple[int, int, int]
    """(C, H, W) of an image."""
    latent: int
    """Length of z and of the autoencoder's code."""
    generator: tuple[int, ...]
    """Channels of the generator, coarse to fine, of two convolutions each."""
    discriminator: tuple[int, ...]
    """The same of the autoencoder's decoder; its encoder mirrors it."""
    encoder: tuple[int, ...]
    """Channels of the encoder that inverts the generator, fine to coarse."""


@dataclass(frozen=True)
class Balance:
    """How generator and discriminator are held in balance."""

    gamma: float
    """γ: the share of ℓ(x) that ℓ(G(z)) is held at."""
    rate: float
    """λ_k: how fast k follows."""
    average: float
    """Share of the generator's running average that a step keeps."""


def steps_a_point(steps: int) -> int:
    """Of a training of so many steps, how many make a point of its course."""
    return max(1, -(-steps // POINTS))


class Began(Averaging):
    """Generator, its running average, the autoencoder that judges it, k, and the encoder that inverts the average."""

    averaged: Decoder
    k: Tensor
    """k_t, the weight of ℓ(G(z)) in the discriminator's loss, ()."""
    steps: Tensor
    """Of the training so far, ()."""
    course: Tensor
    """(POINTS, 4): sums of `COURSE` over `steps_a_point` steps each."""

    def __init__(self, sizes: BeganSizes, balance: Balance) -> None:
        super().__init__()
        self.sizes, self.balance = sizes, balance
        self.plan(POINTS)
        self.generator = Decoder(sizes.shape, sizes.latent, sizes.generator)
        self.discriminator = nn.Sequential(
            narrowing(sizes.shape, sizes.latent, sizes.discriminator),
            Decoder(sizes.shape, sizes.latent, sizes.discriminator),
        )
        self.averaged = deepcopy(self.generator).requires_grad_(False)
        self.encoder = halvings(sizes.shape, sizes.encoder, sizes.latent)
        self.register_buffer("k", torch.zeros(()))
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self.register_buffer("course", torch.zeros(POINTS, len(COURSE)))

    def noise(self, count: int) -> Tensor:
        """`count` latents of the prior."""
        return uniform(count, self.sizes.latent, self.k.device)

    def plan(self, steps: int) -> None:
        """Spread the course over so many steps."""
        self.steps_a_point = steps_a_point(steps)

    def told(self) -> list[tuple[int, list[float]]]:
        """Along the training: how many steps there had been, and the means of `COURSE` since the point before."""
        steps, each = int(self.steps), steps_a_point(int(self.steps))
        ends = [min(start + each, steps) for start in range(0, steps, each)]
        counts = [end - start for start, end in zip([0, *ends], ends, strict=False)]
        return [(end, (sums / count).tolist()) for end, count, sums in zip(ends, counts, self.course, strict=False)]

    # -- training ------------------------------------------------------------------------------------------------------

    def discriminator_losses(self, images: Tensor) -> dict[str, Tensor]:
        """L_D = ℓ(x) − k ℓ(G(z)) on images (B, C, H, W), of the range; k and the course follow."""
        with torch.no_grad():
            generated = self.generator(self.noise(len(images)))
        errors = self.errors(torch.cat([images, generated]))
        real, fake = (part.mean() for part in errors.split(len(images)))
        loss = real - self.k.clone() * fake
        self.balance_out(float(real.detach()), float(fake.detach()))
        return {"loss": loss, "real": real, "fake": fake}

    def generator_losses(self, images: Tensor) -> dict[str, Tensor]:
        """L_G = ℓ(G(z))."""
        follow(self.averaged, self.generator, self.balance.average)
        return {"loss": self.errors(self.generator(self.noise(len(images)))).mean()}

    def encoder_losses(self, images: Tensor) -> dict[str, Tensor]:
        """The encoder's errors on images (B, C, H, W) and on as many sampled latents."""
        return {"loss": inversion_error(self.encoder, self.averaged, images, self.noise(len(images)))}

    def errors(self, images: Tensor) -> Tensor:
        """ℓ of each of `images` (B, C, H, W): the autoencoder's mean absolute error a pixel, (B,)."""
        error: Tensor = (self.discriminator(images) - images).abs().flatten(1).mean(1)
        return error

    @torch.no_grad()
    def balance_out(self, real: float, fake: float) -> None:
        """Move k by how far ℓ(G(z)) is below γ ℓ(x), within [0, 1], and take the step up in the course."""
        apart = self.balance.gamma * real - fake
        point = min(int(self.steps) // self.steps_a_point, POINTS - 1)
        told = self.course.new_tensor([real + abs(apart), real, fake, float(self.k)])
        self.course[point] += told
        self.k.add_(self.balance.rate * apart).clamp_(0, 1)
        self.steps.add_(1)
