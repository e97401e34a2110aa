"""How far channels reach: influence maps (Sec. 3.3)."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from methods.hybrid.model import ModularGenerator, Pairs

BATCH = 64
"""Pairs that are held at once."""


def elementary_influence(generator: ModularGenerator, layer: str, own: Tensor, other: Tensor) -> Tensor:
    """The influence maps of each channel of `layer` for itself, (channels, H, W).

    The pairs, latents `own` and `other` (M, ...), are run upstream once; each channel costs a run downstream.
    """
    one_each = torch.eye(generator.layers[layer], dtype=torch.bool, device=own.device)
    return _mean_effects(generator, [layer], own, other, [[mask] for mask in one_each])


def influence(
    generator: ModularGenerator, place: Sequence[str], own: Tensor, other: Tensor, swapped: Sequence[Tensor]
) -> Tensor:
    """IM(E) of the channels `swapped`, a mask for each layer in `place` (Eq. 2): (H, W)."""
    return _mean_effects(generator, place, own, other, [swapped])[0]


@torch.no_grad()
def _mean_effects(
    generator: ModularGenerator, place: Sequence[str], own: Tensor, other: Tensor, sets: Sequence[Sequence[Tensor]]
) -> Tensor:
    """E |Y(hybrid) − Y(z_1)| of every set of channels, averaged over colours, (sets, H, W)."""
    if not len(own):
        raise ValueError("influence needs at least one pair")
    total = torch.zeros(1, device=own.device)
    for z_1, z_2 in zip(own.split(BATCH), other.split(BATCH), strict=True):
        pairs = Pairs.of(generator, place, z_1, z_2)
        effect = _effect_on(pairs.originals())
        total = total + torch.stack([effect(pairs.hybrids(swapped)) for swapped in sets])
    return total / len(own)


def _effect_on(originals: Tensor) -> Callable[[Tensor], Tensor]:
    """Hybrids (B, C, H, W) -> their absolute differences to `originals`, summed over B, averaged over C."""
    return lambda hybrids: (hybrids - originals).abs().mean(1).sum(0)
