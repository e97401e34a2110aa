import math
from pathlib import Path

import pytest

from benchmark.bias.discovery import BiasOutcome
from benchmark.papers.measures import lead, metric, study
from benchmark.papers.verdicts import (
    Evidence,
    Verdict,
    alike,
    among,
    at_least,
    at_most,
    below,
    by_construction,
    every,
    falling,
    judge,
    more,
    shows,
    untestable,
)
from methods.base import Study
from metrics.trainings import share_over_trainings

HOLDS, FAILS, UNTOLD = True, False, None


@pytest.fixture
def evidence(make_record, make_row):
    """Makes evidence: metric -> (value, half the interval), of one vaex record a seed."""

    def make(*seeds):
        records = []
        for seed, numbers in enumerate(seeds):
            rows = [make_row(name, value, 0.0, half=half) for name, (value, half) in numbers.items()]
            records.append(make_record("vaex", seed=seed, rows=rows))
        return Evidence("mnist", records, Path("nowhere"))

    return make


def flips():
    return metric("vaex", "flip_rate", 0.0)


def agreement():
    return metric("vaex", "oracle_agreement", 0.0)


@pytest.mark.parametrize(("value", "holds"), [(0.9, HOLDS), (0.5, FAILS), (0.7, UNTOLD)])
def test_bounds_are_held_by_intervals(evidence, value, holds):
    """All of the interval above the bound: holds; none of it: does not; some of it: nothing is told."""
    found = evidence({"flip_rate": (value, 0.1)})
    assert judge(at_least(flips(), 0.7), found).holds is holds
    assert judge(at_most(flips(), 0.7), found).holds is {HOLDS: FAILS, FAILS: HOLDS, UNTOLD: UNTOLD}[holds]


def test_undecided_is_not_untested(evidence):
    """A claim whose numbers do not decide it is left open; one of which a part has no numbers cannot be tested."""
    open_ = at_least(flips(), 0.7)
    found = evidence({"flip_rate": (0.7, 0.1)})
    assert judge(open_, found).words == "left open here"
    assert judge(every(open_, open_), found).words == "left open here"
    assert judge(every(open_, untestable("needs faces")), found).words == "cannot be tested here"


def test_verdicts_carry_the_numbers(evidence):
    """A verdict shows value, interval, n and the bound, in the unit of the tables."""
    because = judge(at_least(flips(), 0.7), evidence({"flip_rate": (0.9, 0.05)})).because
    assert all(part in because for part in ("90.0", "[85.0, 95.0]", "n = 100", "70 %", "vaex"))


@pytest.mark.parametrize(("second", "holds"), [(0.95, HOLDS), (0.7, HOLDS), (0.55, UNTOLD), (0.61, UNTOLD)])
def test_two_seeds_have_to_decide_alike(evidence, second, holds):
    """Two seeds have no interval together: a claim holds if it holds under each by itself."""
    verdict = judge(at_least(flips(), 0.6), evidence({"flip_rate": (0.9, 0.02)}, {"flip_rate": (second, 0.02)}))
    assert verdict.holds is holds
    assert "seed by seed: 0 yes" in verdict.because


@pytest.mark.parametrize(
    ("rates", "holds"),
    [((0.9, 0.91, 0.92), HOLDS), ((0.9, 0.7, 0.55), UNTOLD), ((0.2, 0.21, 0.2), FAILS), ((0.9, 0.55, 0.95), UNTOLD)],
)
def test_three_seeds_decide_by_their_interval(evidence, rates, holds):
    """Of three seeds it is the interval over trainings and queries that decides."""
    verdict = judge(at_least(flips(), 0.6), evidence(*({"flip_rate": (rate, 0.02)} for rate in rates)))
    assert verdict.holds is holds


