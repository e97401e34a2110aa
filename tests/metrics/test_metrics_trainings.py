import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from metrics.trainings import over_trainings, share_over_trainings
from perf.calibration import coverage

spreads = st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=10)
shares = st.lists(st.floats(0, 1), min_size=3, max_size=10)


@given(spreads)
def test_without_errors_it_is_students(means):
    """Where nothing is known of queries, the interval is that of Student's t of the means."""
    if np.std(means) > 0:
        low, high = stats.t.interval(0.95, len(means) - 1, np.mean(means), stats.sem(means))
        assert over_trainings(means, [math.nan] * len(means)) == pytest.approx((low, high), abs=1e-6)


@given(spreads, st.floats(0, 10))
def test_it_is_never_narrower_than_the_queries(means, error):
    """Trainings that agree by chance do not narrow what the queries of all of them leave open."""
    low, high = over_trainings(means, [error] * len(means))
    assert high - low >= 2 * 1.95 * error / math.sqrt(len(means)) - 1e-9
    assert low <= np.mean(means) + 1e-9
    assert high >= np.mean(means) - 1e-9


@given(shares, st.integers(1, 1000))
def test_shares_stay_shares(values, n):
    """The interval of a share lies in [0, 1], holds the mean share, and is mirrored where failures are counted."""
    low, high = share_over_trainings(values, [n] * len(values))
    assert 0 <= low <= np.mean(values) + 1e-12
    assert np.mean(values) - 1e-12 <= high <= 1
    mirrored = share_over_trainings([1 - value for value in values], [n] * len(values))
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_shares_that_agree_have_the_pooled_interval():
    """Where all trainings have the same share, none 0 or 1, it is at least Wilson's interval of all queries."""
    low, high = share_over_trainings([0.3, 0.3, 0.3], [100] * 3)
    expected = stats.binomtest(90, 300).proportion_ci(method="wilson")
    assert low <= expected.low
    assert high >= expected.high


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_three_trainings_have_none(count):
    """Two trainings tell too little of a third: honestly no interval."""
    assert all(map(math.isnan, over_trainings([0.5] * count, [0.1] * count)))
    assert all(map(math.isnan, share_over_trainings([0.5] * count, [10] * count)))


@pytest.mark.parametrize(
    ("shares", "counts"),
    [([0.5, 1.2, 0.1], [9] * 3), ([0.5, 0.5, 0.5], [9, 9, 0]), ([math.nan] * 3, [9] * 3), ([1], [])],
)
def test_what_is_no_share_is_refused(shares, counts):
    """Shares outside [0, 1], of no query, undefined, or of other trainings are errors."""
    with pytest.raises(ValueError, match=r"expected|must be"):
        share_over_trainings(shares, counts)


@pytest.mark.slow
@pytest.mark.parametrize("trainings", [3, 5, 10])
@pytest.mark.parametrize(("rate", "spread"), [(None, 0.05), (None, 0.3), (0.5, 0.1), (0.9, 0.1), (0.98, 0.05)])
def test_interval_covers_trainings_and_queries(trainings, rate, spread):
    """It holds the mean over trainings and queries in 93 to 97 of 100 simulated tables (3 standard errors allowed)."""
    found, error = coverage(trainings, spread, rate, tables=1500)
    assert 0.93 - 3 * error <= found <= 0.97 + 3 * error


def test_old_intervals_did_not_cover():
    """The mean of the seeds' own intervals, which tables showed before, misses the mean far more often."""
    found, _ = coverage(3, 0.3, None, tables=300, rule="mean of the seeds' intervals")
    assert found < 0.5


def test_a_share_that_rounding_took_past_its_end_is_at_it():
    """A sum of twenty shares may be 1.0000000000000002."""
    past = np.nextafter(1, 2)
    assert share_over_trainings([past] * 3, [500] * 3) == share_over_trainings([1.0] * 3, [500] * 3)
    assert share_over_trainings([past, 0.9, 1.0], [500] * 3) == share_over_trainings([1.0, 0.9, 1.0], [500] * 3)
    assert share_over_trainings([1 - past] * 3, [500] * 3) == share_over_trainings([0.0] * 3, [500] * 3)
