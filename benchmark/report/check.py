"""The regression check of CI: whether a run repeats the published numbers.

A number from the baseline's own trained networks must be equal to the last digit. A number from networks trained anew
may differ as much as retraining differs. So may the mean over all numbers of a metric, which reveals small shifts that
are common to all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd
from scipy.stats import t as student
from tabulate import tabulate

from benchmark.errors import UserError
from benchmark.report.baseline import KEY, jobs_of, values_of
from benchmark.report.retraining import FRACTION, POSITIVE, kinds_of, natural, scale_of, scaled, spread
from metrics import METRICS

ALARMS = 0.01
"""Probability that a check of networks that were only trained anew reports a change."""
POWER = 0.8
"""Probability of finding a change that is reported as "would be seen"."""
EXACT = 1e-9
"""Relative difference up to which numbers count as equal: the rounding of the csv file."""


@dataclass(frozen=True)
class Findings:
    """Comparison of a run with a baseline."""

    numbers: pd.DataFrame
    """One row per number of the baseline: its key, "baseline", "now", "low" and "high" (the range that retraining
    explains), "same" (whether the trained networks are), "holds"."""
    together: pd.DataFrame
    """One row per kind of number: "metric", "numbers", "shift" (mean, in standard deviations), "allowed", "holds"."""

    @property
    def moved(self) -> pd.DataFrame:
        """The numbers that do not hold."""
        return self.numbers[~self.numbers["holds"]]

    @property
    def holds(self) -> bool:
        """Whether every number and every kind holds."""
        return bool(self.numbers["holds"].all() and self.together["holds"].all())


def findings_of(numbers: pd.DataFrame, baseline: pd.DataFrame) -> Findings:
    """Compare a run with a baseline.

    Parameters
    ----------
    numbers
        A tidy table with the column "weights", as `with_weights` returns it.
    baseline
        As `read_baseline` returns it. Numbers that it lacks are not compared.

    Raises
    ------
    UserError
        If a number has another count of queries than in the baseline.
    """
    run = numbers[numbers["subset"] == "all"].set_index(KEY)[["value", "n", "weights"]]
    both = baseline.join(run.add_suffix("_now"), on=KEY)
    _check_counts(both)
    same = both["weights_now"] == both["weights"]
    known = spread(baseline)
    limit = known["sd"] * _critical(baseline, known["degrees"])
    low, high = (natural(baseline, known["centre"] + sign * limit) for sign in (-1, 1))
    now = both["value_now"].to_numpy(float)
    exact = np.isclose(now, both["value"], rtol=EXACT, atol=0)
    table = baseline[KEY].assign(
        baseline=both["value"].where(same, natural(baseline, known["centre"])),
        now=now,
        low=both["value"].where(same, low),
        high=both["value"].where(same, high),
        same=same,
        holds=np.where(same, exact, (now >= low) & (now <= high)),
    )
    return Findings(table, _together(both[~same & both["value_now"].notna()], baseline, known))


def _check_counts(both: pd.DataFrame) -> None:
    other = both[both["n_now"].notna() & (both["n_now"] != both["n"])]
    if len(other):
        row = other.iloc[0]
        raise UserError(
            f"{row['method']} on {row['task']} was run on {row['n_now']:.0f} queries, the baseline on {row['n']:.0f}; "
            "run it without --limit and settings of your own"
        )


def _critical(baseline: pd.DataFrame, degrees: pd.Series) -> np.ndarray:
    """Allowed deviation of each number in standard deviations; half of `ALARMS` is shared by kinds, then by numbers."""
    kinds = kinds_of(baseline)
    of_kind = kinds.groupby(kinds).transform("size")
    return cast(np.ndarray, student.isf(ALARMS / 2 / kinds.nunique() / of_kind / 2, degrees))


def _together(both: pd.DataFrame, baseline: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """The mean shift of all retrained numbers of a kind, compared with the shifts of the baseline's retrainings."""
    kinds = baseline["metric"].nunique()
    rows = []
    for metric, group in both.groupby("metric", sort=False):
        if len(group) < 2:
            continue
        own = known.loc[group.index]
        trainings = _shifts(group, own, values_of(baseline))
        shift = _shifts(group, own, ["value_now"]).item()
        sd = trainings.std(ddof=1) * np.sqrt(1 + 1 / len(trainings))
        allowed = sd * student.isf(ALARMS / 2 / kinds / 2, len(trainings) - 1)
        rows.append((metric, len(group), shift, allowed, abs(shift) <= allowed))
    return pd.DataFrame(rows, columns=["metric", "numbers", "shift", "allowed", "holds"]).astype({"holds": bool})


