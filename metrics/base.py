"""What every metric returns."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor  # listing the metrics imports no torch


class Estimate(NamedTuple):
    """A number, its 95 % interval, and how many observations it rests on.

    `low` and `high` are NaN where no interval is defined (n = 1, say), `value` where there is nothing to average.
    """

    value: float
    low: float
    high: float
    n: int


class Average(Estimate):
    """An estimate that is the mean of one value an observation, and keeps these, so that methods compare in pairs."""

    values: "Tensor"
    """Shape (n,): bool, or float64 in the unit of the mean; in the order of the observations."""


def average(values: "Tensor", value: float, low: float, high: float) -> Average:
    """The estimate (value, low, high, n) that rests on `values` (n,)."""
    made = Average(value, low, high, len(values))
    made.values = values
    return made
