"""The least change that flips, among pairs of a query with its donors and sets of modules."""

from dataclasses import dataclass

import torch
from torch import Tensor

from methods.base import Classifier
from methods.hybrid.model import Pairs

BATCH = 1024
"""Hybrids that are made at once."""


@dataclass(frozen=True)
class Choice:
    """What was swapped for each of N queries."""

    donor: Tensor
    """Which of the query's donors, (N,) in 0 … D − 1."""
    modules: Tensor
    """(N, K) bool."""
    flipped: Tensor
    """(N,) bool: the target's class, with the confidence that was asked for."""


@dataclass(frozen=True)
class Wanted:
    """The class that the answers to N queries are to be of, and how surely."""

    images: Tensor
    """(N, C, H, W)."""
    target: Tensor
    """c', (N,)."""
    classifier: Classifier
    confidence: float
    """Probability of the target from which on a class counts as flipped."""

    def reached(self, answers: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """For answers (n, C, H, W) to the queries `rows` (n,): the target's probability and the mean change, (n,) each.

        A probability that is not the greatest is told as below 0, which no confidence is.
        """
        probabilities, target = self.classifier(answers).softmax(1), self.target[rows]
        wanted = probabilities.gather(1, target[:, None])[:, 0]
        first = probabilities.argmax(1) == target
        change = (answers - self.images[rows]).abs().flatten(1).mean(1)
        return torch.where(first, wanted, wanted - 1), change


def least_change(wanted: Wanted, pairs: Pairs, donors: Tensor, sets: Tensor, masks: list[Tensor]) -> Choice:
    """The donor and the set of modules with the least change that flips; where none does, the best attempt.

    Parameters
    ----------
    wanted
        N queries.
    pairs
        The queries' v(z_1), N rows, and the v(z_2) of all donors.
    donors
        Rows of v(z_2) for each query, (N, D).
    sets
        Sets of modules, (S, K) bool.
    masks
        Their channels, (S, channels) bool for each layer.

    """
    count, offered = donors.shape
    device = donors.device
    trials = torch.cartesian_prod(*(torch.arange(size, device=device) for size in (count, offered, len(sets))))
    judged = []
    for rows in trials.split(BATCH):
        query, donor, chosen = rows.unbind(1)
        hybrids = pairs.take(query, donors[query, donor]).hybrids([mask[chosen] for mask in masks])
        judged.append(torch.stack(wanted.reached(hybrids, query)))
    probability, change = torch.cat(judged, dim=1).view(2, count, offered * len(sets))
    flips = probability >= wanted.confidence
    flipped = flips.any(1)
    best = torch.where(flipped, change.masked_fill(~flips, torch.inf).argmin(1), probability.argmax(1))
    return Choice(best // len(sets), sets[best % len(sets)], flipped)
