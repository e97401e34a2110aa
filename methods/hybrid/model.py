"""Generators whose layers can be intervened on, and hybrids of their samples (Sec. 3.2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from methods.nn import Doubling

COARSEST = 4
"""Modules of `methods.nn.doublings` that make its first features."""


class ModularGenerator(Protocol):
    """What a generator must offer to take part: its layers by name, and a way to stop at one and to go on from it.

    Behind a layer's channels its features may have further ones, which pass it by (a skip connection) and are the
    unit's own.
    """

    @property
    def latent(self) -> int:
        """Length of z."""

    @property
    def layers(self) -> Mapping[str, int]:
        """Name -> number of channels of each intermediate layer, from the latents to the image."""

    def noise(self, count: int) -> Tensor:
        """`count` latents of the prior, (count, ...)."""

    def upstream(self, latents: Tensor, layer: str) -> Tensor:
        """v(z): features (B, channels, ...) of `layer`, of latents (B, ...)."""

    def downstream(self, features: Tensor, layer: str, latents: Tensor, to: str | None = None) -> Tensor:
        """Y(v): images (B, C, H, W) in [0, 1] of features of `layer`, or the features of the later layer `to`.

        `latents` (B, ...) are those of the unit, for generators in which they enter again behind `layer`.
        """


def generate(generator: ModularGenerator, latents: Tensor) -> Tensor:
    """Y(z) of latents (B, ...), (B, C, H, W)."""
    first = next(iter(generator.layers))
    return generator.downstream(generator.upstream(latents, first), first, latents)


@dataclass(frozen=True)
class Layered:
    """A DCGAN's generator (`methods.nn.doublings`), each of whose features is a layer."""

    network: nn.Sequential
    latent: int

    @property
    def layers(self) -> Mapping[str, int]:
        """Names tell the place and the size."""
        shapes = []
        for module in self.network[:-1]:
            if isinstance(module, nn.Unflatten):
                shapes.append(tuple(module.unflattened_size))
            elif isinstance(module, Doubling):
                shapes.append((module.convolution.out_channels, *module.size))
        return {f"layer {i} ({h} × {w})": channels for i, (channels, h, w) in enumerate(shapes, start=1)}

    def noise(self, count: int) -> Tensor:
        """Latents (count, latent) of N(0, I)."""
        return torch.randn(count, self.latent, device=next(self.network.parameters()).device)

    def upstream(self, latents: Tensor, layer: str) -> Tensor:
        """v(z), (B, channels, h, w), of latents (B, latent)."""
        features: Tensor = self.network[: self._end(layer)](latents)
        return features

    def downstream(self, features: Tensor, layer: str, latents: Tensor, to: str | None = None) -> Tensor:  # noqa: ARG002 - they enter once
        """Images, or features of the later layer `to`."""
        rest = self.network[self._end(layer) : None if to is None else self._end(to)]
        reached: Tensor = rest(features)
        return reached

    def _end(self, layer: str) -> int:
        """Modules of the network up to `layer`."""
        return COARSEST + list(self.layers).index(layer)


@dataclass(frozen=True)
class Pairs:
    """B units z_1 with a z_2 each, run upstream to one layer or to several successive ones."""

    generator: ModularGenerator
    place: Sequence[str]
    """Names of the layers that are intervened on."""
    latents: Tensor
    """z_1, (B, ...)."""
    own: Sequence[Tensor]
    """v(z_1) of each layer, (B, channels, ...)."""
    other: Sequence[Tensor]
    """v(z_2), likewise."""

    @classmethod
    def of(cls, generator: ModularGenerator, place: Sequence[str], own: Tensor, other: Tensor) -> Self:
        """The pairs of latents `own` and `other` (B, ...)."""
        features = ([generator.upstream(latents, layer) for layer in place] for latents in (own, other))
        return cls(generator, place, own, *features)

    def take(self, own: Tensor, other: Tensor) -> "Pairs":
        """New pairs of the units in the rows `own` (n,) with the z_2 in the rows `other` (n,)."""
        mine, others = [v[own] for v in self.own], [v[other] for v in self.other]
        return Pairs(self.generator, self.place, self.latents[own], mine, others)

    def originals(self) -> Tensor:
        """Y(z_1), (B, C, H, W)."""
        return self.generator.downstream(self.own[0], self.place[0], self.latents)

    def hybrids(self, swapped: Sequence[Tensor], relaxation: float = 0.0) -> Tensor:
        """Y of v(z_1) with the swapped channels at r·v(z_1) + (1 − r)·v(z_2), (B, C, H, W) (Sec. 3.2).

        `swapped` has a mask of channels for each layer, (channels,) for all pairs or (B, channels). After the first
        layer the other channels are what the hybrid itself makes of them.
        """
        features, before = self.own[0], None
        for layer, own, other, mask in zip(self.place, self.own, self.other, swapped, strict=True):
            if before is not None:
                features = self.generator.downstream(features, before, self.latents, layer)
            every = F.pad(mask, (0, own.shape[1] - mask.shape[-1]))  # what passes by is not swapped
            wide = every.view(*every.shape, *[1] * (own.ndim - 2))
            features, before = torch.where(wide, torch.lerp(other, own, relaxation), features), layer
        return self.generator.downstream(features, self.place[-1], self.latents)
