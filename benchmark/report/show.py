"""One number of one method, as a line or as JSON; a flip rate never stands alone."""

import json
from collections.abc import Sequence

import numpy as np

from benchmark.errors import UserError
from benchmark.report.cells import Mean, Results, written
from benchmark.report.numbers import at
from metrics import METRICS

BESIDE = ("flip_rate", "oracle_agreement", "mse")
"""The flip rate, and what a reader needs to judge it."""


def with_flips(metrics: Sequence[str], beside: Sequence[str] = BESIDE) -> list[str]:
    """The metrics, and after a flip rate what stands beside it."""
    return list(dict.fromkeys(part for name in metrics for part in (beside if name == BESIDE[0] else (name,))))


def means_at(results: Results, metrics: Sequence[str], relaxation: float | None) -> tuple[float, dict[str, Mean]]:
    """The smallest r or the one asked for, and each metric's mean there, of results of one method on one task.

    Raises
    ------
    UserError
        If nothing was run at `relaxation`, or a metric has no number there.
    """
    r, numbers = at(results.numbers, relaxation)
    found = {name: Mean.of(numbers[numbers["metric"] == name]) for name in metrics}
    if lacking := [name for name, mean in found.items() if np.isnan(mean.value)]:
        there = dict.fromkeys(numbers[numbers["value"].notna()]["metric"])
        known = f"there is {', '.join(there)}" if there else "there is no number at all: benchmark run makes it again"
        raise UserError(f"{results[0].method} has no {', '.join(lacking)} at r = {r:g}; {known}")
    return r, found


def line(results: Results, r: float, means: dict[str, Mean]) -> str:
    """Method, task and r; each metric with its interval, and n."""
    n = max(mean.n for mean in means.values())
    parts = [_text(name, mean) + ("" if mean.n == n else f" (n = {mean.n})") for name, mean in means.items()]
    seeds = next(iter(means.values())).seeds
    told = f"seed {seeds[0]}" if len(seeds) == 1 else f"mean ± std over seeds {', '.join(map(str, seeds))}"
    first = results[0]
    return f"{first.method} on {first.task}, r = {r:g}: {'; '.join(parts)}; n = {n}, {told}"


def _text(name: str, mean: Mean) -> str:
    metric = METRICS[name]
    unit = " %" if metric.shown.percent else f" {metric.unit}" if metric.unit else ""
    return f"{metric.heading or name} {written(metric.shown, *mean[:4])}{unit}"


def as_json(results: Results, r: float, means: dict[str, Mean]) -> str:
    """The same in one line of JSON: numbers as in metrics.csv, null where one is not defined."""
    numbers = {name: {key: _defined(value) for key, value in mean._asdict().items()} for name, mean in means.items()}
    first = results[0]
    return json.dumps({"task": first.task, "method": first.method, "r": r, "metrics": numbers})


def _defined(value: object) -> object:
    return None if isinstance(value, float) and np.isnan(value) else value
