"""Records against a baseline: the regression check that CI holds the numbers to.

A number has moved if it differs from the baseline's by more than sampling and seeds explain: the half-widths of both
95 % intervals and the spread over the baseline's seeds add up in quadrature, scaled so that one of all the numbers
compared is found to have moved by chance in one check out of twenty.
"""

from pathlib import Path

import pandas as pd
from scipy.stats import norm

from benchmark.errors import UserError
from benchmark.report.cells import COLUMNS

KEY = ["task", "method", "relaxation", "metric", "subset"]
"""What a number is known by; seeds are spread."""


def read_baseline(path: Path) -> pd.DataFrame:
    """A tidy file of the form of ``metrics.csv``.

    Raises
    ------
    UserError
        If it is not there or has other columns.
    """
    try:
        baseline = pd.read_csv(path, keep_default_na=False, na_values=[""])  # a method is called "null"
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read the baseline {path}; name a metrics.csv by --baseline: {error}") from error
    if list(baseline.columns) != COLUMNS:
        raise UserError(f"{path} is no baseline: its columns are not {', '.join(COLUMNS)}")
    return baseline


def compare(numbers: pd.DataFrame, baseline: pd.DataFrame) -> pd.DataFrame:
    """What moved: a row a number of `baseline` that `numbers` misses, or has elsewhere than chance explains.

    Parameters
    ----------
    numbers, baseline
        Tidy tables. Numbers for tasks and methods that the baseline does not know are new, and not compared.

    Returns
    -------
    DataFrame
        The key, "baseline", "now" (NaN if missing) and "tolerance"; empty if nothing moved.
    """
    then, now = _over_seeds(baseline), _over_seeds(numbers)
    both = then.join(now.add_suffix("_now"), how="left")
    z = norm.isf(0.05 / 2 / max(1, len(both)))
    # A mean over a single query has no interval of its own: its width is the other run's at that n.
    ratio = (both["n"] / both["n_now"]).pow(0.5)
    half, half_now = both["half"].fillna(both["half_now"] / ratio), both["half_now"].fillna(both["half"] * ratio)
    width = half.fillna(0).pow(2) + half_now.fillna(0).pow(2)
    # The mean over s seeds is itself uncertain, and so is the run that is compared with it.
    spread = both["std"].fillna(0).pow(2) * (1 / both["seeds"] + 1 / both["seeds_now"].fillna(1))
    tolerance = z * (width / norm.isf(0.025) ** 2 + spread).pow(0.5)
    # Where both rest on one query each, of one seed, nothing is known of chance, and nothing can be held.
    tolerance = tolerance.mask((both["n"] == 1) & half.isna() & both["std"].isna(), float("inf"))
    difference = (both["value_now"] - both["value"]).abs()
    # Over flipped queries a number is not defined where none flipped; how many do is for the flip rate to say.
    of_none = (both[["most", "most_now"]] == 0).any(axis=1)
    undefined = both["seeds_now"].notna() & (of_none | (both["value"].isna() & both["value_now"].isna()))
    moved = ~((difference <= tolerance + 1e-12) | undefined)
    table = pd.DataFrame({"baseline": both["value"], "now": both["value_now"], "tolerance": tolerance})
    return table[moved].reset_index()


def _over_seeds(numbers: pd.DataFrame) -> pd.DataFrame:
    """By its key each number's mean, half-width of its interval, spread, seeds; n where defined, and at most."""
    half = (numbers["high"] - numbers["low"]) / 2
    n = numbers["n"].where(numbers["value"].notna())
    groups = numbers.assign(half=half, n=n, most=numbers["n"]).groupby(KEY, dropna=False, sort=False)
    return groups.agg(
        value=("value", "mean"),
        half=("half", "mean"),
        n=("n", "mean"),
        std=("value", "std"),
        seeds=("seed", "nunique"),
        most=("most", "max"),
    )


def describe(moved: pd.DataFrame) -> str:
    """A line for the user: how many numbers moved."""
    missing = int(moved["now"].isna().sum())
    return f"{len(moved)} number(s) moved, {missing} of them missing" if len(moved) else "nothing moved"
