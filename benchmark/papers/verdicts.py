"""Verdicts on a paper's claims: a claim holds here, does not hold, is left open, or cannot be tested.

A claim holds if the whole 95 % interval of a number is within the bound, does not hold if the interval is outside, and
is left open if it is partly within. Bounds are ours if a paper gives none. Intervals cover the choice of queries, not
of trainings, so a claim is also left open if one seed alone contradicts all seeds together.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmark.bias.discovery import BiasOutcome
from benchmark.data.tasks import data_set_of
from benchmark.errors import UserError
from benchmark.papers.measures import Measure, Measured, in_words, shown
from benchmark.records.record import Record
from benchmark.report.compare import SIGNIFICANT, compare


class Verdict(NamedTuple):
    """Whether a claim holds (None if open), and the numbers behind the verdict."""

    holds: bool | None
    because: str
    tested: bool = True
    """Whether there were numbers for the test."""

    @property
    def words(self) -> str:
        """The verdict in words, for pages."""
        if self.holds is None:
            return "left open here" if self.tested else "cannot be tested here"
        return "holds here" if self.holds else "does not hold here"


class UntestableError(Exception):
    """There are no numbers for the test of a claim."""


@dataclass(frozen=True)
class Evidence:
    """The successful records of one task, all seeds, with their artefacts and the paper's planted biases."""

    task: str
    records: Sequence[Record]
    runs: Path
    planted: Mapping[str, BiasOutcome] = field(default_factory=dict)
    """Outcomes of the paper's planted biases by name, the same for every task."""

    def under(self, seed: int) -> "Evidence":
        """The evidence of one seed."""
        return replace(self, records=[record for record in self.records if record.seed == seed])

    def of(self, measure: Measure) -> Measured:
        """The measured number.

        Raises
        ------
        UntestableError
            If the records do not have it.
        """
        measured = measure.of(self.records)
        if measured is None:
            raise UntestableError(f"no {measure.name} on {self.task}")
        return measured

    def of_planted(self, planted: str, measure: Measure) -> Measured:
        """A measured number of a planted bias: of its classifiers, or of a method.

        Raises
        ------
        UntestableError
            If the bias was not planted, no method was run, or the number does not exist.
        """
        if planted not in self.planted:
            raise UntestableError(f"needs faces with a planted bias: {to_plant(planted)}")
        found = self.planted[planted]
        measured = measure.of(found.evidence)
        if measured is None:
            raise UntestableError(found.unasked or f"no {measure.name} on {planted}")
        return measured


def to_plant(planted: str) -> str:
    """The command that makes the records of a planted bias."""
    return f"`python -m benchmark bias --planted {planted}` runs all methods"


Test = Callable[[Evidence], Verdict]


def judge(test: Test, evidence: Evidence) -> Verdict:
    """The verdict of `test`: untested without numbers, left open if one seed alone contradicts all together."""
    try:
        verdict = test(evidence)
    except UntestableError as error:
        return Verdict(None, str(error), tested=False)
    seeds = sorted({record.seed for record in evidence.records})
    if verdict.holds is None or len(seeds) < 2:
        return verdict
    contrary = [seed for seed in seeds if judge(test, evidence.under(seed)).holds is (not verdict.holds)]
    if not contrary:
        return verdict
    return Verdict(None, f"{verdict.because}; the opposite under seed {', '.join(map(str, contrary))} alone")


def at_least(measure: Measure, bound: float) -> Test:
    """Test whether a measured number is `bound` or more."""

    def test(evidence: Evidence) -> Verdict:
        found = evidence.of(measure)
        wanted = f"at least {_bound(found, bound)} wanted"
        return Verdict(_above(found, bound), f"{measure.name}: {found.sentence()}, {wanted}")

    return test


def at_most(measure: Measure, bound: float) -> Test:
    """Test whether a measured number is `bound` or less."""

    def test(evidence: Evidence) -> Verdict:
        found = evidence.of(measure)
        wanted = f"at most {_bound(found, bound)} wanted"
        return Verdict(_above(_negative(found), -bound), f"{measure.name}: {found.sentence()}, {wanted}")

    return test


def more(larger: Measure, smaller: Measure) -> Test:
    """Test whether one measured number is above another, with disjoint intervals."""

    def test(evidence: Evidence) -> Verdict:
        first, second = evidence.of(larger), evidence.of(smaller)
        told = f"{larger.name}: {first.sentence()}; {smaller.name}: {second.sentence()}"
        if np.isnan([first.low, second.low]).any():
            return Verdict(first.value > second.value, f"{told}; no intervals")
        holds = True if first.low > second.high else False if first.high < second.low else None
        return Verdict(holds, told if holds is not None else f"{told}; the intervals overlap")

    return test


