"""How far an answer lies from its query, from its undoing and from other answers, in pixels."""

import torch
from torch import Tensor

from metrics.base import Estimate
from metrics.intervals import mean

CHANGED_BY_MORE_THAN = 8  # levels of 255
# Levels are stored as k/255 in float32, which puts them off by up to 3e-5 levels: exactly 8 must stay unchanged.
ROUNDING = 1e-3


def l1(images: Tensor, queries: Tensor) -> Estimate:
    """Mean absolute difference per pixel and channel, of each image, averaged over the images.

    Parameters
    ----------
    images : Tensor
        Shape (N, C, H, W), float in [0, 1]: the answers.
    queries : Tensor
        Shape (N, C, H, W), float in [0, 1].

    Returns
    -------
    Estimate
        In [0, 1], in units of the full intensity range, lower is closer; NaN if N = 0.

    Raises
    ------
    ValueError
        If the shapes differ, or an image is not float, leaves [0, 1], or holds NaN.

    References
    ----------
    Pawelczyk et al., CARLA, 2021, proximity.

    """
    return mean(_difference(images, queries).abs().flatten(1).mean(1))


def l2(images: Tensor, queries: Tensor) -> Estimate:
    """Root mean square difference over pixels and channels, of each image, averaged over the images.

    Parameters
    ----------
    images : Tensor
        Shape (N, C, H, W), float in [0, 1]: the answers.
    queries : Tensor
        Shape (N, C, H, W), float in [0, 1].

    Returns
    -------
    Estimate
        In [0, 1], in units of the full intensity range, lower is closer; never below `l1`; NaN if N = 0.

    Raises
    ------
    ValueError
        If the shapes differ, or an image is not float, leaves [0, 1], or holds NaN.

    References
    ----------
    Pawelczyk et al., CARLA, 2021, proximity; divided by the root of C·H·W, so that image sizes compare.

    """
    return mean(_mean_square(images, queries).sqrt())


def l0(images: Tensor, queries: Tensor) -> Estimate:
    """Share of pixels of which some channel changes by more than 8/255, averaged over the images.

    Parameters
    ----------
    images : Tensor
        Shape (N, C, H, W), float in [0, 1]: the answers.
    queries : Tensor
        Shape (N, C, H, W), float in [0, 1].

    Returns
    -------
    Estimate
        A fraction in [0, 1], lower is sparser; NaN if N = 0. A change by exactly 8 of 255 levels does not count.

    Raises
    ------
    ValueError
        If the shapes differ, or an image is not float, leaves [0, 1], or holds NaN.

    References
    ----------
    Pawelczyk et al., CARLA, 2021, proximity; the threshold is ours, as no decoded pixel is ever exactly its query's.

    """
    largest = _difference(images, queries).abs().amax(1)  # (N, H, W)
    changed = 255 * largest > CHANGED_BY_MORE_THAN + ROUNDING
    return mean(changed.double().flatten(1).mean(1))


def mse(reconstructions: Tensor, queries: Tensor) -> Estimate:
    """Mean squared error of the reconstructions, of each image, averaged over the images.

    Parameters
    ----------
    reconstructions : Tensor
        Shape (N, C, H, W), float in [0, 1]: the answers to "change nothing".
    queries : Tensor
        Shape (N, C, H, W), float in [0, 1].

    Returns
    -------
    Estimate
        In [0, 1], in units of the squared intensity range, lower is better; NaN if N = 0.

    Raises
    ------
    ValueError
        If the shapes differ, or an image is not float, leaves [0, 1], or holds NaN.

    References
    ----------
    Vercheval & Pižurica, Hierarchical Variational Autoencoders for Visual Counterfactuals (VAEX), Table I.

    """
    return mean(_mean_square(reconstructions, queries))


def hoyer_sparsity(images: Tensor, queries: Tensor) -> Estimate:
    """How much of the change sits in few entries: (√D − |δ|₁/|δ|₂) / (√D − 1) of δ = x' − x with D = C·H·W entries.

    Parameters
    ----------
    images : Tensor
        Shape (N, C, H, W), float in [0, 1]: the answers.
    queries : Tensor
        Shape (N, C, H, W), float in [0, 1].

    Returns
    -------
    Estimate
        In [0, 1], higher is sparser: 1 for a single changed entry, 0 where all change alike. It is not defined where
        nothing changes: n counts the answers that differ from their query; NaN if none does.

    Raises
    ------
    ValueError
        If the shapes differ, or an image is not float, leaves [0, 1], holds NaN, or has one entry only.

    References
    ----------
    Hoyer, Non-negative Matrix Factorization with Sparseness Constraints, 2004.

    """
    change = _difference(images, queries).flatten(1).double()
    if (entries := change.shape[1]) < 2:
        raise ValueError("the sparsity of a single entry is not defined")
    change = change[(change != 0).any(1)]
    ratio = change.abs().sum(1) / change.norm(dim=1)  # from 1 to √D
    return mean(((entries**0.5 - ratio) / (entries**0.5 - 1)).clamp(0, 1))  # rounding leaves the interval


