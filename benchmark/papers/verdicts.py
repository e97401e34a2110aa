"""Verdicts on a paper's claims: a claim holds here, does not hold, is left open, or cannot be tested.

A claim holds if the whole 95 % interval of a number is within the bound, does not hold if the interval is outside, and
is left open if it is partly within, or if there is no interval. Bounds are ours if a paper gives none. Each seed has to
lean to the same side. Two seeds have no interval together, so each of them has to decide, and alike.
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
from benchmark.papers.measures import Measure, Measured, in_words, lead, strict_lead
from benchmark.records.record import Record
from benchmark.report.compare import ALL, compare
from benchmark.report.paired import SIGNIFICANT
from benchmark.report.trainings import shown_as
from metrics.trainings import LEAST


class Verdict(NamedTuple):
    """Whether a claim holds (None if open), and the numbers behind the verdict."""

    holds: bool | None
    because: str
    tested: bool = True
    """Whether there were numbers for the test."""
    leans: bool | None = None
    """Whether the numbers alone, without their intervals, are within the bound."""
    given: bool = False
    """Whether it is true by construction, so that nothing was found out."""

    @property
    def words(self) -> str:
        """The verdict in words, for pages."""
        if self.given:
            return "true by construction"
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
            raise UntestableError(f"not measured on {self.task}: {measure.name}")
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
            raise UntestableError(found.unasked or f"not measured on {planted}: {measure.name}")
        return measured


def to_plant(planted: str) -> str:
    """The command that makes the records of a planted bias."""
    return f"`python -m benchmark bias --planted {planted}` runs all methods"


Test = Callable[[Evidence], Verdict]


def judge(test: Test, evidence: Evidence) -> Verdict:
    """The verdict of `test`: untested without numbers, left open if the seeds do not all lean to the same side."""
    try:
        verdict = test(evidence)
    except UntestableError as error:
        return Verdict(None, str(error), tested=False)
    seeds = sorted({record.seed for record in evidence.records})
    if len(seeds) < 2 or verdict.given or not verdict.tested:
        return verdict
    alone = {seed: judge(test, evidence.under(seed)) for seed in seeds}
    if len(seeds) < LEAST:  # there is no interval of two
        outcomes = {one.holds for one in alone.values()}
        said = f"{verdict.because}; seed by seed: {', '.join(_in_short(seed, one) for seed, one in alone.items())}"
        return verdict._replace(holds=outcomes.pop() if len(outcomes) == 1 else None, because=said)
    contrary = [seed for seed, one in alone.items() if one.leans is (not verdict.holds)]
    if verdict.holds is None or not contrary:
        return verdict
    said = f"{verdict.because}; the opposite under seed {', '.join(map(str, contrary))} alone"
    return verdict._replace(holds=None, because=said)


def _in_short(seed: int, verdict: Verdict) -> str:
    return f"{seed} {'open' if verdict.holds is None else 'yes' if verdict.holds else 'no'}"


def at_least(measure: Measure, bound: float) -> Test:
    """Test whether a measured number is `bound` or more."""

    def test(evidence: Evidence) -> Verdict:
        found = evidence.of(measure)
        wanted = f"at least {_bound(found, bound)} wanted"
        return _above(found, bound, f"{measure.name}: {found.sentence()}, {wanted}")

    return test


def at_most(measure: Measure, bound: float) -> Test:
    """Test whether a measured number is `bound` or less."""

    def test(evidence: Evidence) -> Verdict:
        found = evidence.of(measure)
        wanted = f"at most {_bound(found, bound)} wanted"
        return _above(_negative(found), -bound, f"{measure.name}: {found.sentence()}, {wanted}")

    return test


def more(larger: Measure, smaller: Measure) -> Test:
    """Test whether one measured number is above another: the whole interval of their difference is above 0."""

    def test(evidence: Evidence) -> Verdict:
        first, second = evidence.of(larger), evidence.of(smaller)
        told = f"{larger.name}: {first.sentence()}; {smaller.name}: {second.sentence()}"
        verdict = _above(_difference(first, second), 0, told)
        return (
            verdict if verdict.holds is not None else verdict._replace(because=f"{told}; no difference beyond chance")
        )

    return test


def alike(one: Measure, other: Measure, bound: float) -> Test:
    """Test whether two measured numbers differ by at most the share `bound`, ours, of the second: all of the interval.

    It does not hold if none of the interval of their difference is within the bound (two one-sided tests, Schuirmann
    1987).
    """

    def test(evidence: Evidence) -> Verdict:
        first, second = evidence.of(one), evidence.of(other)
        apart, limit = _difference(first, second), bound * abs(second.value)
        told = (
            f"{one.name}: {first.sentence()}; {other.name}: {second.sentence()}; a difference of at most "
            f"{100 * bound:g} % wanted (our bound), found {_percent(apart, second.value)}"
        )
        sides = [_above(apart, -limit, told), _above(_negative(apart), -limit, told)]
        return Verdict(_all([side.holds for side in sides]), told, leans=_all([side.leans for side in sides]))

    return test


def below(part: Measure, whole: Measure, share: float) -> Test:
    """Test whether one measured number is less than a `share` of another."""

    def test(evidence: Evidence) -> Verdict:
        small, large = evidence.of(part), evidence.of(whole)
        told = f"{part.name}: {small.sentence()}; {whole.name}: {large.sentence()}; at most {100 * share:g} % wanted"
        bound = large._replace(value=share * large.value, low=share * large.low, high=share * large.high)
        return _above(_difference(bound, small), 0, told)

    return test


SLACK = 0.02
"""How much a number that falls may rise from one step to the next, as a share of its fall over all steps; ours."""


def falling(measures: Sequence[Measure]) -> Test:
    """Test whether numbers fall: the last is below the first, and no step rises by more than `SLACK` of that.

    Each is held by the interval of a difference; where two neighbours are equally small, the slack decides.
    """

    def test(evidence: Evidence) -> Verdict:
        found = [evidence.of(measure) for measure in measures]
        listed = ", ".join(one.shown.text(one.value) for one in found)
        along = f"{measures[0].name} … {measures[-1].name}"
        told = f"{along}: {listed}{found[0].unit} (our bound: no step up by over {SLACK:.0%})"
        fall = _difference(found[0], found[-1])
        steps = [_above(_difference(a, b), -SLACK * abs(fall.value), told) for a, b in pairwise(found)]
        whole = [_above(fall, 0, told), *steps]
        return Verdict(_all([step.holds for step in whole]), told, leans=_all([step.leans for step in whole]))

    return test


def ahead(first: str, second: str, metric: str, relaxations: Sequence[float] | None, sign: int = 1) -> Test:
    """Test whether a metric is higher for one method than for another on the same queries; with `sign` -1, lower.

    Over several relaxations it holds if the difference is significant (Student's t of three seeds and more, paired
    bootstrap and sign flips, Holm-corrected) at more than half of them, and significant in the opposite direction at
    none. At fewer, the verdict is left open and says at which.
    """

    def test(evidence: Evidence) -> Verdict:
        try:
            found = compare((first, second), evidence.records, evidence.runs, relaxations, (metric,))
        except UserError as error:
            raise UntestableError(str(error)) from error
        found = [one for one in found if one.subset == ALL]
        sure = [sign * one.difference.value > 0 for one in found if one.difference.p < SIGNIFICANT]
        factor, unit = (100, " %") if shown_as(metric).percent else (1, "")
        parts = []
        for one in found:
            at = "" if one.relaxation is None else f"at r = {one.relaxation:g}: "
            value, low, high = (f"{factor * end:+.3g}" for end in one.difference[:3])
            parts.append(f"{at}{value} [{low}, {high}]{unit} (p = {one.difference.p:.2g})")
        queries = f"on the same {found[0].difference.n} queries"
        told = f"{in_words(metric)} of {first} minus {second}, {queries}: {', '.join(parts)}"
        leans = sign * sum(one.difference.value for one in found) > 0
        if sure and len(set(sure)) == 1 and 2 * len(sure) > len(found):
            return Verdict(sure[0], told, leans=leans)
        if sure:
            told += f"; beyond chance at {len(sure)} of {len(found)} r only, {sum(sure)} of them as claimed"
        return Verdict(None, told if sure else f"{told}; no difference beyond chance", leans=leans)

    return test


def shows(planted: str, measure: Measure, remark: str = "", sign: int = 1) -> Test:
    """Test whether a number of a planted bias is above 0 with its interval; with `sign` -1, below."""

    def test(evidence: Evidence) -> Verdict:
        found = evidence.of_planted(planted, measure)
        signed = found if sign > 0 else _negative(found)
        wanted = f"{'above' if sign > 0 else 'below'} 0 wanted"
        told = "; ".join(filter(None, [f"{planted}: {measure.name}: {found.sentence()}, {wanted}", remark]))
        if np.isnan([signed.low, signed.high]).any():
            return Verdict(None, f"{told}; no interval", leans=signed.value > 0)
        return Verdict(True if signed.low > 0 else False if signed.high <= 0 else None, told, leans=signed.value > 0)

    return test


def discovers(planted: str, method: str) -> Test:
    """Test whether a method's answers show a planted bias: by its lead, and by the attribute's own, the strict lead."""
    return every(shows(planted, lead(method)), shows(planted, strict_lead(method)))


def by_construction(test: Test) -> Test:
    """A claim that cannot but hold here: if its numbers are within the bound, nothing is counted as found out."""

    def given(evidence: Evidence) -> Verdict:
        verdict = test(evidence)
        return verdict._replace(holds=None, given=True) if verdict.leans else verdict

    return given


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
        because = "; ".join(verdict.because for verdict in verdicts)
        holds, leans = (_all([getattr(one, name) for one in verdicts]) for name in ("holds", "leans"))
        return Verdict(holds, because, all(verdict.tested for verdict in verdicts), leans)

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


def _difference(first: Measured, second: Measured) -> Measured:
    """The first less the second, with the interval of independent numbers (Newcombe 1998): too wide for paired ones."""
    value = first.value - second.value
    low = value - np.hypot(first.value - first.low, second.high - second.value)
    high = value + np.hypot(first.high - first.value, second.value - second.low)
    return first._replace(value=value, low=float(low), high=float(high))


def _percent(apart: Measured, of: float) -> str:
    """A difference as a share of a number, with its interval."""
    if not of:
        return "none" if not apart.value else "more"
    value, low, high = (100 * end / abs(of) for end in (apart.value, apart.low, apart.high))
    return f"{value:+.1f} % [{low:+.1f}, {high:+.1f}]"


def _above(found: Measured, bound: float, told: str) -> Verdict:
    """True if the whole interval is at or above `bound`, False if none of it is; None else, and without an interval."""
    leans = found.value >= bound
    if np.isnan([found.low, found.high]).any():
        return Verdict(None, f"{told}; no interval", leans=leans)
    return Verdict(True if found.low >= bound else False if found.high < bound else None, told, leans=leans)


def _all(outcomes: Sequence[bool | None]) -> bool | None:
    """True if all are; one False decides."""
    return False if False in outcomes else None if None in outcomes else True
