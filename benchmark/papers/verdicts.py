"""A paper's claim here: it holds, it does not, it is left open, or it cannot be tested; with the numbers behind it.

A claim holds if all of a number's 95 % interval keeps to the bound, does not hold if none of it does, and is left open
if some of it does. Bounds are ours where a paper gives none. Intervals cover the choice of queries, not of trainings: a
claim is also left open if one seed alone contradicts all seeds together.
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
    """Whether a claim holds, None if that is open, and why."""

    holds: bool | None
    because: str
    tested: bool = True
    """Whether there were numbers to test it with."""

    @property
    def words(self) -> str:
        """As the pages say it."""
        if self.holds is None:
            return "left open here" if self.tested else "cannot be tested here"
        return "holds here" if self.holds else "does not hold here"


class UntestableError(Exception):
    """There is nothing here to test a claim with."""


@dataclass(frozen=True)
class Evidence:
    """The successful records of one task, all seeds, and the artefacts that they rest on."""

    task: str
    records: Sequence[Record]
    runs: Path
    planted: Mapping[str, BiasOutcome] = field(default_factory=dict)
    """What came of the paper's planted biases, by their names; the same for every task."""

    def under(self, seed: int) -> "Evidence":
        """The same of one seed."""
        return replace(self, records=[record for record in self.records if record.seed == seed])

    def of(self, measure: Measure) -> Measured:
        """A number of ours.

        Raises
        ------
        UntestableError
            If the records have none.
        """
        measured = measure.of(self.records)
        if measured is None:
            raise UntestableError(f"no {measure.name} on {self.task}")
        return measured

    def of_planted(self, planted: str, measure: Measure) -> Measured:
        """A number of a planted bias: of its classifiers, or of a method.

        Raises
        ------
        UntestableError
            If it was not planted, nobody was asked, or that one has no such number.
        """
        if planted not in self.planted:
            raise UntestableError(f"needs faces with a planted bias: {to_plant(planted)}")
        found = self.planted[planted]
        measured = measure.of(found.evidence)
        if measured is None:
            raise UntestableError(found.unasked or f"no {measure.name} on {planted}")
        return measured


def to_plant(planted: str) -> str:
    """What to run for a bias that there is no record of."""
    return f"`python -m benchmark bias --planted {planted}` asks all methods"


Test = Callable[[Evidence], Verdict]


def judge(test: Test, evidence: Evidence) -> Verdict:
    """The verdict of `test`: untested if it finds no numbers, left open if one seed alone contradicts all together."""
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
    """Whether a number of ours is `bound` or more."""

    def test(evidence: Evidence) -> Verdict:
        found = evidence.of(measure)
        wanted = f"at least {_bound(found, bound)} wanted"
        return Verdict(_above(found, bound), f"{measure.name}: {found.sentence()}, {wanted}")

    return test


def at_most(measure: Measure, bound: float) -> Test:
    """Whether a number of ours is `bound` or less."""

    def test(evidence: Evidence) -> Verdict:
        found = evidence.of(measure)
        wanted = f"at most {_bound(found, bound)} wanted"
        return Verdict(_above(_negative(found), -bound), f"{measure.name}: {found.sentence()}, {wanted}")

    return test


def more(larger: Measure, smaller: Measure) -> Test:
    """Whether one number of ours is above another, by intervals that do not meet."""

    def test(evidence: Evidence) -> Verdict:
        first, second = evidence.of(larger), evidence.of(smaller)
        told = f"{larger.name}: {first.sentence()}; {smaller.name}: {second.sentence()}"
        if np.isnan([first.low, second.low]).any():
            return Verdict(first.value > second.value, f"{told}; no intervals")
        holds = True if first.low > second.high else False if first.high < second.low else None
        return Verdict(holds, told if holds is not None else f"{told}; the intervals meet")

    return test


def alike(one: Measure, other: Measure) -> Test:
    """Whether the intervals of two numbers of ours meet."""

    def test(evidence: Evidence) -> Verdict:
        first, second = evidence.of(one), evidence.of(other)
        told = f"{one.name}: {first.sentence()}; {other.name}: {second.sentence()}"
        if np.isnan([first.low, second.low]).any():
            raise UntestableError(f"{told}; no intervals")
        return Verdict(first.low <= second.high and second.low <= first.high, told)

    return test


def falling(measures: Sequence[Measure]) -> Test:
    """Whether each number of ours is no larger than the one before."""

    def test(evidence: Evidence) -> Verdict:
        found = [evidence.of(measure) for measure in measures]
        values = [one.value for one in found]
        listed = ", ".join(one.shown.text(one.value) for one in found)
        told = f"{measures[0].name}, and on: {listed}{found[0].unit}"
        return Verdict(all(a >= b for a, b in pairwise(values)), told)

    return test


def ahead(first: str, second: str, metric: str, relaxations: Sequence[float] | None, sign: int = 1) -> Test:
    """Whether one method has more of a metric than another on the same queries; with `sign` -1, less.

    Over several relaxations it holds if it is significantly so (paired bootstrap and sign flips, Holm-corrected) at one
    and significantly otherwise at none.
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
    """Whether a number of a planted bias is above 0, all of its interval; with `sign` -1, below. `remark` is added."""

    def test(evidence: Evidence) -> Verdict:
        found = evidence.of_planted(planted, measure)
        signed = found if sign > 0 else _negative(found)
        low, high = (signed.value if np.isnan(end) else end for end in (signed.low, signed.high))
        wanted = f"{'above' if sign > 0 else 'below'} 0 wanted"
        told = "; ".join(filter(None, [f"{planted}: {measure.name}: {found.sentence()}, {wanted}", remark]))
        return Verdict(True if low > 0 else False if high <= 0 else None, told)

    return test


def among(data_sets: Sequence[str], test: Test) -> Test:
    """What is said of some data sets, and cannot be tested on others."""

    def restricted(evidence: Evidence) -> Verdict:
        if data_set_of(evidence.task) not in data_sets:
            raise UntestableError(f"said of other pictures than {evidence.task}")
        return test(evidence)

    return restricted


def every(*tests: Test) -> Test:
    """Whether all hold: one that does not is enough against it."""

    def test(evidence: Evidence) -> Verdict:
        verdicts = [judge(one, evidence) for one in tests]
        outcomes = {verdict.holds for verdict in verdicts}
        holds = False if False in outcomes else None if None in outcomes else True
        because = "; ".join(verdict.because for verdict in verdicts)
        return Verdict(holds, because, all(verdict.tested for verdict in verdicts))

    return test


def untestable(why: str) -> Test:
    """What nothing here can tell."""

    def test(evidence: Evidence) -> Verdict:  # noqa: ARG001 - whatever there is
        return Verdict(None, why, tested=False)

    return test


def _bound(found: Measured, bound: float) -> str:
    """A bound in the unit of what is held against it."""
    return f"{100 * bound:g} %" if found.shown.percent else f"{bound:g}"


def _negative(found: Measured) -> Measured:
    return found._replace(value=-found.value, low=-found.high, high=-found.low)


def _above(found: Measured, bound: float) -> bool | None:
    """Whether all of the interval (the value itself, if there is none) is at `bound` or above, none of it, or some."""
    low, high = (found.value if np.isnan(end) else end for end in (found.low, found.high))
    return True if low >= bound else False if high < bound else None
