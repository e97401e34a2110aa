"""Ninety-five per cent intervals over trainings and queries together, from what each training's queries gave.

The model: a number of one training is the mean over all trainings, plus what this training differs by, plus what its
queries differ by. The spread of a few trainings estimates both errors at once, with Student's t for their small count.
But three trainings may agree by chance, so an interval is never narrower than the queries alone would make it.

It is in a file of its own because an edit of `metrics/intervals.py` lets every metric be computed again.
"""

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from scipy.stats import t as student

from metrics.intervals import Z

LEAST = 3
"""Trainings that an interval needs: two say too little of how trainings differ (t of one degree of freedom is 12.7)."""

ROUNDING = 1e-15
"""Variances below are 0, and shares that are so far from [0, 1] lie at its end."""

Ends = tuple[float, float]
NONE: Ends = (math.nan, math.nan)


def over_trainings(means: Sequence[float], errors: Sequence[float]) -> Ends:
    """The interval of the mean over trainings and queries, m ± max(t s, 1.96 e) / √K.

    s is the standard deviation of the K means, t the quantile of Student's t with K − 1 degrees of freedom.

    Parameters
    ----------
    means : sequence of float
        The mean over the queries of each of K trainings, any unit.
    errors : sequence of float
        Their standard errors over queries, in the same unit; e is their root mean square. NaN where unknown.

    Returns
    -------
    tuple of float
        Low and high; NaN if K < 3. Measured by perf/calibration.py: it holds the mean in 94 to 97 % if trainings spread
        by .05 of the queries' standard deviation or more at 500 queries, and in up to 99 % if they hardly spread.

    Raises
    ------
    ValueError
        If the lengths differ, or a mean is not finite.

    References
    ----------
    A one-way random effects model: Searle, Casella and McCulloch, Variance Components, 1992, chapter 3. The lower bound
    is ours.

    """
    values = _checked(means, errors)
    if len(values) < LEAST:
        return NONE
    known = np.asarray(errors, dtype=float)
    within = Z * math.sqrt(np.square(known[np.isfinite(known)]).mean()) if np.isfinite(known).any() else 0.0
    half = max(quantile(len(values)) * values.std(ddof=1), within) / math.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def share_over_trainings(shares: Sequence[float], counts: Sequence[int]) -> Ends:
    """The interval of a share over trainings and queries: the wider of two score intervals of the mean share p.

    One has the queries of all K trainings as its n and the normal quantile. The other has the n at which p would vary
    as the shares do, p (1 − p) K / s², and the quantile of Student's t with K − 1 degrees of freedom.

    Parameters
    ----------
    shares : sequence of float
        The share of successes among the queries of each of K trainings, in [0, 1].
    counts : sequence of int
        How many queries each has.

    Returns
    -------
    tuple of float
        Low and high, in [0, 1]; NaN if K < 3. What it holds, and that it holds too little where a share is near 0 or 1
        in most trainings and far from it in a few, is in the table that perf/calibration.py prints.

    Raises
    ------
    ValueError
        If the lengths differ, a share is outside [0, 1], or a count is not positive.

    References
    ----------
    Wilson, JASA 1927; effective sample sizes as in Korn and Graubard, Survey Methodology 1998.

    """
    values = _checked(shares, counts)
    if ((values < -ROUNDING) | (values > 1 + ROUNDING)).any() or min(counts, default=1) < 1:
        raise ValueError(f"shares must be in [0, 1] of at least one query each, got {shares} of {counts}")
    values = values.clip(0, 1)
    if len(values) < LEAST:
        return NONE
    p, n = float(values.mean()), float(sum(counts))
    one = p * (1 - p)  # the variance of one query; if it is 0, no spread can be seen, and n is what is known
    effective = one * len(values) / max(float(values.var(ddof=1)), ROUNDING) if one > ROUNDING else n
    ends = [_score(p, n, Z), _score(p, effective, quantile(len(values)))]
    return min(p, *(low for low, _ in ends)), max(p, *(high for _, high in ends))


@cache
def quantile(trainings: int) -> float:
    """The 97.5 % quantile of Student's t with one degree of freedom less than there are trainings."""
    return float(student.ppf(0.975, trainings - 1))


def _score(p: float, n: float, z: float) -> Ends:
    """Wilson's interval of a share `p` of `n` at the quantile `z`."""
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def _checked(values: Sequence[float], beside: Sequence[float]) -> np.ndarray:
    if len(values) != len(beside) or not np.isfinite(values).all():
        raise ValueError(f"expected finite numbers of as many trainings, got {values} and {beside}")
    return np.asarray(values, dtype=float)
