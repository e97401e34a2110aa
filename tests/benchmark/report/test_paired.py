import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmark.report.paired import REPLICATES, holm
from benchmark.report.paired import paired as over_trainings
from perf.calibration import false_stars


def paired(differences, images, trainings=None):
    """The statistics of comparisons, under one training unless others are named."""
    return over_trainings(differences, images, np.zeros(len(images), int) if trainings is None else trainings)


def one(differences, images=None):
    """The statistics of one comparison."""
    differences = np.asarray(differences, dtype=np.float64)
    (found,) = paired(differences[:, None], np.arange(len(differences)) if images is None else images)
    return found


def outcomes(better, worse, n=400):
    """Differences of two rates that disagree on `better` + `worse` of n queries."""
    return np.r_[np.ones(better), -np.ones(worse), np.zeros(n - better - worse)]


@pytest.fixture
def samples(rng):
    """300 samples of 60 skewed differences whose true mean is 0."""
    return rng.exponential(1, (60, 300)) - 1


# -- p -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("better", "worse"), [(1, 0), (4, 0), (6, 0), (10, 2), (30, 20), (60, 40), (5, 5)])
def test_rates_have_the_p_of_mcnemar(better, worse):
    """For rates, p is that of McNemar's exact test, as near as so many replicates come."""
    exact = stats.binomtest(better, better + worse).pvalue
    error = np.sqrt(exact * (1 - exact) / REPLICATES)
    assert one(outcomes(better, worse)).p == pytest.approx(exact, abs=4 * error + 0.01)


def test_p_is_the_permutation_tests(rng):
    """On a few pairs, p is never below that of scipy's exact permutation test, and where that is small close to it."""
    for shift in (0.5, 1.0, 2.0):
        first, second = rng.normal(shift, 1, 10), rng.normal(0, 1, 10)
        exact = stats.permutation_test(
            (first, second), lambda x, y, axis: (x - y).mean(axis=axis), permutation_type="samples", vectorized=True
        ).pvalue
        assert exact - 0.02 <= one(first - second).p <= exact + 0.04


def test_chance_is_rarely_significant(rng):
    """Where two methods differ on a few queries, and by chance, p is below .05 at most five times in a hundred."""
    rarely = rng.choice([-1.0, 0.0, 1.0], p=[0.01, 0.98, 0.01], size=(300, 400))
    share = np.mean([found.p < 0.05 for found in paired(rarely, np.arange(300))])
    assert share <= 0.05


def test_significant_is_away_from_zero(samples):
    """Where p is below .05, zero lies outside the interval."""
    found = paired(samples + np.linspace(-1, 1, 300), np.arange(60))
    significant = [row for row in found if row.p < 0.05]
    assert 50 < len(significant) < 300
    assert all(row.low > 0 or row.high < 0 for row in significant)


# -- interval ----------------------------------------------------------------------------------------------------------


def test_interval_is_scipys_bootstrap(samples):
    """The interval is the percentile interval that scipy's bootstrap gives."""
    expected = stats.bootstrap((samples[:, 0],), np.mean, method="percentile", random_state=1).confidence_interval
    found = one(samples[:, 0])
    assert found.value == pytest.approx(samples[:, 0].mean())
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.02)


def test_interval_covers(samples):
    """The interval holds the true difference in about 95 of 100 samples."""
    covered = np.mean([row.low <= 0 <= row.high for row in paired(samples, np.arange(60))])
    assert 0.88 <= covered <= 0.98


# -- invariances -------------------------------------------------------------------------------------------------------


def test_swapped_methods_mirror(samples):
    """Exchanging the two methods mirrors difference and interval, and leaves p."""
    for row, mirrored in zip(paired(samples, np.arange(60)), paired(-samples, np.arange(60)), strict=True):
        assert (mirrored.value, mirrored.low, mirrored.high) == pytest.approx((-row.value, -row.high, -row.low))
        assert mirrored.p == row.p


def test_order_of_queries_does_not_matter(rng, samples):
    """Queries in another order give the same to the digit."""
    order = rng.permutation(60)
    assert paired(samples[order], np.arange(60)[order]) == paired(samples, np.arange(60))


def test_same_image_under_two_seeds_is_one_observation(samples):
    """What a second seed says again of the same images narrows nothing."""
    images = np.arange(60)
    assert paired(np.r_[samples, samples], np.r_[images, images]) == [
        pytest.approx(row) for row in paired(samples, images)
    ]


def test_other_images_are_other_observations(samples):
    """What a second seed says of other images narrows the interval like any other query."""
    once, twice = one(samples[:, 0]), one(np.tile(samples[:, 0], 2))
    assert twice.n == 2 * once.n == 120
    assert (twice.high - twice.low) / (once.high - once.low) == pytest.approx(2**-0.5, rel=0.05)


