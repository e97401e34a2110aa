"""How far each counterfactual lies from real pictures of its target class, in the features of a network.

Features are matrices of floats, one row per picture: `answers` (N, F) of counterfactuals with their `targets` (N,),
`train` (T, F) and `real` (M, F) of real pictures with their `train_classes` (T,) and `real_classes` (M,). No method or
judge was trained on `real`. Distances are Euclidean and only between pictures of one class. Counterfactuals whose
target class has too few real pictures are left out, and n says how many count; if none does, all is NaN and n is N.
NaN, infinity, other shapes and other lengths raise ValueError.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from metrics.base import Estimate
from metrics.intervals import mean, proportion
from metrics.rates import check_classes

NEAREST = 5
"""k: the neighbour whose distance counts, as in Naeem et al."""
TAIL = 0.95
"""Quantile of real pictures beyond which a counterfactual counts as unlike them."""


def realism_quantile(
    answers: Tensor, targets: Tensor, train: Tensor, train_classes: Tensor, real: Tensor, real_classes: Tensor
) -> Estimate:
    """Mean over counterfactuals of the share of real pictures that lie nearer to the training pictures of their class.

    Near is what has a small distance to its k-th nearest training picture, k = 5.

    Returns
    -------
    Estimate
        A fraction in [0, 1], lower is better: unseen real pictures have 0.5, what is farther than all of them 1. A
        counterfactual that is a training picture counts itself as its nearest, which favours `nearest-unlike` a little.

    References
    ----------
    Kynkäänniemi et al., Improved Precision and Recall Metric for Assessing Generative Models, 2019, for one picture;
    the quantile is ours.

    """
    quantiles = _quantiles(answers, targets, train, train_classes, real, real_classes)
    return mean(quantiles) if len(quantiles) else _none(len(answers))


def realism_beyond(
    answers: Tensor, targets: Tensor, train: Tensor, train_classes: Tensor, real: Tensor, real_classes: Tensor
) -> Estimate:
    """Share of counterfactuals that lie beyond the 95 % quantile of real pictures, as `realism_quantile` has it.

    Returns
    -------
    Estimate
        A fraction in [0, 1], lower is better; 0.05 for unseen real pictures.

    References
    ----------
    As `realism_quantile`.

    """
    quantiles = _quantiles(answers, targets, train, train_classes, real, real_classes)
    return proportion(quantiles > TAIL) if len(quantiles) else _none(len(answers))


def density(answers: Tensor, targets: Tensor, real: Tensor, real_classes: Tensor) -> Estimate:
    """Mean number of real pictures in whose neighbourhood a counterfactual lies, divided by k = 5.

    The neighbourhood of a real picture reaches to its k-th nearest other real picture.

    Returns
    -------
    Estimate
        A number from 0 on, higher is better; 1 in expectation for real pictures. Above 1 for pictures that crowd where
        real ones are dense, such as means.

    References
    ----------
    Naeem et al., Reliable Fidelity and Diversity Metrics for Generative Models, 2020.

    """
    found = torch.full((len(answers),), math.nan, dtype=torch.double)
    for label, inside in _inside(answers, targets, real, real_classes):
        found[targets == label] = inside.double().sum(1) / NEAREST
    found = found[~found.isnan()]
    return mean(found) if len(found) else _none(len(answers))


def coverage(answers: Tensor, targets: Tensor, real: Tensor, real_classes: Tensor) -> Estimate:
    """Share of real pictures in whose neighbourhood, as `density` has it, a counterfactual of their class lies.

    Of `targets` the first N count, so that N can be the number of real pictures, as in the reference.

    Returns
    -------
    Estimate
        A fraction in [0, 1] of the real pictures, higher is better; about 1 - 2⁻⁵ = 0.97 for as many real pictures.

    References
    ----------
    As `density`.

    """
    covered = [inside.any(0) for _, inside in _inside(answers, targets[: len(answers)], real, real_classes)]
    return proportion(torch.cat(covered)) if covered else _none(len(answers))


def _quantiles(
    answers: Tensor, targets: Tensor, train: Tensor, train_classes: Tensor, real: Tensor, real_classes: Tensor
) -> Tensor:
    """For each counterfactual the share of real pictures of its class that are nearer, in the order of `answers`."""
    for features, classes in ((answers, targets), (train, train_classes), (real, real_classes)):
        _check(features, classes, answers.shape[1:])
    found = torch.full((len(answers),), math.nan, dtype=torch.double)
    for label in targets.unique().tolist():
        known, unseen = train[train_classes == label], real[real_classes == label]
        if len(known) >= NEAREST and len(unseen):
            ours, theirs = (_to_nearest(part, known) for part in (answers[targets == label], unseen))
            found[targets == label] = (theirs < ours[:, None]).double().mean(1)
    return found[~found.isnan()]


def _to_nearest(features: Tensor, known: Tensor) -> Tensor:
    """Distance of each row of `features` to its k-th nearest row of `known`."""
    return _distances(features, known).kthvalue(NEAREST, dim=1).values


def _inside(answers: Tensor, targets: Tensor, real: Tensor, real_classes: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Each class, and whether each of its counterfactuals (rows) lies in a real picture's neighbourhood (columns)."""
    _check(answers, targets, answers.shape[1:])
    _check(real, real_classes, answers.shape[1:])
    for label in targets.unique().tolist():
        same = real[real_classes == label]
        if len(same) > NEAREST:
            radii = _distances(same, same).kthvalue(NEAREST + 1, dim=1).values  # the nearest is the picture itself
            yield label, _distances(answers[targets == label], same) < radii


def _distances(ones: Tensor, others: Tensor) -> Tensor:
    """Euclidean distances (n, m); exact, so that a picture has the distance 0 to itself."""
    return torch.cdist(ones.double(), others.double(), compute_mode="donot_use_mm_for_euclid_dist")


def _check(features: Tensor, classes: Tensor, shape: torch.Size) -> None:
    check_classes(classes=classes)
    if features.ndim != 2 or not features.is_floating_point() or features.shape[1:] != shape:
        raise ValueError(f"features must be floats (N, F), of one F, got {features.dtype} {tuple(features.shape)}")
    if len(features) != len(classes):
        raise ValueError(f"there are features of {len(features)} pictures, and classes of {len(classes)}")
    if not features.isfinite().all():
        raise ValueError("features are NaN or infinite")


def _none(count: int) -> Estimate:
    return Estimate(math.nan, math.nan, math.nan, count)
