"""How far an answer lies from its query, in pixels."""

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


def _mean_square(images: Tensor, queries: Tensor) -> Tensor:
    return _difference(images, queries).square().flatten(1).mean(1)  # (N,)


def _difference(images: Tensor, queries: Tensor) -> Tensor:
    _check_images(images)
    _check_images(queries)
    if images.shape != queries.shape:
        raise ValueError(f"images and queries differ in shape: {tuple(images.shape)} and {tuple(queries.shape)}")
    return images.detach().float() - queries.detach().float()


def _check_images(images: Tensor) -> None:
    if not images.is_floating_point() or images.ndim != 4:
        raise ValueError(f"images must be float (N, C, H, W), got {images.dtype} {tuple(images.shape)}")
    if not ((images >= 0) & (images <= 1)).all():  # NaN fails both comparisons
        raise ValueError(f"images must lie in [0, 1] and hold no NaN, got [{images.min():g}, {images.max():g}]")
