"""A line of the registry: the function of a metric, its evidence, and its column in the tables."""

import hashlib
import importlib
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, cast

from metrics.base import Estimate

FRACTION, POSITIVE, ANY = (0.0, 1.0), (0.0, math.inf), (-math.inf, math.inf)
"""Ranges of values."""


class Format(NamedTuple):
    """How tables write a number."""

    digits: int = 2
    """Digits after the point."""
    percent: bool = False
    """Whether a fraction is written in per cent."""
    interval: bool = False
    """Whether the 95 % interval is written too."""

    def text(self, value: float) -> str:
        """A value, an end of an interval or a spread, without a unit."""
        return f"{(100 if self.percent else 1) * value:.{self.digits}f}"


PLAIN = Format()
RATE = Format(1, percent=True, interval=True)
"""Format of a share of queries."""


@dataclass(frozen=True)
class Metric:
    """One line of the registry.

    Attributes
    ----------
    function : str
        "module:function", imported on use.
    needs : tuple of str
        Names of the evidence, passed to the function in this order.
    unit : str
        "" for a fraction or a number without unit.
    better : {"higher", "lower", ""}
        "" if neither is: a yardstick, or one half of a trade-off.
    range : tuple of float
        Lowest and highest possible value; infinite if there is no limit.
    meaning : str
        One line that explains the metric.
    also_flipped : bool
        Whether it is also computed over the flipped queries alone.
    probed : bool
        Whether it uses the first queries only (`data.probes`), because it costs more than the others.
    table : {"summary", "plausibility", "models", "truth", ""}
        The table with its column; "" if it is in `metrics.csv` only.
    heading : str
        Heading of its column, without unit and direction.
    place : int
        Place of its column, from the left; metrics with the same place keep the order of the registry.
    shown : Format
        How the number is written.

    """

    function: str
    needs: tuple[str, ...]
    unit: str
    better: Literal["higher", "lower", ""]
    range: tuple[float, float]
    meaning: str
    also_flipped: bool = False
    probed: bool = False
    table: Literal["summary", "plausibility", "models", "truth", ""] = ""
    heading: str = ""
    place: int = 0
    shown: Format = PLAIN

    @property
    def arrow(self) -> str:
        """The arrow for the better direction, in a heading."""
        return {"higher": "↑", "lower": "↓", "": ""}[self.better]

    @property
    def rests_on_oracle(self) -> bool:
        """Whether its evidence is what the oracle sees in pictures: their class, or its features of them."""
        return any("oracle" in need for need in self.needs)

    @property
    def title(self) -> str:
        """The heading of its column, with unit and direction."""
        return " ".join(filter(None, (self.heading, "%" * self.shown.percent, self.arrow)))

    @property
    def scale(self) -> str:
        """Unit, direction and range as text."""
        low, high = (f"{limit:g}".replace("inf", "∞") for limit in self.range)
        ends = ("(" if low == "-∞" else "[") + f"{low}, {high}" + (")" if high == "∞" else "]")
        return ", ".join(filter(None, (self.unit, self.better and f"{self.better} is better", ends)))

    @property
    def per_relaxation(self) -> bool:
        """Whether there is one value per relaxation, rather than one per job."""
        return any(need.startswith("answer") for need in self.needs)

    def load(self) -> Callable[..., Estimate]:
        """Import the function."""
        module, name = self.function.split(":")
        return cast(Callable[..., Estimate], getattr(importlib.import_module(module), name))

    def fingerprint(self) -> str:
        """Hash of the definition, so that a metric is computed again after it was edited.

        It covers the function, its evidence and subsets, its module, and the modules that all metrics use.
        """
        modules = (self.function.split(":")[0], "metrics.intervals", "metrics.base")
        sources: list[Any] = [inspect.getsource(importlib.import_module(module)) for module in modules]
        return hashlib.sha256(repr([self.function, self.needs, self.also_flipped, *sources]).encode()).hexdigest()[:16]