@pytest.mark.parametrize("n", [1, 2, 50])
def test_no_difference_is_no_difference(n):
    """Equal outcomes differ by 0 with an interval of 0, and p is 1."""
    assert one(np.zeros(n)) == (0, 0, 0, 1, n, 1)


def test_one_query_proves_nothing():
    """A single query, whatever it says, has p = 1."""
    assert one([0.7]) == (0.7, 0.7, 0.7, 1, 1, 1)


@pytest.mark.parametrize("differences", [[], [0.1, np.nan], [np.inf]])
def test_what_cannot_be_compared_is_refused(differences):
    """No query at all, and what is not finite, are refused."""
    with pytest.raises(ValueError, match="finite differences"):
        one(differences)


# -- trainings ---------------------------------------------------------------------------------------------------------


def test_trainings_have_students_p():
    """Where queries of a training agree, p and interval are those of Student's t of the trainings' means."""
    means = np.array([0.3, 0.5, 1.0, 0.8])
    found = over_trainings(np.repeat(means, 50)[:, None], np.arange(200), np.repeat(np.arange(4), 50))[0]
    expected = stats.ttest_1samp(means, 0)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_trainings_widen_and_never_narrow(samples):
    """Beside the queries' own interval and p, those of trainings only widen, and raise p."""
    trainings = np.arange(60) % 3
    for row, wider in zip(paired(samples, np.arange(60)), paired(samples, np.arange(60), trainings), strict=True):
        assert wider.low <= row.low < row.high <= wider.high
        assert wider.p >= row.p
        assert wider.value == row.value


@pytest.mark.parametrize(("trainings", "sure"), [(1, False), (2, False), (3, True), (5, True)])
def test_fewer_than_three_trainings_prove_nothing(rng, trainings, sure):
    """However far two methods are apart, nothing is sure of one training, or two."""
    differences = rng.normal(5, 0.1, (60, 1))
    (found,) = paired(differences, np.arange(60), np.arange(60) % trainings)
    assert found.trainings == trainings
    assert found.sure is sure


def test_only_what_is_counted_is_compared(samples):
    """Rows that are not counted change nothing, whatever is in them."""
    counted = np.arange(60) % 2 == 0
    rest = np.where(counted[:, None], samples, 1e6)
    where = np.broadcast_to(counted[:, None], samples.shape)
    found = over_trainings(rest, np.arange(60), np.arange(60) % 4, where)
    alone = over_trainings(samples[counted], np.arange(60)[counted], np.arange(60)[counted] % 4)
    assert [row.value for row in found] == pytest.approx([row.value for row in alone])
    assert {(row.n, row.trainings) for row in found} == {(30, 2)}
    assert np.allclose([row.low for row in found], [row.low for row in alone], atol=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("trainings", [3, 5])
@pytest.mark.parametrize(("rate", "spread"), [(None, 0.05), (None, 0.3), (0.9, 0.1)])
def test_equal_methods_rarely_get_a_star(trainings, rate, spread):
    """Two equal methods, whose trainings differ by chance, are called different in at most 6 % (3 standard errors)."""
    found, error = false_stars(trainings, spread, rate, comparisons=200, queries=60)
    assert found <= 0.06 + 3 * error


def test_one_training_would_be_called_different_often():
    """Judged by its queries alone, one training of two equal methods differs by p < .05 far too often."""
    assert false_stars(1, 0.3, comparisons=100, queries=100)[0] > 0.3


def test_equal_trainings_leave_the_queries_alone():
    """Trainings that agree to the digit add no error of their own."""
    differences = np.tile([1.0, 2.0, 3.0, 2.0] * 20, 3)[:, None]
    images = np.tile(np.arange(80), 3)
    (found,) = paired(differences, images, np.repeat(np.arange(3), 80))
    assert found[:5] == paired(differences, images)[0][:5]


# -- Holm --------------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(1e-4, 1), min_size=1, max_size=12), st.floats(0.001, 0.2))
def test_holm_is_the_step_down_procedure(ps, level):
    """Corrected p at or below a level are those that Holm's procedure rejects, one after the other, at that level."""
    corrected = holm(ps)
    rejected = 0
    for place, p in enumerate(sorted(ps)):
        if p * (len(ps) - place) > level:
            break
        rejected += 1
    assert sum(p <= level for p in corrected) == rejected
    assert [corrected[place] for place in np.argsort(ps)] == sorted(corrected)


def test_holm_by_hand():
    """The worked example .01, .04, .03, .005 is corrected to .03, .06, .06, .02."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.2]) == [0.2]
