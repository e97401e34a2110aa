"""Kernel distance between two sets of features; unlike the Fréchet distance it has no bias at small n."""

import math

import numpy as np
from torch import Tensor

from metrics.base import Estimate
from metrics.frechet import Array, feature_pair
from metrics.intervals import Z


def kernel_distance(features: Tensor | Array, reference: Tensor | Array) -> Estimate:
    """Unbiased squared maximum mean discrepancy of two sets of features, with the kernel (x·y / F + 1)³.

    A Fréchet distance is too large at small n, by an amount that depends on the features. Extrapolation to infinite n
    assumes that the excess is linear in 1/n, and fits a line through noisy distances. This estimate is right on average
    at every n: between two sets of real images it scatters about 0, where the Fréchet distance stays above 0.

    The interval is value ± 1.96 standard deviations of the jackknife, which leaves out one image at a time.

    Parameters
    ----------
    features : Tensor or array
        Shape (n, F), float: one row per image.
    reference : Tensor or array
        Shape (m, F), float: features of real images by the same network.

    Returns
    -------
    Estimate
        Any real number, at least 0 in expectation, in the kernel's unit, lower is better; n is that of `features`.
        All NaN if either set has fewer than two rows; the interval is NaN if either has fewer than three.

    Raises
    ------
    ValueError
        If an input is no matrix, or holds NaN or infinity, or the two differ in F.

    References
    ----------
    Bińkowski et al., Demystifying MMD GANs, 2018 (KID); Gretton et al., A Kernel Two-Sample Test, 2012, lemma 6.

    """
    x, y = feature_pair(features, reference)
    if min(len(x), len(y)) < 2:  # no pair within a set
        return Estimate(math.nan, math.nan, math.nan, len(x))
    within, among, between = _kernel(x, x), _kernel(y, y), _kernel(x, y)
    np.fill_diagonal(within, 0)
    np.fill_diagonal(among, 0)
    value = _mean_pair(within) + _mean_pair(among) - 2 * between.mean()
    half = Z * math.sqrt(_jackknife(within, between) + _jackknife(among, between.T))
    return Estimate(value, value - half, value + half, len(x))


def _jackknife(within: Array, between: Array) -> float:
    """Variance of the distance over the n images along the first axis, each left out once; NaN for two images.

    `within` (n, n): kernels within the set, with a zero diagonal; `between` (n, m): kernels to the other set.
    """
    n, m = between.shape
    if n < 3:
        return math.nan
    pairs = (within.sum() - 2 * within.sum(1)) / ((n - 1) * (n - 2))
    without = pairs - 2 * (between.sum() - between.sum(1)) / ((n - 1) * m)  # (n,)
    return float((n - 1) * without.var())


def _mean_pair(kernel: Array) -> float:
    return float(kernel.sum()) / (len(kernel) * (len(kernel) - 1))


def _kernel(x: Array, y: Array) -> Array:
    kernel: Array = (x @ y.T / x.shape[1] + 1) ** 3
    return kernel
