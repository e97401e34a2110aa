"""Bias discovery: whether the counterfactuals of a classifier with a planted bias show it, and those of another do not.

It is no metric of single answers but a contrast of two classifiers, explained by one method on the same queries, so it
does not stand in `METRICS`.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from metrics.base import Estimate

REPLICATES = 2000
"""Of the bootstrap."""
DECIMALS = 12
"""To which gaps are rounded."""
SEED = 0
"""Of the bootstrap; the same draws for all methods, so that their leads can be compared in pairs."""


class Side(NamedTuple):
    """What one classifier's counterfactuals change, for S classifiers of one kind (seeds) and N queries."""

    changes: Tensor
    """(S, N, K) of −1, 0 and 1: signed changes of K attributes, see `signed_changes`; or weighted ones."""
    valid: Tensor
    """(S, N) bool: whether the classifier gives the counterfactual the target class."""

    @property
    def all(self) -> "Side":
        """Every query, an answer that is not valid as one that changes nothing."""
        return Side(self.changes * self.valid[..., None], torch.ones_like(self.valid))


class Bias(NamedTuple):
    """What comes out of two sides."""

    gaps: Tensor
    """(K,): score with the bias minus score without, in [−2, 2]."""
    lead: Estimate
    """The planted family's gap minus that of the best attribute outside it, in [−4, 2]."""
    rank: int
    """Of the planted family among the attributes outside it, from 1; ties rank worst."""
    leads: Tensor
    """(REPLICATES,): the lead in each replicate."""

    @property
    def discovered(self) -> bool:
        """Whether the lower bound of the lead is above zero; False where it is not defined."""
        return self.lead.low > 0


def signed_changes(before: Tensor, after: Tensor, target: Tensor) -> Tensor:
    """How attributes change on the way to class 1: what appears counts 1, what vanishes −1; to class 0, the reverse.

    An attribute that follows the class adds up; one that comes and goes whatever the target cancels out, unless the
    target depends on it, as under a classifier with a bias: there see `standardised`.

    Parameters
    ----------
    before, after : Tensor
        Shape (N, K), bool: what the attribute oracles see in reconstructions and in counterfactuals.
    target : Tensor
        Shape (N,), of 0 and 1: the target class.

    Returns
    -------
    Tensor
        Shape (N, K), int8 of −1, 0 and 1.

    Raises
    ------
    ValueError
        If the shapes do not agree, attributes are not bool, or a target is another class.

    References
    ----------
    Ours; gan-search counts what its figures 6 to 8 show by eye.

    """
    if before.dtype != torch.bool or after.dtype != torch.bool:
        raise ValueError(f"attributes must be bool, got {before.dtype} and {after.dtype}")
    if before.ndim != 2 or before.shape != after.shape or target.shape != before.shape[:1]:
        shapes = [tuple(part.shape) for part in (before, after, target)]
        raise ValueError(f"attributes must be (N, K) twice and targets (N,), got {shapes}")
    if not ((target == 0) | (target == 1)).all():
        raise ValueError("a bias is planted in classifiers of two classes, 0 and 1")
    return (after.to(torch.int8) - before.to(torch.int8)) * (2 * target.to(torch.int8) - 1)[:, None]


def standardised(side: Side, before: Tensor, target: Tensor) -> Side:
    """`side` with changes weighted as if answers in either state of an attribute had either target equally often.

    A classifier that goes by an attribute sends those who have it to one target and those who have it not to the other,
    so that changes by chance, whatever the target, add up to what looks like the bias. Weighted they cancel out: this
    is direct standardisation over the states, with weights that are fixed in the bootstrap.

    Parameters
    ----------
    side : Side
        Of S classifiers, N queries and K attributes.
    before : Tensor
        Shape (S, N, K), bool: what the attribute oracles see in reconstructions.
    target : Tensor
        Shape (S, N), of 0 and 1: the target classes.

    Returns
    -------
    Side
        Changes of double precision. They are those of `side` where targets are balanced in each state already, and 0
        for a state whose answers all have one target: nothing tells chance from the bias there, so that a classifier
        which goes by the attribute alone is never found.

    Raises
    ------
    ValueError
        If the shapes do not agree.

    References
    ----------
    Ours; direct standardisation is epidemiology's.

    """
    if before.shape != side.changes.shape or target.shape != side.valid.shape:
        shapes = [tuple(part.shape) for part in (side.changes, side.valid, before, target)]
        raise ValueError(f"before must be as changes and target as valid, got {shapes}")
    weights = torch.zeros(before.shape, dtype=torch.float64)
    for state in (before, ~before):
        here = [state & (target == label)[..., None] & side.valid[..., None] for label in (0, 1)]
        counts = [each.sum((0, 1)) for each in here]  # (K,) each
        for each, count in zip(here, counts, strict=True):
            weights += each * torch.where(counts[0] * counts[1] > 0, (counts[0] + counts[1]) / (2 * count), 0.0)
    return Side(side.changes * weights, side.valid)


