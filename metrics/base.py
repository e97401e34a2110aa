"""What every metric returns."""

from typing import NamedTuple


class Estimate(NamedTuple):
    """A number, its 95 % interval, and how many observations it rests on.

    `low` and `high` are NaN where no interval is defined (n = 1, say), `value` where there is nothing to average.
    """

    value: float
    low: float
    high: float
    n: int
