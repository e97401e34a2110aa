"""Bias discovery: how much more the counterfactuals of a biased classifier show its bias than an unbiased one's.

The score contrasts two classifiers that one method explains on the same queries. It does not score single answers, so
it is not in `METRICS`.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from metrics.base import Estimate

REPLICATES = 2000
"""Number of bootstrap replicates."""
DECIMALS = 12
"""Decimals to which gaps are rounded, so that equal gaps tie."""
SEED = 0
"""Seed of the bootstrap: the same draws for all methods, so that leads can be compared in pairs."""


class Side(NamedTuple):
    """Attribute changes in the counterfactuals of one kind of classifier: S seeds, N queries, K attributes."""

    changes: Tensor
    """(S, N, K) of −1, 0 and 1, see `signed_changes`; or weighted, see `standardised`."""
    valid: Tensor
    """(S, N) bool: whether the classifier gives the counterfactual the target class."""

    @property
    def all(self) -> "Side":
        """All queries as valid, with an answer that did not flip counted as unchanged."""
        return Side(self.changes * self.valid[..., None], torch.ones_like(self.valid))


class Bias(NamedTuple):
    """The contrast of a biased and an unbiased side."""

    gaps: Tensor
    """(K,): score with the bias minus score without, in [−2, 2]."""
    lead: Estimate
    """The planted family's gap minus the greatest gap outside it, in [−4, 2]."""
    rank: int
    """Rank of the planted family among the attributes outside it, from 1; ties get the worse rank."""
    leads: Tensor
    """(REPLICATES,): the lead in each replicate."""

    @property
    def discovered(self) -> bool:
        """Whether the lower bound of the lead is above zero; False if it is not defined."""
        return self.lead.low > 0


def signed_changes(before: Tensor, after: Tensor, target: Tensor) -> Tensor:
    """Attribute changes towards class 1: 1 if an attribute appears, −1 if it vanishes; reversed for target 0.

    Changes that follow the class add up; changes that do not depend on the target cancel out. They do not cancel out
    if the target depends on the attribute, as under a biased classifier: see `standardised`.

    Parameters
    ----------
    before, after : Tensor
        Shape (N, K), bool: the attributes of reconstructions and of counterfactuals, by the attribute oracles.
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
    Ours; gan-search (Figs. 6 to 8) judges the same by eye.

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
    """`side` with changes weighted as if both targets were equally frequent in either state of an attribute.

    A classifier that uses an attribute gives the queries with it one target and those without it the other. Random
    changes then add up and look like the bias. Weighted, they cancel out: this is direct standardisation over the
    states, with weights that are fixed in the bootstrap.

    Parameters
    ----------
    side : Side
        The changes of S classifiers, N queries and K attributes.
    before : Tensor
        Shape (S, N, K), bool: the attributes of reconstructions, by the attribute oracles.
    target : Tensor
        Shape (S, N), of 0 and 1: the target classes.

    Returns
    -------
    Side
        Changes in double precision. They equal the changes of `side` if the targets are balanced in each state. They
        are 0 in a state whose answers all have one target, because there random changes and the bias look the same; so
        a classifier that uses the attribute alone is never found.

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
    """The mean signed change of each attribute over all valid answers, (K,) in [−1, 1]; NaN if there are none."""
    times = torch.ones(1, side.valid.shape[0]), torch.ones(1, side.valid.shape[1])
    return _means(side, *times)[0]


def bias(biased: Side, unbiased: Side, directions: Tensor, outside: Tensor, *, replicates: int = REPLICATES) -> Bias:
    """The planted bias in a method's answers: the lead of the planted family over all other attributes.

    Parameters
    ----------
    biased, unbiased : Side
        Changes for classifiers with and without the planted bias, same seeds, queries and attributes in the same order.
    directions : Tensor
        Shape (K,), of −1, 0 and 1: the direction in which the bias moves an attribute of the planted family towards
        class 1; 0 outside the family. The family's gap is the greatest of its members' gaps in these directions, so a
        gap in the wrong direction counts against it.
    outside : Tensor
        Shape (K,), bool: the attributes it competes with, each by the absolute value of its gap.
    replicates : int
        Of the bootstrap; fewer are enough where the interval is only asked whether it holds 0.

    Returns
    -------
    Bias
        The lead's 95 % percentile interval is from queries and seeds drawn with replacement, independently. The maximum
        of several noisy gaps is biased upwards: outside the family this works against a discovery, within the family
        for one. All NaN if no answer is valid; no interval if a replicate has no valid answer. With one seed the
        interval covers queries only. With few it is too narrow, by about √((S − 1) / S) if seeds differ more than
        queries.

    Raises
    ------
    ValueError
        If the shapes do not agree, the family is empty, or no attribute is outside it.

    References
    ----------
    Ours.

    """
    _check(biased, unbiased, directions, outside)
    seeds, queries = biased.valid.shape
    once = torch.ones(1, seeds), torch.ones(1, queries)
    gaps = _gaps(biased, unbiased, *once)[0]
    random = torch.Generator().manual_seed(SEED)
    times = _times(seeds, random, replicates), _times(queries, random, replicates)
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


def _times(count: int, random: torch.Generator, replicates: int) -> Tensor:
    """How often each of `count` is drawn with replacement, (replicates, count)."""
    drawn = torch.randint(count, (replicates, count), generator=random)
    return torch.zeros(replicates, count).scatter_add_(1, drawn, torch.ones(replicates, count))


def _means(side: Side, seeds: Tensor, queries: Tensor) -> Tensor:
    """The means over valid answers, each counted `seeds` (R, S) times `queries` (R, N) times: (R, K)."""
    valid = side.valid.double()
    totals = torch.einsum("rs,rn,snk->rk", seeds.double(), queries.double(), valid[..., None] * side.changes)
    return totals / torch.einsum("rs,rn,sn->r", seeds.double(), queries.double(), valid)[:, None]


def _gaps(biased: Side, unbiased: Side, seeds: Tensor, queries: Tensor) -> Tensor:
    """The differences of `_means`, (R, K), rounded so that equal gaps tie."""
    return (_means(biased, seeds, queries) - _means(unbiased, seeds, queries)).round(decimals=DECIMALS)


def _family(gaps: Tensor, directions: Tensor) -> Tensor:
    """The greatest gap (R, K) of the planted family, in its direction: (R,)."""
    return (gaps * directions)[:, directions != 0].amax(1)


def _lead(gaps: Tensor, directions: Tensor, outside: Tensor) -> Tensor:
    """The lead (R,) from the gaps (R, K)."""
    return _family(gaps, directions) - gaps[:, outside].abs().amax(1)