def composition(null_edits: Tensor, probes: Tensor) -> Estimate:
    """How far a query drifts under repeated edits that are to change nothing: L1 to the query after the last.

    Parameters
    ----------
    null_edits : Tensor
        Shape (N, C, H, W), float in [0, 1]: the queries, reconstructed several times over, each time from the last.
    probes : Tensor
        Shape (N, C, H, W), float in [0, 1]: the queries.

    Returns
    -------
    Estimate
        In [0, 1], in units of the full intensity range, lower is better, 0 for exact reconstructions; NaN if N = 0.

    Raises
    ------
    ValueError
        If the shapes differ, or an image is not float, leaves [0, 1], or holds NaN.

    References
    ----------
    Monteiro et al., Measuring axiomatic soundness of counterfactual image models, 2023, definition of composition.

    """
    return l1(null_edits, probes)


def reversibility(answer_undone: Tensor, probes: Tensor) -> Estimate:
    """How far a query is from its edit and the undoing of it: L1 to the answer's own counterfactual for the old class.

    Parameters
    ----------
    answer_undone : Tensor
        Shape (N, C, H, W), float in [0, 1]: counterfactuals of the answers, towards the class that the classifier saw
        in the query.
    probes : Tensor
        Shape (N, C, H, W), float in [0, 1]: the queries.

    Returns
    -------
    Estimate
        In [0, 1], in units of the full intensity range, lower is better; NaN if N = 0. No edit at all is reversible:
        it means something over answers that flip.

    Raises
    ------
    ValueError
        If the shapes differ, or an image is not float, leaves [0, 1], or holds NaN.

    References
    ----------
    Monteiro et al., Measuring axiomatic soundness of counterfactual image models, 2023, definition of reversibility.

    """
    return l1(answer_undone, probes)


def diversity(answer_draws: Tensor) -> Estimate:
    """How much the answers to one query differ from each other: mean pairwise L1, averaged over the queries.

    Parameters
    ----------
    answer_draws : Tensor
        Shape (N, K, C, H, W), float in [0, 1]: K answers of one fitted method to each query, under K sampling seeds.

    Returns
    -------
    Estimate
        In [0, 1], in units of the full intensity range, 0 for a method without chance; NaN if N = 0. Neither
        direction is better on its own: noise is diverse too.

    Raises
    ------
    ValueError
        If there are fewer than two answers a query, or an image is not float, leaves [0, 1], or holds NaN.

    References
    ----------
    Mothilal et al., Explaining Machine Learning Classifiers through Diverse Counterfactual Explanations (DiCE), 2020.

    """
    if answer_draws.ndim != 5 or answer_draws.shape[1] < 2:
        raise ValueError(f"draws must be (N, K, C, H, W) with K of at least 2, got {tuple(answer_draws.shape)}")
    check_images(answer_draws.flatten(0, 1))
    draws = answer_draws.detach().float().flatten(2)  # (N, K, D)
    pairs = [(first, second) for second in range(draws.shape[1]) for first in range(second)]
    apart = [(draws[:, first] - draws[:, second]).abs().mean(1) for first, second in pairs]
    return mean(torch.stack(apart).mean(0))


def _mean_square(images: Tensor, queries: Tensor) -> Tensor:
    return _difference(images, queries).square().flatten(1).mean(1)  # (N,)


def _difference(images: Tensor, queries: Tensor) -> Tensor:
    check_images(images, queries)
    return images.detach().float() - queries.detach().float()


def check_images(*batches: Tensor) -> None:
    """Refuse what is no batch of images in [0, 1], and batches that differ in shape."""
    for images in batches:
        if not images.is_floating_point() or images.ndim != 4:
            raise ValueError(f"images must be float (N, C, H, W), got {images.dtype} {tuple(images.shape)}")
        if not ((images >= 0) & (images <= 1)).all():  # NaN fails both comparisons
            raise ValueError(f"images must lie in [0, 1] and hold no NaN, got [{images.min():g}, {images.max():g}]")
    if len({batch.shape for batch in batches}) > 1:
        raise ValueError(f"the images differ in shape: {[tuple(batch.shape) for batch in batches]}")
