"""Spread of a number between retrainings: trainings under one seed that differ by rounding.

It is estimated on a scale on which it does not depend on the value: the arcsine of the square root for fractions, the
logarithm for errors and distances. A spread from a handful of trainings is uncertain, so it is shrunk towards the
spreads of numbers of the same kind (moderated variances, Smyth 2004).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import digamma, polygamma

from benchmark.report.baseline import values_of
from metrics import METRICS


@dataclass(frozen=True)
class Scale:
    """A scale on which the spread between retrainings does not depend on the value."""

    to: Callable[[np.ndarray], np.ndarray]
    back: Callable[[np.ndarray], np.ndarray]


FRACTION = Scale(
    lambda value: np.arcsin(np.sqrt(np.clip(value, 0, 1))), lambda angle: np.sin(np.clip(angle, 0, np.pi / 2)) ** 2
)
POSITIVE = Scale(lambda value: np.log(np.maximum(value, 1e-12)), np.exp)
PLAIN = Scale(lambda value: value, lambda value: value)


def scale_of(metric: str) -> Scale:
    """The scale of a metric, by the range and the direction that the registry gives it."""
    low, high = METRICS[metric].range
    if low == 0 and METRICS[metric].better == "lower":
        return POSITIVE
    return FRACTION if (low, high) == (0, 1) else PLAIN


def scaled(metrics: pd.Series, values: np.ndarray) -> np.ndarray:
    """`values`, (rows, ...), each row on the scale of its metric."""
    return np.stack([scale_of(metric).to(row) for metric, row in zip(metrics, values, strict=True)])


def natural(baseline: pd.DataFrame, scaled: pd.Series) -> np.ndarray:
    """`scaled` values of a baseline's numbers, converted back to their units."""
    return np.array([scale_of(metric).back(value) for metric, value in zip(baseline["metric"], scaled, strict=True)])


def kinds_of(baseline: pd.DataFrame) -> pd.Series:
    """The kind of each number, within which spreads are alike: all fractions are one kind, other metrics one each."""
    return baseline["metric"].map(lambda metric: "fractions" if scale_of(metric) is FRACTION else metric)


def spread(baseline: pd.DataFrame) -> pd.DataFrame:
    """Centre, standard deviation and degrees of freedom of each number between trainings, on its scale.

    The standard deviation has a lower bound, because a few trainings may agree by chance: see `_least`.
    """
    values = scaled(baseline["metric"], baseline[values_of(baseline)].to_numpy(float))
    variance = np.maximum(values.var(axis=1, ddof=1), _least(baseline) ** 2)
    table = pd.DataFrame({"centre": values.mean(axis=1), "variance": variance}, index=baseline.index)
    degrees = values.shape[1] - 1
    for _, group in table.groupby(kinds_of(baseline)):
        prior, weight = _prior(group["variance"].to_numpy(), degrees)
        table.loc[group.index, "sd"] = np.sqrt((weight * prior + degrees * group["variance"]) / (weight + degrees))
        table.loc[group.index, "degrees"] = weight + degrees
    # The run is one more training, and the centre is a mean of few trainings.
    return table.assign(sd=table["sd"] * np.sqrt(1 + 1 / values.shape[1]))[["centre", "sd", "degrees"]]


def _least(baseline: pd.DataFrame) -> np.ndarray:
    """Lower bound of the standard deviation: for a fraction half its sampling error at n, for others a millionth."""
    fractions = [scale_of(metric) is FRACTION for metric in baseline["metric"]]
    return np.where(fractions, 0.25 / np.sqrt(baseline["n"].to_numpy(float)), 1e-6)


MOST_WEIGHT = 1e3


def _prior(variances: np.ndarray, degrees: int) -> tuple[float, float]:
    """The prior variance and its degrees of freedom, from several variances (Smyth 2004, Sec. 6.2)."""
    if len(variances) < 2:
        return float(variances.mean()), 0.0
    logs = np.log(variances) - digamma(degrees / 2) + np.log(degrees / 2)
    excess = logs.var(ddof=1) - polygamma(1, degrees / 2)
    if excess <= polygamma(1, MOST_WEIGHT / 2):
        return float(np.exp(logs.mean())), MOST_WEIGHT
    weight = 2 * brentq(lambda x: polygamma(1, x) - excess, 1e-3, MOST_WEIGHT)
    return float(np.exp(logs.mean() + digamma(weight / 2) - np.log(weight / 2))), float(weight)
