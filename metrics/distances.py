"""Distances between answers, queries and reconstructions, pixel by pixel.

Images are float (N, C, H, W) in [0, 1], so distances are fractions of the full intensity range. `images` are the
answers unless said otherwise. Images of another type, range or shape, or with NaN, raise ValueError. Every estimate is
a mean over images, NaN if N = 0.
"""

import torch
from torch import Tensor

from metrics.base import Estimate
from metrics.intervals import mean, proportion
from metrics.rates import check_classes

CHANGED_BY_MORE_THAN = 8  # levels of 255
# Levels are stored as k/255 in float32, which puts them off by up to 3e-5 levels: exactly 8 must stay unchanged.
ROUNDING = 1e-3
STAYS = 2 / 255
"""L1 below which an answer counts as the same."""


def l1(images: Tensor, queries: Tensor) -> Estimate:
    """Mean absolute difference over pixels and channels.

    Returns
    -------
    Estimate
        In [0, 1], lower is closer.

    References
    ----------
    Pawelczyk et al., CARLA, 2021, proximity.

    """
    return mean(_difference(images, queries).abs().flatten(1).mean(1))


def l2(images: Tensor, queries: Tensor) -> Estimate:
    """Root mean square difference over the pixels and channels of an image.

    Returns
    -------
    Estimate
        In [0, 1], lower is closer; never below `l1`.

    References
    ----------
    Pawelczyk et al., CARLA, 2021, proximity; divided by the root of C·H·W, so that image sizes compare.

    """
    return mean(_mean_square(images, queries).sqrt())


def l0(images: Tensor, queries: Tensor) -> Estimate:
    """Share of pixels in which some channel changes by more than 8/255.

    Returns
    -------
    Estimate
        A fraction in [0, 1], lower is sparser. A change by exactly 8 of 255 levels does not count.

    References
    ----------
    Pawelczyk et al., CARLA, 2021, proximity; the threshold is ours, as no decoded pixel equals the query's exactly.

    """
    largest = _difference(images, queries).abs().amax(1)  # (N, H, W)
    changed = 255 * largest > CHANGED_BY_MORE_THAN + ROUNDING
    return mean(changed.double().flatten(1).mean(1))


def mse(reconstructions: Tensor, queries: Tensor) -> Estimate:
    """Mean squared error of the reconstructions.

    Returns
    -------
    Estimate
        In [0, 1], in units of the squared intensity range, lower is better.

    References
    ----------
    Vercheval & Pižurica, Hierarchical Variational Autoencoders for Visual Counterfactuals (VAEX), Table I.

    """
    return mean(_mean_square(reconstructions, queries))


def hoyer_sparsity(images: Tensor, queries: Tensor) -> Estimate:
    """Concentration of the change δ = x' − x in few of its D = C·H·W entries: (√D − |δ|₁/|δ|₂) / (√D − 1).

    Returns
    -------
    Estimate
        In [0, 1], higher is sparser: 1 for a single changed entry, 0 if all change equally. Answers equal to their
        query have no sparsity and do not count in n; NaN if there are no others.

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
    """Drift of a query under repeated reconstruction: L1 between the query and the last reconstruction.

    Parameters
    ----------
    null_edits : Tensor
        Shape (N, C, H, W), float in [0, 1]: the last of several reconstructions in a row.
    probes : Tensor
        Shape (N, C, H, W), float in [0, 1]: the queries.

    Returns
    -------
    Estimate
        In [0, 1], lower is better, 0 for exact reconstructions.

    References
    ----------
    Monteiro et al., Measuring axiomatic soundness of counterfactual image models, 2023, definition of composition.

    """
    return l1(null_edits, probes)


def reversibility(answer_undone: Tensor, probes: Tensor) -> Estimate:
    """L1 between a query and its edit undone: the answer's own counterfactual for the old class.

    Parameters
    ----------
    answer_undone : Tensor
        Shape (N, C, H, W), float in [0, 1]: counterfactuals of the answers for the class that the classifier gave the
        query.
    probes : Tensor
        Shape (N, C, H, W), float in [0, 1]: the queries.

    Returns
    -------
    Estimate
        In [0, 1], lower is better. It says something about answers that flip only: a method that changes nothing has 0.

    References
    ----------
    Monteiro et al., Measuring axiomatic soundness of counterfactual image models, 2023, definition of reversibility.

    """
    return l1(answer_undone, probes)


def stability(nudged: Tensor, drawn: Tensor, nudged_classes: Tensor, drawn_classes: Tensor) -> Estimate:
    """Share of answers that stay when every number of the query changes by one grey level.

    Parameters
    ----------
    nudged, drawn : Tensor
        Shape (N, C, H, W), float in [0, 1]: answers to the changed queries and to the queries, under one sampling seed.
    nudged_classes, drawn_classes : Tensor
        Shape (N,), int: the classes that the classifier sees in them.

    Returns
    -------
    Estimate
        In [0, 1], higher is better: the class is the same, and L1 is below 2/255.

    References
    ----------
    Defined here; a change that nobody sees should not change an explanation (Alvarez-Melis & Jaakkola, On the
    Robustness of Interpretability Methods, 2018).

    """
    check_classes(nudged_classes=nudged_classes, drawn_classes=drawn_classes)
    near = _difference(nudged, drawn).abs().flatten(1).mean(1) < STAYS
    if len(near) != len(drawn_classes):
        raise ValueError(f"there are {len(near)} answers, and classes of {len(drawn_classes)}")
    return proportion(near & (nudged_classes == drawn_classes))


def diversity(answer_draws: Tensor) -> Estimate:
    """Mean pairwise L1 between several answers to one query.

    Parameters
    ----------
    answer_draws : Tensor
        Shape (N, K, C, H, W), float in [0, 1]: K answers of one fitted method to each query, under K sampling seeds.

    Returns
    -------
    Estimate
        In [0, 1], 0 for a deterministic method. Neither direction is better: noise is diverse too.

    Raises
    ------
    ValueError
        If there are fewer than two answers per query.

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
    """Raise ValueError unless all `batches` are float images in [0, 1] of one shape."""
    for images in batches:
        if not images.is_floating_point() or images.ndim != 4:
            raise ValueError(f"images must be float (N, C, H, W), got {images.dtype} {tuple(images.shape)}")
        if not ((images >= 0) & (images <= 1)).all():  # NaN fails both comparisons
            raise ValueError(f"images must lie in [0, 1] and hold no NaN, got [{images.min():g}, {images.max():g}]")
    if len({batch.shape for batch in batches}) > 1:
        raise ValueError(f"the images differ in shape: {[tuple(batch.shape) for batch in batches]}")
