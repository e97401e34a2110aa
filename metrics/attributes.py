"""What an edit does to attributes that it is not about, as attribute oracles see them.

An answer that changes an attribute must not bring others with it that do not belong to it: neither more than they go
together in the data, nor by little shifts that no threshold shows.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from metrics.base import Estimate
from metrics.intervals import NOTHING, mean

REPLICATES = 200
"""Of the bootstrap over images; ours."""
ROUNDING = 1e-12


def correlation_difference(
    found: Tensor, before: Tensor, asked_found: Tensor, asked_before: Tensor, correlations: Sequence[float]
) -> Estimate:
    """How much more, or less, other attributes change with the asked one than they go with it in the data (CD).

    Of each attribute: the correlation, over pairs of query and answer, of its change (-1, 0 or 1) with the asked
    attribute's change, less the correlation of the two labels in the data. The mean of its size over attributes.

    Parameters
    ----------
    found, before : Tensor
        Shape (N, A), bool: the attributes other than the asked one, of the answers and of their queries.
    asked_found, asked_before : Tensor
        Shape (N,), bool: the asked attribute, of the answers and of their queries.
    correlations : sequence of float
        A of them, in [-1, 1]: of each attribute's labels with the asked one's. In pairs of independent pictures, the
        changes of labels have the same correlation.

    Returns
    -------
    Estimate
        In [0, 2], lower is better; with the percentile interval of a bootstrap over pairs. An attribute that never
        changes has no correlation with anything: 0. Everything is NaN if the asked one never changes, or changes by
        the same in all pairs: then nothing can go with it.

    Raises
    ------
    ValueError
        If the shapes do not fit, or an attribute is not bool.

    References
    ----------
    Jeanneret, Simon and Jurie, Diffusion Models for Counterfactual Explanations (DiME), 2022, Sec. 4.

    """
    _check(found, before)
    _check(asked_found[:, None], asked_before[:, None])
    if found.shape != (len(asked_found), len(correlations)):
        raise ValueError(
            f"expected {tuple(found.shape)} attributes of as many queries, {len(correlations)} correlations"
        )
    others, asked = (now.double() - then.double() for now, then in ((found, before), (asked_found, asked_before)))
    if not len(asked) or not len(correlations):
        return NOTHING
    drawn = torch.randint(len(asked), (REPLICATES, len(asked)), generator=torch.Generator().manual_seed(0))
    labels = torch.tensor(correlations, dtype=torch.float64)
    values = [_apart(others[rows], asked[rows], labels) for rows in (torch.arange(len(asked)), *drawn)]
    value, replicates = values[0], torch.stack(values[1:])
    if value.isnan():
        return NOTHING._replace(n=len(asked))
    low, high = replicates[~replicates.isnan()].quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return Estimate(value.item(), min(low, value.item()), max(high, value.item()), len(asked))


def _apart(others: Tensor, asked: Tensor, correlations: Tensor) -> Tensor:
    """CD of changes (N, A) and (N,); NaN if the asked attribute's do not vary."""
    centred, own = others - others.mean(0), asked - asked.mean()
    spread, scale = centred.square().sum(0), own.square().sum()
    if scale <= ROUNDING:
        return torch.tensor(float("nan"), dtype=torch.float64)
    seen = torch.where(
        spread > ROUNDING, (centred * own[:, None]).sum(0) / (spread * scale).clamp(min=ROUNDING).sqrt(), 0
    )
    return (seen - correlations).abs().mean()


def label_variation(found: Tensor, before: Tensor) -> Estimate:
    """How far the oracles' outputs move between a query and its answer, however small the change (LVS).

    The Jensen-Shannon divergence between an oracle's two outputs (attribute or not), mean over attributes and images.

    Parameters
    ----------
    found, before : Tensor
        Shape (N, A), in [0, 1]: the probability of each attribute, of the answers (or reconstructions) and the queries.

    Returns
    -------
    Estimate
        In [0, 1], bits an attribute: 0 if nothing moves, 1 if every oracle is sure of the opposite. Low is good for
        attributes that the edit is not about, high for the asked one.

    Raises
    ------
    ValueError
        If the shapes differ, or a probability is outside [0, 1].

    References
    ----------
    Hvilshøj, Iosifidis and Assent, On Quantitative Evaluations of Counterfactuals, 2021, Sec. 3.

    """
    if found.ndim != 2 or found.shape != before.shape:
        raise ValueError(f"probabilities must be (N, A) alike, got {tuple(found.shape)}, {tuple(before.shape)}")
    p, q = found.double(), before.double()
    if not bool(((p >= 0) & (p <= 1) & (q >= 0) & (q <= 1)).all()):
        raise ValueError("probabilities must be in [0, 1]")
    bits = _entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2
    return mean(bits.clamp(0, 1).mean(1))


def _entropy(p: Tensor) -> Tensor:
    """Of yes with the probability p, in bits."""
    return -(torch.special.xlogy(p, p) + torch.special.xlogy(1 - p, 1 - p)) / torch.log(
        torch.tensor(2.0, dtype=p.dtype)
    )


def _check(found: Tensor, before: Tensor) -> None:
    if found.dtype != torch.bool or before.dtype != torch.bool:
        raise ValueError(f"attributes must be bool, got {found.dtype} and {before.dtype}")
    if found.ndim != 2 or found.shape != before.shape:
        raise ValueError(f"attributes must be (N, A) alike, got {tuple(found.shape)}, {tuple(before.shape)}")
