"""Statistics of pairs: a bootstrap of mean differences, and Holm's correction of a family of p."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

REPLICATES = 10_000
"""Of the bootstrap and of the sign flips; the smallest p that can come out is 2 / 10,001."""
AT_ONCE = 500
"""Replicates that are in memory at the same time."""
SEED = 0
"""Of both: the same outcomes always get the same interval and p."""


class Difference(NamedTuple):
    """A mean paired difference, its 95 % interval, a two-sided p, and the number of images that it rests on."""

    value: float
    low: float
    high: float
    p: float
    n: int


def paired(differences: Array, images: npt.NDArray[np.int64]) -> list[Difference]:
    """Mean differences of pairs, with intervals and p.

    The interval is the percentile interval of a bootstrap that draws images with replacement. The p is the larger one
    of two: the bootstrap's, so that below .05 zero lies outside the interval; and that of flipping the sign of each
    image's difference at random, since the bootstrap's is too small where few queries differ. For a rate, flipping
    signs is McNemar's exact test.

    Over several seeds test sets overlap, so seeds are no independent repetitions: their differences are averaged,
    but what is drawn, and flipped, is an image with whatever all seeds say of it. So n is the number of different
    images. The interval is about the choice of queries; trainings are taken as they came out.

    Parameters
    ----------
    differences : array
        Shape (M, K): first minus second, a row a query of each seed, a column a comparison.
    images : array
        Shape (M,): which image each row is about. Without repetition it is the ordinary paired bootstrap.

    Returns
    -------
    list of Difference
        K of them, in the unit of the differences; p in (0, 1]. Where nothing differs all is 0 and p = 1.

    Raises
    ------
    ValueError
        If there is no row, the lengths differ, or a difference is not finite.

    References
    ----------
    Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapters 13 and 15; McNemar, Psychometrika 1947.

    """
    if not len(differences) or len(differences) != len(images) or not np.isfinite(differences).all():
        raise ValueError(f"expected finite differences of the same images, got {differences.shape} and {images.shape}")
    distinct, places = np.unique(images, return_inverse=True)
    totals = np.zeros((len(distinct), differences.shape[1]))
    np.add.at(totals, places, differences)
    counts = np.bincount(places).astype(np.float64)
    value = totals.sum(0) / counts.sum()
    drawn, flipped = _replicates(totals, counts)
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
    rounding = 1e-9 * np.abs(totals).sum(0) / counts.sum()
    extreme = (np.abs(flipped) >= np.abs(value) - rounding).sum(0)
    crossed = 2 * np.minimum((drawn <= rounding).sum(0), (drawn >= -rounding).sum(0)) + 1
    p = np.minimum(1, (np.maximum(extreme, crossed) + 1) / (REPLICATES + 1))
    return [
        Difference(*row, len(distinct))
        for row in zip(value.tolist(), low.tolist(), high.tolist(), p.tolist(), strict=True)
    ]


def _replicates(totals: Array, counts: Array) -> tuple[Array, Array]:
    """The mean differences of images drawn with replacement, and under random signs, each (REPLICATES, K)."""
    random, n = np.random.default_rng(SEED), len(counts)
    drawn, flipped = [], []
    for _ in range(REPLICATES // AT_ONCE):
        chosen = random.integers(0, n, (AT_ONCE, n)) + n * np.arange(AT_ONCE)[:, None]
        times = np.bincount(chosen.ravel(), minlength=AT_ONCE * n).reshape(AT_ONCE, n).astype(np.float64)
        drawn.append(times @ totals / (times @ counts)[:, None])
        flipped.append((2.0 * random.integers(0, 2, (AT_ONCE, n)) - 1) @ totals / counts.sum())
    return np.concatenate(drawn), np.concatenate(flipped)


def holm(ps: Sequence[float]) -> list[float]:
    """The p of a family, each corrected so that one below α is a false alarm anywhere in it with probability α at most.

    References
    ----------
    Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 1979.

    """
    values = np.asarray(ps, dtype=np.float64)
    order = values.argsort()
    corrected = np.empty_like(values)
    corrected[order] = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    return [float(p) for p in np.minimum(1, corrected)]