def alike(one: Measure, other: Measure) -> Test:
    """Test whether the intervals of two measured numbers overlap."""

    def test(evidence: Evidence) -> Verdict:
        first, second = evidence.of(one), evidence.of(other)
        told = f"{one.name}: {first.sentence()}; {other.name}: {second.sentence()}"
        if np.isnan([first.low, second.low]).any():
            raise UntestableError(f"{told}; no intervals")
        return Verdict(first.low <= second.high and second.low <= first.high, told)

    return test


def falling(measures: Sequence[Measure]) -> Test:
    """Test whether each measured number is no larger than the one before."""

    def test(evidence: Evidence) -> Verdict:
        found = [evidence.of(measure) for measure in measures]
        values = [one.value for one in found]
        listed = ", ".join(one.shown.text(one.value) for one in found)
        told = f"{measures[0].name}, and following: {listed}{found[0].unit}"
        return Verdict(all(a >= b for a, b in pairwise(values)), told)

    return test


def ahead(first: str, second: str, metric: str, relaxations: Sequence[float] | None, sign: int = 1) -> Test:
    """Test whether a metric is higher for one method than for another on the same queries; with `sign` -1, lower.

    Over several relaxations it holds if the difference is significant (paired bootstrap and sign flips, Holm-corrected)
    at one of them, and significant in the opposite direction at none.
    """

    def test(evidence: Evidence) -> Verdict:
        try:
            found = compare((first, second), evidence.records, evidence.runs, relaxations, (metric,))
        except UserError as error:
            raise UntestableError(str(error)) from error
        sure = [sign * one.difference.value > 0 for one in found if one.difference.p < SIGNIFICANT]
        factor, unit = (100, " %") if shown(metric).percent else (1, "")
        parts = []
        for one in found:
            at = "" if one.relaxation is None else f"at r = {one.relaxation:g}: "
            value, low, high = (f"{factor * end:+.3g}" for end in one.difference[:3])
            parts.append(f"{at}{value} [{low}, {high}]{unit} (p = {one.difference.p:.2g})")
        queries = f"on the same {found[0].difference.n} queries"
        told = f"{in_words(metric)} of {first} minus {second}, {queries}: {', '.join(parts)}"
        return Verdict(all(sure), told) if sure else Verdict(None, f"{told}; no difference beyond chance")

    return test


def shows(planted: str, measure: Measure, remark: str = "", sign: int = 1) -> Test:
    """Test whether a number of a planted bias is above 0 with its interval; with `sign` -1, below."""

    def test(evidence: Evidence) -> Verdict:
        found = evidence.of_planted(planted, measure)
        signed = found if sign > 0 else _negative(found)
        low, high = (signed.value if np.isnan(end) else end for end in (signed.low, signed.high))
        wanted = f"{'above' if sign > 0 else 'below'} 0 wanted"
        told = "; ".join(filter(None, [f"{planted}: {measure.name}: {found.sentence()}, {wanted}", remark]))
        return Verdict(True if low > 0 else False if high <= 0 else None, told)

    return test


def among(data_sets: Sequence[str], test: Test) -> Test:
    """Restrict `test` to some data sets; on others the claim cannot be tested."""

    def restricted(evidence: Evidence) -> Verdict:
        if data_set_of(evidence.task) not in data_sets:
            raise UntestableError(f"the claim is about other pictures than {evidence.task}")
        return test(evidence)

    return restricted


def every(*tests: Test) -> Test:
    """Test whether all `tests` hold; one failure decides."""

    def test(evidence: Evidence) -> Verdict:
        verdicts = [judge(one, evidence) for one in tests]
        outcomes = {verdict.holds for verdict in verdicts}
        holds = False if False in outcomes else None if None in outcomes else True
        because = "; ".join(verdict.because for verdict in verdicts)
        return Verdict(holds, because, all(verdict.tested for verdict in verdicts))

    return test


def untestable(why: str) -> Test:
    """A claim that cannot be tested here, with the reason `why`."""

    def test(evidence: Evidence) -> Verdict:  # noqa: ARG001 - no evidence is needed
        return Verdict(None, why, tested=False)

    return test


def _bound(found: Measured, bound: float) -> str:
    """Text of a bound, in the unit of the number compared."""
    return f"{100 * bound:g} %" if found.shown.percent else f"{bound:g}"


def _negative(found: Measured) -> Measured:
    return found._replace(value=-found.value, low=-found.high, high=-found.low)


def _above(found: Measured, bound: float) -> bool | None:
    """True if the whole interval (or the value without one) is at or above `bound`, False if none of it, else None."""
    low, high = (found.value if np.isnan(end) else end for end in (found.low, found.high))
    return True if low >= bound else False if high < bound else None