def _shifts(group: pd.DataFrame, own: pd.DataFrame, columns: Sequence[str]) -> np.ndarray:
    """Distance of each of `columns` from the centre in standard deviations, averaged over the rows."""
    values = scaled(group["metric"], group[list(columns)].to_numpy(float))
    shifts = (values - own["centre"].to_numpy()[:, None]) / own["sd"].to_numpy()[:, None]
    return cast(np.ndarray, shifts.mean(axis=0))


def would_see(baseline: pd.DataFrame) -> pd.DataFrame:
    """The smallest change for the worse that is found in 4 of 5 retrainings, one row per number of the baseline.

    Returns
    -------
    DataFrame
        The key, "value", and "change": a difference in the number's unit for fractions and bits, a factor for errors
        and distances; NaN if no possible value is bad enough.
    """
    known = spread(baseline)
    away = known["sd"] * (_critical(baseline, known["degrees"]) + student.ppf(POWER, known["degrees"]))
    worse = np.where([METRICS[metric].better == "higher" for metric in baseline["metric"]], -1, 1)
    centre, there = (natural(baseline, known["centre"] + step) for step in (0 * away, worse * away))
    factor = np.array([scale_of(metric) is POSITIVE for metric in baseline["metric"]])
    change = np.where(factor, there / centre, there - centre)
    beyond = np.array([scale_of(metric) is FRACTION for metric in baseline["metric"]]) & (known["centre"] - away < 0)
    return baseline[KEY].assign(value=centre, change=np.where(beyond, np.nan, change))


def findings_text(found: Findings, baseline: pd.DataFrame) -> str:
    """Report of a check: how many numbers hold, which moved, and the smallest changes that it would have found."""
    numbers, together = found.numbers, found.together
    same = int(numbers["same"].sum())
    jobs = ", ".join(f"{task}, seed {seed}" for task, seed in dict.fromkeys((t, s) for t, _, s in jobs_of(numbers)))
    parts = [
        f"{jobs}: {int(numbers['holds'].sum())} of {len(numbers)} numbers hold; {same} come from the baseline's own "
        f"networks and must be equal, {len(numbers) - same} from networks trained anew"
    ]
    if len(found.moved):
        parts.append("moved:\n" + _grid(found.moved.drop(columns=["holds", "same"])))
    if not together["holds"].all():
        rows = together[~together["holds"]].drop(columns="holds")
        parts.append(
            "shifted together (mean over the methods, in standard deviations of a retraining):\n" + _grid(rows)
        )
    if same < len(numbers):
        parts.append(
            "smallest changes that are seen in 4 of 5 networks trained anew (points; x: factors):\n"
            + _grid(_smallest(would_see(baseline)))
        )
    return "\n\n".join(parts)


def _grid(table: pd.DataFrame) -> str:
    return tabulate(table.to_dict("list"), headers="keys", tablefmt="github", showindex=False, floatfmt=".4g")


def _smallest(changes: pd.DataFrame) -> pd.DataFrame:
    """One row per method: the smallest visible change of each metric, at the relaxation where it is largest."""
    rows = []
    for method, of_method in changes.groupby("method", sort=False):
        row = {"method": str(method)}
        for metric, group in of_method.groupby("metric", sort=False):
            row[str(metric)] = _worst(str(metric), group)
        rows.append(row)
    return pd.DataFrame(rows).fillna("")


def _worst(metric: str, group: pd.DataFrame) -> str:
    changes = group.dropna(subset="change").set_index("relaxation")["change"]
    if changes.empty:
        return "no"
    place = int(changes.abs().to_numpy().argmax())
    change, r = float(changes.iloc[place]), float(changes.index[place])
    scale = scale_of(metric)
    size = f"x {change:.2f}" if scale is POSITIVE else f"{100 * change:+.1f}" if scale is FRACTION else f"{change:+.3g}"
    return size if np.isnan(r) else f"{size} (r = {r:g})"
