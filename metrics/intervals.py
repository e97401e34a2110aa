"""Ninety-five per cent intervals of a proportion and of a mean."""

import math
from statistics import NormalDist

import torch
from torch import Tensor

from metrics.base import Estimate, average

Z = NormalDist().inv_cdf(0.975)  # the 1.96 of a two-sided 95 % interval
NOTHING = Estimate(math.nan, math.nan, math.nan, 0)


def proportion(successes: Tensor) -> Estimate:
    """Share of successes with its Wilson score interval.

    Parameters
    ----------
    successes : Tensor
        Shape (N,), bool: one value per observation.

    Returns
    -------
    Estimate
        A fraction in [0, 1]; its interval lies in [0, 1] and holds the value. All NaN if N = 0; otherwise an `Average`
        that keeps `successes`.

    Raises
    ------
    ValueError
        If `successes` is no vector of bool.

    References
    ----------
    Wilson, Probable inference, the law of succession, and statistical inference, JASA 1927.

    """
    if successes.dtype != torch.bool or successes.ndim != 1:
        raise ValueError(f"successes must be bool (N,), got {successes.dtype} {tuple(successes.shape)}")
    return _wilson(successes)


def mean_share(shares: Tensor) -> Estimate:
    """Mean over observations of the share of successes in repeated trials of each, with a Wilson score interval.

    Parameters
    ----------
    shares : Tensor
        Shape (N,), float in [0, 1]. Shares vary less than single trials, so the interval is somewhat too wide.

    Returns
    -------
    Estimate
        As `proportion` returns it.

    Raises
    ------
    ValueError
        If `shares` is no vector of floats in [0, 1].

    """
    if shares.ndim != 1 or not shares.is_floating_point() or not bool(((shares >= 0) & (shares <= 1)).all()):
        raise ValueError(f"shares must be floats in [0, 1], (N,), got {shares.dtype} {tuple(shares.shape)}")
    return _wilson(shares)


def _wilson(values: Tensor) -> Estimate:
    n = len(values)
    if n == 0:
        return NOTHING
    p = values.double().sum().item() / n
    centre = (p + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z * math.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2)) / (1 + Z**2 / n)
    # At p = 0 and p = 1 one end of the interval is p itself; rounding must not push it past.
    return average(values, p, max(0.0, min(centre - half, p)), min(1.0, max(centre + half, p)))


def mean(values: Tensor) -> Estimate:
    """Mean of one number per image with its normal interval, mean ± 1.96 s / √N.

    Parameters
    ----------
    values : Tensor
        Shape (N,), any unit; computed in float64, s is the sample standard deviation.

    Returns
    -------
    Estimate
        In the unit of `values`, an `Average` that keeps them. The interval is NaN if N = 1, everything is NaN if N = 0.

    Raises
    ------
    ValueError
        If `values` is no vector, or holds NaN or infinity.

    """
    if values.ndim != 1:
        raise ValueError(f"values must be (N,), one number an image, got {tuple(values.shape)}")
    n = len(values)
    if n == 0:
        return NOTHING
    values = values.detach().double()
    if wrong := int((~values.isfinite()).sum()):
        raise ValueError(f"{wrong} of {n} values are NaN or infinite: no mean is taken over the others")
    value = values.mean().item()
    half = Z * values.std().item() / math.sqrt(n) if n > 1 else math.nan
    return average(values, value, value - half, value + half)
