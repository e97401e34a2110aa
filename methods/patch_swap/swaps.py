"""The greedy choice of the cells to swap: query cell i becomes distractor cell j, until the class flips.

All queries are searched at once, each for itself. Cells are rows: a query has n of them, its distractors have m, of D
numbers each.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from methods.base import BATCH
from methods.ranks import chosen

Lead = Callable[[Tensor, Tensor], Tensor]
"""Cells (B, n, D) and target classes (B,) -> the target's lead over every other class, (B,), in logits."""


@dataclass(frozen=True)
class Swaps:
    """Which cells of N queries are swapped, in which order, and for what."""

    ranks: Tensor
    """(N, n): when a cell is swapped, from 0; n for a cell that stays."""
    sources: Tensor
    """(N, n): the distractor cell that takes its place, of m; it means nothing for a cell that stays."""

    def swapped(self, relaxation: float = 0.0) -> Tensor:
        """Which cells are swapped, (N, n) bool, when the last share `relaxation` of the swaps is left out, rounded."""
        return chosen(self.ranks, relaxation)

    def of_rows(self, rows: Tensor) -> "Swaps":
        """Those of the queries at `rows` (k,)."""
        return Swaps(self.ranks[rows], self.sources[rows])


@dataclass(frozen=True)
class Donors:
    """The cells of each query's distractors."""

    cells: Tensor
    """(N, m, D)."""
    free: Tensor
    """(N, m) bool: which of them can still be used."""

    def of_rows(self, rows: Tensor) -> "Donors":
        """Those of the queries at `rows` (k,)."""
        return Donors(self.cells[rows], self.free[rows])


def mixed(cells: Tensor, donors: Tensor, swapped: Tensor, sources: Tensor) -> Tensor:
    """The cells (N, n, D) of which the `swapped` ones (N, n) are those of `donors` (N, m, D) at `sources` (N, n)."""
    taken = donors.gather(1, sources[..., None].expand_as(cells))
    return torch.where(swapped[..., None], taken, cells)


def greedy(
    lead: Lead,
    cells: Tensor,
    donors: Donors,
    target: Tensor,
    shortlist: int,
    enough: Callable[[Tensor, Swaps], Tensor],
) -> Swaps:
    """One swap after another, until the target leads and `enough` agrees.

    Each is the swap of the shortlist after which the target leads most. Each cell is swapped once and each distractor
    cell is used once. A query that has its target already gets no swap.

    Parameters
    ----------
    lead
        Judges cells.
    cells
        (N, n, D), of the queries.
    donors
        What they may be swapped for.
    target
        (N,).
    shortlist
        Swaps that are tried at each turn, of n · m: those that promise most by the lead's gradient.
    enough
        (rows (k,), their swaps) -> (k,) bool: which of these queries, whose features have flipped, need no more. Where
        it never agrees, the swaps that first flip the features are kept.
    """
    count = cells.shape[1]
    ranks = torch.full(cells.shape[:2], count, device=cells.device)
    swaps, free = Swaps(ranks, torch.zeros_like(ranks)), donors.free.clone()
    first = ranks.clone()  # the ranks with which the features flip first
    flipped, met = (torch.zeros(len(cells), dtype=torch.bool, device=cells.device) for _ in range(2))
    rows = torch.arange(len(cells), device=cells.device)
    for turn in range(count + 1):
        now = mixed(cells[rows], donors.cells[rows], ranks[rows] < count, swaps.sources[rows])
        leads = lead(now, target[rows]) > 0
        fresh = rows[leads & ~flipped[rows]]
        first[fresh], flipped[fresh] = ranks[fresh], True
        met[rows] = leads & enough(rows, swaps.of_rows(rows))
        more = ~met[rows] & free[rows].any(1) & (turn < count)
        rows, now = rows[more], now[more]
        if not len(rows):
            break
        place, source = _best(lead, now, Donors(donors.cells[rows], free[rows]), ranks[rows], target[rows], shortlist)
        ranks[rows, place], swaps.sources[rows, place], free[rows, source] = turn, source, False
    return Swaps(torch.where((flipped & ~met)[:, None], first, ranks), swaps.sources)


def _best(
    lead: Lead, cells: Tensor, donors: Donors, ranks: Tensor, target: Tensor, shortlist: int
) -> tuple[Tensor, Tensor]:
    """The swap after which the target leads most, of cells that stand and donors that are free: place, source, (k,)."""
    found = []
    for part in torch.arange(len(cells), device=cells.device).split(BATCH):
        allowed = (ranks[part] == ranks.shape[1])[:, :, None] & donors.free[part][:, None]
        promise = _promise(lead, cells[part], donors.cells[part], target[part]).masked_fill(~allowed, -torch.inf)
        listed = promise.flatten(1).topk(min(shortlist, promise[0].numel())).indices
        leads = _leads(lead, cells[part], donors.cells[part], target[part], listed)
        leads = leads.masked_fill(~allowed.flatten(1).gather(1, listed), -torch.inf)
        found.append(listed.gather(1, leads.argmax(1, keepdim=True))[:, 0])
    best = torch.cat(found)
    return best // donors.cells.shape[1], best % donors.cells.shape[1]


@torch.enable_grad()
def _promise(lead: Lead, cells: Tensor, donors: Tensor, target: Tensor) -> Tensor:
    """By how much each swap raises the lead, to first order: (k, n, m)."""
    cells = cells.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(lead(cells, target).sum(), cells)
    return (gradient @ donors.transpose(1, 2) - (gradient * cells).sum(2, keepdim=True)).detach()


def _leads(lead: Lead, cells: Tensor, donors: Tensor, target: Tensor, listed: Tensor) -> Tensor:
    """The target's lead after each of the swaps `listed` (k, s), which are place · m + source: (k, s)."""
    count, row, leads = donors.shape[1], torch.arange(len(cells), device=cells.device), []
    for swap in listed.unbind(1):
        tried = cells.clone()
        tried[row, swap // count] = donors[row, swap % count]
        leads.append(lead(tried, target))
    return torch.stack(leads, dim=1)
