"""Statistics of pairs: mean differences over trainings and queries, and Holm's correction of a family of p."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from metrics.trainings import LEAST, quantile

Array = npt.NDArray[np.float64]
Four = tuple[float, float, float, float]

SIGNIFICANT = 0.05
"""Below this a corrected p is called significant, if there are trainings enough."""
REPLICATES = 10_000
"""Of the bootstrap and of the sign flips; the smallest p that can come out is 2 / 10,001."""
AT_ONCE = 500
"""Replicates that are in memory at the same time."""
SEED = 0
"""Of both: the same outcomes always get the same interval and p."""


class Difference(NamedTuple):
    """A mean paired difference, its 95 % interval, a two-sided p, and the images and trainings that it rests on."""

    value: float
    low: float
    high: float
    p: float
    n: int
    trainings: int

    @property
    def sure(self) -> bool:
        """Whether it is more than chance, of queries and of trainings; never with fewer than three trainings."""
        return self.trainings >= LEAST and self.p < SIGNIFICANT


def paired(
    differences: Array,
    images: npt.NDArray[np.int64],
    trainings: npt.NDArray[np.int64],
    counted: npt.NDArray[np.bool_] | None = None,
) -> list[Difference]:
    """Mean differences of pairs, with intervals and p.

    About queries: the interval is the percentile interval of a bootstrap that draws images with replacement. The p is
    the larger one of two: the bootstrap's, so that below .05 zero lies outside the interval; and that of flipping the
    sign of each image's difference at random, since the bootstrap's is too small where few queries differ. For a rate,
    flipping signs is McNemar's exact test. Test sets of several seeds overlap, so what is drawn, and flipped, is an
    image with whatever all seeds say of it.

    About trainings, of three and more: Student's t of the means of the trainings. The interval then holds both
    intervals, and p is the larger one of both. Of one or two trainings both are about these trainings' queries only.

    Parameters
    ----------
    differences : array
        Shape (M, K): first minus second, a row a query of each seed, a column a comparison.
    images : array
        Shape (M,): which image each row is about. Without repetition it is the ordinary paired bootstrap.
    trainings : array
        Shape (M,): under which seed each row was trained.
    counted : array, optional
        Shape (M, K), bool: which rows a comparison is about, if not all; at least one each.

    Returns
    -------
    list of Difference
        K of them, in the unit of the differences; p in (0, 1]. Where nothing differs all is 0 and p = 1.

    Raises
    ------
    ValueError
        If a comparison is about no row, the lengths differ, or a difference is not finite.

    References
    ----------
    Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapters 13 and 15; McNemar, Psychometrika 1947;
    Student, Biometrika 1908. How often it is wrong is printed by perf/calibration.py.

    """
    used = np.ones(differences.shape, dtype=bool) if counted is None else counted
    right = used.shape == differences.shape and len(differences) == len(images) == len(trainings)
    if not right or not used.any(0).all() or not np.isfinite(differences).all():
        shapes = f"{differences.shape}, {images.shape} and {trainings.shape}"
        raise ValueError(f"expected finite differences of the same images, got {shapes}")
    totals, counts = _sums(differences * used, images), _sums(used.astype(np.float64), images)
    value, rounding = totals.sum(0) / counts.sum(0), 1e-9 * np.abs(totals).sum(0) / counts.sum(0)
    drawn, flipped = _replicates(totals, counts)
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
    extreme = (np.abs(flipped) >= np.abs(value) - rounding).sum(0)
    crossed = 2 * np.minimum((drawn <= rounding).sum(0), (drawn >= -rounding).sum(0)) + 1
    p = np.minimum(1, (np.maximum(extreme, crossed) + 1) / (REPLICATES + 1))
    sums, sizes = _sums(differences * used, trainings), _sums(used.astype(np.float64), trainings)
    found = []
    for k, row in enumerate(zip(value.tolist(), low.tolist(), high.tolist(), p.tolist(), strict=True)):
        there = sizes[:, k] > 0
        widened = _between(row, sums[there, k] / sizes[there, k], float(rounding[k]))
        found.append(Difference(*widened, int((counts[:, k] > 0).sum()), int(there.sum())))
    return found


def _between(about_queries: Four, means: Array, rounding: float) -> Four:
    """Value, interval and p `about_queries`, made to be about trainings too, of which these are the `means`, (T,)."""
    value, low, high, p = about_queries
    if len(means) < LEAST:
        return about_queries
    error = max(float(means.std(ddof=1)) / len(means) ** 0.5, rounding / 1000, 1e-300)
    half = quantile(len(means)) * error
    return (
        value,
        min(low, value - half),
        max(high, value + half),
        max(p, 2 * student.sf(abs(value) / error, len(means) - 1)),
    )


def _sums(rows: Array, groups: npt.NDArray[np.int64]) -> Array:
    """The sums of the rows of each group, (G, K)."""
    distinct, places = np.unique(groups, return_inverse=True)
    totals = np.zeros((len(distinct), rows.shape[1]))
    np.add.at(totals, places, rows)
    return totals


def _replicates(totals: Array, counts: Array) -> tuple[Array, Array]:
    """The mean differences of images drawn with replacement, and under random signs, each (REPLICATES, K).

    `totals` and `counts`, (N, K), are the sums of each image's differences, and how many they are.
    """
    random, n = np.random.default_rng(SEED), len(counts)
    drawn, flipped = [], []
    for _ in range(REPLICATES // AT_ONCE):
        chosen = random.integers(0, n, (AT_ONCE, n)) + n * np.arange(AT_ONCE)[:, None]
        times = np.bincount(chosen.ravel(), minlength=AT_ONCE * n).reshape(AT_ONCE, n).astype(np.float64)
        drawn.append(times @ totals / np.maximum(times @ counts, 1))
        flipped.append((2.0 * random.integers(0, 2, (AT_ONCE, n)) - 1) @ totals / counts.sum(0))
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
