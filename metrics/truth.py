"""Distance of an answer to the exact counterfactual, for data that have it; and how many other attributes changed.

Images are float (N, C, H, W) in [0, 1] without NaN and of one shape; others raise ValueError. Distances are fractions
of the full intensity range. Every estimate is NaN if N = 0.
"""

import torch
from torch import Tensor

from metrics.base import Estimate
from metrics.distances import CHANGED_BY_MORE_THAN, ROUNDING, check_images
from metrics.intervals import mean

WINDOW, SIGMA = 11, 1.5
"""Side in pixels and standard deviation of the Gaussian window under which SSIM compares (Wang et al. 2004)."""
STABILISERS = (0.01**2, 0.03**2)
"""C_1 and C_2 of SSIM for intensities in [0, 1]."""
TOGETHER = 16
"""Images per batch: few enough for the intermediate results of SSIM to fit into a core's cache."""


def truth_l1(images: Tensor, exact: Tensor) -> Estimate:
    """Mean absolute difference to the exact counterfactual over all pixels, averaged over the images.

    Parameters
    ----------
    images : Tensor
        Shape (N, C, H, W), float in [0, 1]: the answers; or, as an anchor, queries or reconstructions.
    exact : Tensor
        Shape (N, C, H, W), float in [0, 1]: the same noise, with the attribute set to the target.

    Returns
    -------
    Estimate
        In [0, 1], lower is better.

    References
    ----------
    Ours; true counterfactuals of drawn images as in Pawlowski et al., Deep Structural Causal Models, 2020.

    """
    return mean(_apart(images, exact).flatten(1).mean(1))


def truth_l1_drawn(images: Tensor, exact: Tensor, before: Tensor) -> Estimate:
    """`truth_l1` over the pixels that the attribute draws: those where the exact counterfactual differs from the query.

    Parameters
    ----------
    images : Tensor
        Shape (N, C, H, W), float in [0, 1]: the answers, or an anchor.
    exact : Tensor
        Shape (N, C, H, W), float in [0, 1].
    before : Tensor
        Shape (N, C, H, W), float in [0, 1]: the queries. A pixel counts if some channel of the exact counterfactual
        differs from the query by more than 8/255.

    Returns
    -------
    Estimate
        In [0, 1], lower is better. It is not defined if the exact counterfactual is the query; n counts the others.

    References
    ----------
    Ours.

    """
    apart = _apart(images, exact).mean(1)  # (N, H, W)
    drawn = 255 * _apart(exact, before).amax(1) > CHANGED_BY_MORE_THAN + ROUNDING
    some = drawn.any((1, 2))
    return mean((apart * drawn)[some].sum((1, 2)) / drawn[some].sum((1, 2)))


def truth_ssim(images: Tensor, exact: Tensor) -> Estimate:
    """Structural similarity to the exact counterfactual, averaged over windows, channels and images.

    Parameters
    ----------
    images : Tensor
        Shape (N, C, H, W), float in [0, 1]: the answers, or an anchor.
    exact : Tensor
        Shape (N, C, H, W), float in [0, 1].

    Returns
    -------
    Estimate
        In [-1, 1], higher is better, 1 for equal images. Windows lie within the image; on images of less
        than 11 pixels the window shrinks to fit.

    References
    ----------
    Wang, Bovik, Sheikh and Simoncelli, Image Quality Assessment: From Error Visibility to Structural Similarity, 2004.

    """
    check_images(images, exact)
    side = min(WINDOW, *(length - 1 + length % 2 for length in images.shape[2:]))
    window = torch.exp(-0.5 * ((torch.arange(side) - side // 2) / SIGMA).square()).double()
    window = window / window.sum()

    # Weighted means over windows as products with banded matrices, one per direction.
    down, across = (torch.eye(n, dtype=torch.float64).unfold(0, side, 1) @ window for n in images.shape[2:])

    def similarity(first: Tensor, second: Tensor) -> Tensor:
        def smooth(values: Tensor) -> Tensor:
            return down @ values @ across.T

        means = smooth(first), smooth(second)
        spreads = smooth(first.square()) - means[0].square(), smooth(second.square()) - means[1].square()
        together = smooth(first * second) - means[0] * means[1]
        squares = means[0].square() + means[1].square()
        luminance = (2 * means[0] * means[1] + STABILISERS[0]) / (squares + STABILISERS[0])
        structure = (2 * together + STABILISERS[1]) / (spreads[0] + spreads[1] + STABILISERS[1])
        return (luminance * structure).flatten(1).mean(1).clamp(-1, 1)  # rounding leaves the interval

    pairs = zip(images.detach().split(TOGETHER), exact.detach().split(TOGETHER), strict=True)
    return mean(torch.cat([similarity(first.double(), second.double()) for first, second in pairs]))


def mnac(found_attributes: Tensor, other_attributes: Tensor) -> Estimate:
    """Mean number of attributes, other than the task's, that changed from the query, as attribute oracles see them.

    Parameters
    ----------
    found_attributes : Tensor
        Shape (N, A), bool: the attributes of the answers; or, as an anchor, of the reconstructions.
    other_attributes : Tensor
        Shape (N, A), bool: the attributes of the queries.

    Returns
    -------
    Estimate
        In [0, A], attributes per face, lower is better. Attributes lost by the reconstruction count too, so compare
        with the reconstruction's own number.

    Raises
    ------
    ValueError
        If the shapes differ, or an entry is not bool.

    References
    ----------
    Rodríguez et al., Beyond Trivial Counterfactual Explanations with Diverse Valuable Explanations (DiVE), 2021.

    """
    if found_attributes.dtype != torch.bool or other_attributes.dtype != torch.bool:
        raise ValueError(f"attributes must be bool, got {found_attributes.dtype} and {other_attributes.dtype}")
    if found_attributes.ndim != 2 or found_attributes.shape != other_attributes.shape:
        raise ValueError(
            f"attributes must be (N, A) alike, got {tuple(found_attributes.shape)}, {tuple(other_attributes.shape)}"
        )
    return mean((found_attributes != other_attributes).sum(1).double())


def _apart(images: Tensor, exact: Tensor) -> Tensor:
    """|x − y|, (N, C, H, W)."""
    check_images(images, exact)
    return (images.detach().float() - exact.detach().float()).abs()
