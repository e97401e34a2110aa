"""Whether a generator draws all kinds of pictures that it learnt from."""

import math

import numpy as np
import torch
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits
from torch import Tensor

from metrics.base import Estimate
from metrics.distances import check_images

KINDS = 20
"""Clusters of real images, at most."""
PER_KIND = 10
"""Real images a cluster, at least: of few images there are fewer clusters."""
RARE = 0.1
"""A kind is lost if it is drawn less than a tenth as often as it occurs."""
SIDE = 32
"""Pixels a side, at most, in which images are compared."""


def modes_kept(samples: Tensor, reals: Tensor) -> Estimate:
    """Share of real images whose kind is among the generated ones; the kinds are 20 clusters of real images.

    Each generated image is of the nearest cluster's kind. A kind is kept if it is at least a tenth as frequent among
    generated as among real images. The share is 1, or a little less, for other real images, and near 0 where all
    generated images are alike. It does not say whether they look real.

    Parameters
    ----------
    samples : Tensor
        Shape (n, C, H, W) in [0, 1]: images generated from noise.
    reals : Tensor
        Shape (m, C, H, W) in [0, 1]: real images; of fewer than 200 there are fewer clusters, of ten each.

    Returns
    -------
    Estimate
        In [0, 1], higher is better; n is that of `samples`, and there is no interval. NaN without samples, and for
        fewer than twenty real images.

    Raises
    ------
    ValueError
        If images are of another type or range, or hold NaN, or if samples and reals differ in shape.

    References
    ----------
    Richardson and Weiss, On GANs and GMMs, 2018, count such clusters by a test of each; here a fixed share decides.

    """
    check_images(samples)
    check_images(reals)
    if samples.shape[1:] != reals.shape[1:]:
        raise ValueError(f"samples and reals differ in shape: {[tuple(each.shape[1:]) for each in (samples, reals)]}")
    kinds = min(KINDS, len(reals) // PER_KIND)
    if not len(samples) or kinds < 2:
        return Estimate(math.nan, math.nan, math.nan, len(samples))
    with threadpool_limits(1):  # small matrices: threads would wait for each other
        model = KMeans(kinds, n_init=1, random_state=0).fit(_rows(reals))
        real, drawn = (np.bincount(found, minlength=kinds) for found in (model.labels_, model.predict(_rows(samples))))
    kept = drawn / len(samples) >= RARE * real / len(reals)
    return Estimate(float(real[kept].sum() / len(reals)), math.nan, math.nan, len(samples))


def _rows(images: Tensor) -> np.ndarray:
    """Images (N, C, H, W) as rows of at most 32 x 32 pixels, each a mean over a part of the image, (N, pixels)."""
    for side in (2, 3):
        parts = images.tensor_split(min(SIDE, images.shape[side]), side)
        images = torch.cat([part.mean(side, keepdim=True) for part in parts], side)
    return images.flatten(1).detach().cpu().double().numpy()