def test_a_seed_that_leans_the_other_way_leaves_a_claim_open(evidence):
    """Where all seeds together keep to a bound, and one by itself does not, another training might not either."""
    rates = [0.9] * 20 + [0.55]
    verdict = judge(at_least(flips(), 0.6), evidence(*({"flip_rate": (rate, 0.02)} for rate in rates)))
    assert verdict.holds is None
    assert "the opposite under seed 20 alone" in verdict.because


def test_seeds_are_averaged(evidence):
    """Over seeds a number is the mean of theirs, with their standard deviation and interval, and says how many."""
    found = flips().of(evidence(*({"flip_rate": (rate, 0.1)} for rate in (0.8, 0.9, 0.85))).records)
    assert (found.value, found.low, found.high) == pytest.approx(
        (0.85, *share_over_trainings([0.8, 0.9, 0.85], [100] * 3))
    )
    assert found.seeds == 3
    assert found.std == pytest.approx(0.05)
    assert "± 5.0" in found.text()


@pytest.mark.parametrize("test", [at_least, at_most])
def test_a_point_estimate_decides_nothing(evidence, test):
    """A number without an interval leaves its claim open, on whichever side it is."""
    assert judge(test(flips(), 0.6), evidence({"flip_rate": (0.9, math.nan)})).holds is None


@pytest.mark.parametrize("leans", [True, False])
def test_what_is_true_by_construction_is_not_found_out(evidence, leans):
    """It is called so, and counted as nothing that holds; if it is not true, it is a claim that does not hold."""
    verdict = judge(by_construction(lambda _: Verdict(leans, "x", leans=leans)), evidence({}))
    assert verdict.words == ("true by construction" if leans else "does not hold here")
    assert verdict.holds is (None if leans else False)


@pytest.mark.parametrize(("first", "second", "holds"), [(0.9, 0.5, HOLDS), (0.5, 0.9, FAILS), (0.5, 0.6, UNTOLD)])
def test_more_needs_a_difference_beyond_its_interval(evidence, first, second, holds):
    """One number is above another if the interval of their difference says so."""
    found = evidence({"flip_rate": (first, 0.1), "oracle_agreement": (second, 0.1)})
    assert judge(more(flips(), agreement()), found).holds is holds


@pytest.mark.parametrize(
    ("first", "half", "holds"), [(0.5, 0.01, HOLDS), (0.5, 0.1, UNTOLD), (0.55, 0.04, UNTOLD), (0.8, 0.1, FAILS)]
)
def test_alike_needs_a_difference_within_a_bound(evidence, first, half, holds):
    """Two numbers are alike if all of their difference's interval is within the bound: wide ones prove nothing."""
    found = evidence({"flip_rate": (first, half), "oracle_agreement": (0.5, half)})
    assert judge(alike(flips(), agreement(), 0.1), found).holds is holds


def test_falling(evidence):
    """Values that never rise fall, equal ones too; where an interval leaves a rise open, so is the claim."""
    found = evidence({"flip_rate": (0.9, 0.004), "oracle_agreement": (0.5, 0.004)})
    assert judge(falling([flips(), flips(), agreement()]), found).holds
    assert judge(falling([agreement(), flips()]), found).holds is False
    wide = evidence({"flip_rate": (0.9, 0.1), "oracle_agreement": (0.85, 0.1)})
    assert judge(falling([flips(), agreement()]), wide).holds is None


@pytest.mark.parametrize(("part", "holds"), [(0.01, HOLDS), (0.2, FAILS), (0.09, UNTOLD)])
def test_below_a_share(evidence, part, holds):
    """One number is less than a share of another by the interval of their difference."""
    found = evidence({"flip_rate": (part, 0.02), "oracle_agreement": (0.9, 0.02)})
    assert judge(below(flips(), agreement(), 0.1), found).holds is holds


