"""Whether a record made again has the numbers of the record that was published."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from tabulate import tabulate

from benchmark.records.record import Record
from benchmark.report.baseline import KEY, jobs_of, with_weights
from benchmark.report.cells import tidy
from benchmark.report.check import EXACT, findings_of

NAMED = 10
"""Numbers that are shown of those that moved most."""


@dataclass(frozen=True)
class Reproduction:
    """A published record beside the same one made again."""

    numbers: pd.DataFrame
    """A row a number that both have: "relaxation", "metric", "subset", "published", "low", "high", "again", "equal"."""
    missing: int
    """Published numbers that were not made again: metrics were renamed or taken away, or the record was edited."""
    added: int
    """Numbers that were not published, because metrics were added."""
    same: bool
    """Whether the trained networks are the same."""
    held: bool | None
    """Whether the numbers differ no more than retraining explains; None if no baseline knows that."""

    @property
    def equal(self) -> bool:
        """Whether every published number was made again, the same but for rounding in the file."""
        return len(self.numbers) > 0 and not self.missing and bool(self.numbers["equal"].all())

    @property
    def good(self) -> bool:
        """Whether the published numbers are confirmed."""
        return self.equal or (not self.missing and not self.same and self.held is True)

    def text(self) -> str:
        """The verdict in words, and the numbers that moved most."""
        count, moved = len(self.numbers), self.numbers[~self.numbers["equal"]]
        inside = int(moved["again"].between(moved["low"], moved["high"]).sum())
        if self.equal:
            verdict = f"equal: all {count} numbers are the published ones to the last digit"
        elif not len(moved):
            verdict = (
                f"not confirmed: {count} of {count + self.missing} published numbers were made again, and are equal"
            )
        elif self.same:
            verdict = f"not equal: {len(moved)} of {count} numbers differ, though the trained networks are the same"
        elif self.held is None:
            verdict = (
                f"not equal: the networks came out differently, and {len(moved)} of {count} numbers with them; "
                f"{inside} of these lie in the published 95 % interval. No baseline says how far retraining moves them"
            )
        elif self.held:
            verdict = (
                f"equal within retraining: {len(moved)} of {count} numbers differ, no more than retraining explains"
            )
        else:
            verdict = f"not equal: {len(moved)} of {count} numbers differ, some by more than retraining explains"
        lines = [verdict]
        if self.missing:
            lines.append(
                f"{self.missing} published numbers were not made again; another version may have other metrics"
            )
        if self.added:
            lines.append(f"{self.added} numbers are new, and were not compared")
        if len(moved):
            size = (moved["again"] - moved["published"]).abs() / moved["published"].abs().clip(lower=1e-12)
            most = moved.loc[size.sort_values(ascending=False).index[:NAMED]].drop(columns="equal")
            lines.append(tabulate(most.to_dict("list"), headers="keys", tablefmt="github", floatfmt=".6g"))
        return "\n\n".join(lines)


def compare(published: Record, again: Record, baseline: pd.DataFrame | None = None) -> Reproduction:
    """Hold `again` against `published`; both are successful records of one job.

    Parameters
    ----------
    published, again
        The record to confirm, and the one that was made by its settings.
    baseline
        As `benchmark.report.baseline.read_baseline` returns it; says how far retraining moves the job's numbers.
    """
    key = [*KEY, "subset"]
    first, second = (tidy([record]).dropna(subset="value").set_index(key) for record in (published, again))
    both = first.join(second[["value"]].rename(columns={"value": "again"}), how="inner")
    missing, added = len(first) - len(both), len(second) - len(both)
    equal = np.isclose(both["again"].to_numpy(float), both["value"].to_numpy(float), rtol=EXACT, atol=0)
    table = both.assign(equal=equal).rename(columns={"value": "published"}).reset_index()
    shown = ["relaxation", "metric", "subset", "published", "low", "high", "again", "equal"]
    return Reproduction(table[shown], missing, added, published.weights == again.weights, _held([again], baseline))


def _held(again: Sequence[Record], baseline: pd.DataFrame | None) -> bool | None:
    """Whether the baseline's numbers of these jobs hold; None if it has none."""
    if baseline is None:
        return None
    jobs = {(record.task, record.method, record.seed) for record in again}
    mine = baseline[[job in jobs for job in jobs_of(baseline)]]
    return None if mine.empty else findings_of(with_weights(again), mine).holds
