"""Estimates: the result of every metric."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor  # listing the metrics imports no torch


class Estimate(NamedTuple):
    """A number, its 95 % interval, and the number n of observations.

    `low` and `high` are NaN if no interval is defined (as for n = 1); `value` is NaN if n = 0.
    """

    value: float
    low: float
    high: float
    n: int


class Average(Estimate):
    """A mean that keeps the value of each observation, so that two methods can be compared in pairs."""

    values: "Tensor"
    """Shape (n,): bool, or float64 in the unit of the mean; in the order of the observations."""


def average(values: "Tensor", value: float, low: float, high: float) -> Average:
    """The estimate (value, low, high, n), keeping its `values` (n,)."""
    made = Average(value, low, high, len(values))
    made.values = values
    return made