def scores(side: Side) -> Tensor:
    """The mean signed change of each attribute over the valid answers of all seeds, (K,) in [−1, 1]; NaN of none."""
    times = torch.ones(1, side.valid.shape[0]), torch.ones(1, side.valid.shape[1])
    return _means(side, *times)[0]


def bias(biased: Side, unbiased: Side, directions: Tensor, outside: Tensor) -> Bias:
    """What a method shows of a planted bias: the lead of the planted family over all other attributes.

    Parameters
    ----------
    biased, unbiased : Side
        Of classifiers with and without the planted bias, in the same order of seeds, queries and attributes.
    directions : Tensor
        Shape (K,), of −1, 0 and 1: where the attribute belongs to the planted family, the direction in which the bias
        moves it, towards class 1; 0 elsewhere. The family's gap is the greatest of its members' in their directions,
        so that one the wrong way counts against it.
    outside : Tensor
        Shape (K,), bool: which attributes it competes with, each by the size of its gap, whatever the direction.

    Returns
    -------
    Bias
        With the lead's 95 % percentile interval over queries and seeds drawn with replacement, each on its own; the
        best of several noisy gaps is too great rather than too small: of those outside, which speaks against a
        discovery, and of the family's, which speaks for one. All NaN where no answer is valid, and no interval where a
        replicate has none. Of one seed the interval knows only queries; of few it is too narrow, by about
        √((S − 1) / S) where seeds differ more than queries.

    Raises
    ------
    ValueError
        If the shapes do not agree, or there is no family or nothing outside it.

    References
    ----------
    Ours.

    """
    _check(biased, unbiased, directions, outside)
    seeds, queries = biased.valid.shape
    once = torch.ones(1, seeds), torch.ones(1, queries)
    gaps = _gaps(biased, unbiased, *once)[0]
    random = torch.Generator().manual_seed(SEED)
    times = _times(seeds, random), _times(queries, random)
    leads = _lead(_gaps(biased, unbiased, *times), directions, outside)
    low, high = torch.quantile(leads, torch.tensor([0.025, 0.975], dtype=leads.dtype)).tolist()
    lead = float(_lead(gaps[None], directions, outside)[0])
    ahead = int((gaps[outside].abs() >= _family(gaps[None], directions)[0]).sum())
    answered = int((biased.valid | unbiased.valid).any(0).sum())
    return Bias(gaps, Estimate(lead, low, high, answered), 1 + ahead, leads)


def _check(biased: Side, unbiased: Side, directions: Tensor, outside: Tensor) -> None:
    for side in (biased, unbiased):
        if side.changes.shape != (*side.valid.shape, len(directions)) or side.valid.shape != biased.valid.shape:
            raise ValueError(f"changes must be (S, N, K), got {tuple(side.changes.shape)}, {tuple(side.valid.shape)}")
    if outside.shape != directions.shape or not directions.any() or not outside.any() or directions[outside].any():
        raise ValueError("a lead needs a planted family and attributes outside it")


def _times(count: int, random: torch.Generator) -> Tensor:
    """How often each of `count` is drawn with replacement, (REPLICATES, count)."""
    drawn = torch.randint(count, (REPLICATES, count), generator=random)
    return torch.zeros(REPLICATES, count).scatter_add_(1, drawn, torch.ones(REPLICATES, count))


def _means(side: Side, seeds: Tensor, queries: Tensor) -> Tensor:
    """The means over valid answers, each counted `seeds` (R, S) times `queries` (R, N) times: (R, K)."""
    valid = side.valid.double()
    totals = torch.einsum("rs,rn,snk->rk", seeds.double(), queries.double(), valid[..., None] * side.changes)
    return totals / torch.einsum("rs,rn,sn->r", seeds.double(), queries.double(), valid)[:, None]


def _gaps(biased: Side, unbiased: Side, seeds: Tensor, queries: Tensor) -> Tensor:
    """The differences of `_means`, (R, K), without what rounding leaves: gaps that are equal tie."""
    return (_means(biased, seeds, queries) - _means(unbiased, seeds, queries)).round(decimals=DECIMALS)


def _family(gaps: Tensor, directions: Tensor) -> Tensor:
    """The greatest gap (R, K) of the planted family, in its direction: (R,)."""
    return (gaps * directions)[:, directions != 0].amax(1)


def _lead(gaps: Tensor, directions: Tensor, outside: Tensor) -> Tensor:
    """(R,) of gaps (R, K)."""
    return _family(gaps, directions) - gaps[:, outside].abs().amax(1)