@pytest.mark.parametrize("name", ["kl", "nll"])
def test_what_was_not_measured_cannot_be_tested(evidence, name):
    """A claim about a number that the records do not have is not told, and says which."""
    verdict = judge(at_least(metric("vaex", name), 0), evidence({"flip_rate": (0.9, 0.1)}))
    assert verdict.holds is None
    assert verdict.words == "cannot be tested here"
    assert name.upper() in verdict.because


@pytest.mark.parametrize(
    ("parts", "holds"),
    [
        ((HOLDS, HOLDS), HOLDS),
        ((HOLDS, UNTOLD), UNTOLD),
        ((HOLDS, UNTOLD, FAILS), FAILS),
    ],
)
def test_every(evidence, parts, holds):
    """Of several tests one that fails decides, then one that tells nothing."""
    tests = [lambda _, part=part: Verdict(part, "x") for part in parts]
    assert every(*tests)(evidence({})).holds is holds


@pytest.mark.parametrize(
    ("value", "half", "holds"), [(0.2, 0.1, HOLDS), (0.1, 0.2, UNTOLD), (0.0, 0.0, FAILS), (-0.2, 0.1, FAILS)]
)
def test_planted_bias_has_to_be_above_zero(make_record, make_row, value, half, holds):
    """A bias shows if all of the interval is above 0; one of no width at 0 shows nothing. With sign -1, below."""
    gates = make_record("classifiers", data={"open": True})
    method = make_record("dvae", rows=[make_row("lead_confounded", value, 0.0, half=half)])
    found = Evidence("mnist", [], Path("nowhere"), {"a-on-b": BiasOutcome(gates, [method])})
    assert judge(shows("a-on-b", lead("dvae"), "a remark"), found).holds is holds
    assert judge(shows("a-on-b", lead("dvae"), sign=-1), found).holds is {HOLDS: FAILS, UNTOLD: UNTOLD}.get(
        holds, HOLDS if value < 0 else FAILS
    )


def test_what_was_not_planted_says_what_to_run(evidence):
    """Without records of a planted bias nothing is told, but what makes them."""
    verdict = judge(shows("Male-on-Smiling", lead("dvae")), evidence({}))
    assert verdict.holds is None
    assert "bias --planted Male-on-Smiling" in verdict.because


def test_among_leaves_other_data_sets_untold(evidence):
    """What is said of digits is not held against faces."""
    test = at_least(flips(), 0.5)
    assert judge(among(("mnist",), test), evidence({"flip_rate": (0.9, 0.1)})).holds
    assert judge(among(("celeba",), test), evidence({"flip_rate": (0.9, 0.1)})).holds is None


def test_untestable(evidence):
    """What cannot be tested says why."""
    assert untestable("needs faces")(evidence({})) == Verdict(None, "needs faces", tested=False)


def test_study_finds_its_row(make_record):
    """A measure of a study takes the row that it describes, with an interval from its spread over repetitions."""
    rows = [{"K": 2, "consistency": 0.5, "std": 0.1}, {"K": 3, "consistency": 0.8, "std": 0.2}]
    record = make_record(studies={"stability": Study(title="t", rows=rows)}, config={"repetitions": 16})
    measure = study("vaex", "stability", "consistency", {"K": 3}, spread="std", count="repetitions")
    found = measure.of([record])
    assert found.value == 0.8
    assert found.n == 16
    assert found.high - found.value == pytest.approx(1.96 * 0.2 / 4)
    assert study("vaex", "stability", "consistency", {"K": 9}).of([record]) is None


def test_study_averages_rows(make_record):
    """Over several rows it is their mean, whose error is smaller accordingly."""
    rows = [{"layer": 1, "rate": 0.5, "error": 0.03}, {"layer": 1, "rate": 0.7, "error": 0.04}]
    record = make_record(studies={"s": Study(title="t", rows=rows)})
    found = study("vaex", "s", "rate", {"layer": 1}, error="error").of([record])
    assert found.value == pytest.approx(0.6)
    assert found.high - found.value == pytest.approx(1.96 * 0.05 / 2)
