"""The choice of the bits to flip: one, as few as a flip needs, or all."""

from collections.abc import Callable

import torch
from torch import Tensor

from methods.ranks import chosen

Judge = Callable[[Tensor, Tensor], Tensor]
"""Codes (B, n) bool and target classes (B,) -> the target's lead over every other class, (B,), in logits."""


def flipped(bits: Tensor, ranks: Tensor, relaxation: float) -> Tensor:
    """`bits` (N, n) with the chosen ones flipped, except for the last share `relaxation` of them, rounded."""
    return bits ^ chosen(ranks, relaxation)


def influence(judge: Judge, bits: Tensor, target: Tensor) -> Tensor:
    """The target's lead after the flip of each single bit of `bits` (N, n): (N, n)."""
    count = bits.shape[1]
    alone = bits[:, None] ^ torch.eye(count, dtype=torch.bool, device=bits.device)
    return judge(alone.flatten(0, 1), target.repeat_interleave(count)).view(-1, count)


def single(judge: Judge, bits: Tensor, target: Tensor) -> Tensor:
    """Ranks (N, n) that flip one bit: the one that raises the target's lead most."""
    best = influence(judge, bits, target).argmax(1, keepdim=True)
    return torch.full(bits.shape, bits.shape[1], device=bits.device).scatter(1, best, 0)


def everything(judge: Judge, bits: Tensor, target: Tensor) -> Tensor:
    """Ranks (N, n) that flip all bits, ordered by how much each changes the target's lead, up or down."""
    effect = (influence(judge, bits, target) - judge(bits, target)[:, None]).abs()
    return effect.argsort(dim=1, descending=True, stable=True).argsort(1)


def greedy(judge: Judge, bits: Tensor, target: Tensor, ranks: Tensor | None = None, *, margin: float = 0.0) -> Tensor:
    """Ranks (N, n) that repeatedly flip the bit that raises the target's lead most, until it leads by `margin`.

    If it never leads by so much, the flips with the greatest lead are kept.

    Parameters
    ----------
    judge
        Returns the target's lead.
    bits
        (N, n) bool.
    target
        (N,).
    ranks
        (N, n): earlier flips, from which the search continues.
    margin
        The lead that is enough if it is exceeded, in logits.

    """
    count = bits.shape[1]
    ranks = torch.full(bits.shape, count, device=bits.device) if ranks is None else ranks.clone()
    bits = flipped(bits, ranks, 0.0)
    used = (ranks < count).sum(1)
    best, best_used = judge(bits, target), used.clone()
    open_rows = ((best <= margin) & (used < count)).nonzero()[:, 0]
    while len(open_rows):
        leads = influence(judge, bits[open_rows], target[open_rows])
        lead, bit = leads.masked_fill(ranks[open_rows] < count, -torch.inf).max(1)
        bits[open_rows, bit] ^= True
        ranks[open_rows, bit] = used[open_rows]
        used[open_rows] += 1
        better = open_rows[lead > best[open_rows]]
        best[better], best_used[better] = lead[lead > best[open_rows]], used[better]
        open_rows = open_rows[(lead <= margin) & (used[open_rows] < count)]
    return torch.where(ranks < best_used[:, None], ranks, count)
