"""Likelihood of the queries under a generative model, in nats and bits.

`nll` and `kl` are vectors (N,), one value per image; other shapes, NaN or infinity raise ValueError. Every estimate is
NaN if N = 0.
"""

import math

from torch import Tensor

from metrics.base import Estimate
from metrics.intervals import mean

BITS_PER_CHANNEL = 8  # a density on [0, 1] of 256 levels is 256 times the probability of a level


def nll(nll: Tensor) -> Estimate:
    """Negative log-likelihood of an image given its latents, the distortion.

    Parameters
    ----------
    nll : Tensor
        Shape (N,), nats per image, of a density over [0, 1], so often negative.

    Returns
    -------
    Estimate
        Any real number, nats per image, lower is better.

    References
    ----------
    Vercheval & Pižurica, Hierarchical Variational Autoencoders for Visual Counterfactuals (VAEX), Table I.

    """
    return mean(nll)


def kl(kl: Tensor) -> Estimate:
    """Kullback-Leibler divergence of an image's posterior to the prior, the rate.

    Parameters
    ----------
    kl : Tensor
        Shape (N,), nats per image. One sample's estimate may be negative.

    Returns
    -------
    Estimate
        At least 0 in expectation, nats per image. Neither direction is better.

    References
    ----------
    Vercheval & Pižurica, Hierarchical Variational Autoencoders for Visual Counterfactuals (VAEX), Table I.

    """
    return mean(kl)


def bits_per_dim(nll: Tensor, kl: Tensor, dimensions: int) -> Estimate:
    """Bits per channel of a pixel: (NLL + KL) / (D ln 2) + 8.

    Parameters
    ----------
    nll : Tensor
        Shape (N,), nats per image, of a density over images in [0, 1] that are quantised to 256 levels.
    kl : Tensor
        Shape (N,), nats per image, of the same images in the same order.
    dimensions : int
        D = C·H·W, at least 1.

    Returns
    -------
    Estimate
        Bits per dimension, at least 0 for a true bound, 8 for the uniform density; lower is better.

    Raises
    ------
    ValueError
        If the lengths differ, or D < 1.

    References
    ----------
    Vercheval & Pižurica, Hierarchical Variational Autoencoders for Visual Counterfactuals (VAEX), Table I.

    """
    if nll.shape != kl.shape:
        raise ValueError(f"nll and kl differ in shape: {tuple(nll.shape)} and {tuple(kl.shape)}")
    if dimensions < 1:
        raise ValueError(f"an image has at least one dimension, got {dimensions}")
    return mean((nll.double() + kl.double()) / (dimensions * math.log(2)) + BITS_PER_CHANNEL)
