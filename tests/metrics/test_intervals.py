import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from metrics.intervals import mean, mean_share, proportion


@st.composite
def counts(draw):
    n = draw(st.integers(1, 2000))
    return draw(st.integers(0, n)), n


def successes(k, n):
    return torch.arange(n) < k


@given(counts())
def test_wilson_is_scipys(case):
    """The interval of a proportion is the Wilson interval that scipy computes."""
    k, n = case
    expected = stats.binomtest(k, n).proportion_ci(method="wilson")
    estimate = proportion(successes(k, n))
    assert estimate.value == k / n
    assert estimate.n == n
    assert (estimate.low, estimate.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


@given(counts())
def test_wilson_holds_its_value(case):
    """The Wilson interval lies in [0, 1], holds the value, and is never empty."""
    estimate = proportion(successes(*case))
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    assert estimate.low < estimate.high


@given(counts())
def test_wilson_mirrors(case):
    """Counting failures instead of successes mirrors the interval."""
    k, n = case
    hits, misses = proportion(successes(k, n)), proportion(~successes(k, n))
    assert (misses.value, misses.low, misses.high) == pytest.approx((1 - hits.value, 1 - hits.high, 1 - hits.low))


def test_mean_is_the_textbooks():
    """The interval of a mean is the normal one with the sample's standard deviation."""
    values = np.random.default_rng(0).normal(3, 2, size=400)
    low, high = stats.norm.interval(0.95, loc=values.mean(), scale=stats.sem(values))
    estimate = mean(torch.from_numpy(values))
    assert estimate == pytest.approx((values.mean(), low, high, 400))


def test_mean_interval_covers():
    """The interval of a mean holds the true mean in about 95 of 100 samples."""
    samples = torch.from_numpy(np.random.default_rng(0).normal(size=(500, 100)))
    covered = sum(low <= 0 <= high for _, low, high, _ in map(mean, samples))
    assert 0.92 <= covered / 500 <= 0.98


def test_mean_is_taken_in_float64():
    """Large float32 values keep a spread that float32 sums would lose."""
    estimate = mean(torch.tensor([1e8, 1e8 + 8, 1e8 + 16]))
    assert estimate.value == 1e8 + 8
    assert estimate.high - estimate.value == pytest.approx(1.96 * 8 / math.sqrt(3), rel=1e-3)


def test_constant_values_have_no_spread():
    """The interval of equal values is the value."""
    assert mean(torch.full((7,), 0.5)) == (0.5, 0.5, 0.5, 7)


def test_one_value_has_no_interval():
    """One value is its own mean, without an interval."""
    value, low, high, n = mean(torch.tensor([2.5]))
    assert (value, n) == (2.5, 1)
    assert math.isnan(low)
    assert math.isnan(high)


def test_one_success_has_an_interval():
    """One success has a Wilson interval that ends at one."""
    value, low, high, n = proportion(torch.tensor([True]))
    assert (value, high, n) == (1, 1, 1)
    assert low == pytest.approx(0.2065, abs=1e-4)


@pytest.mark.parametrize("estimate", [proportion(torch.zeros(0, dtype=torch.bool)), mean(torch.zeros(0))])
def test_nothing_is_nan(estimate):
    """Over no observations there is no number."""
    assert estimate.n == 0
    assert all(map(math.isnan, estimate[:3]))


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_mean_refuses_what_is_no_number(wrong):
    """A NaN among the values is an error, not an omission."""
    with pytest.raises(ValueError, match="1 of 3 values"):
        mean(torch.tensor([0.0, wrong, 1.0]))


def test_mean_refuses_a_matrix():
    """Values come one an image."""
    with pytest.raises(ValueError, match="one number an image"):
        mean(torch.zeros(3, 2))


@given(counts(), st.integers(1, 4))
def test_shares_of_what_never_varies_are_answers(case, repeats):
    """Observations that are made several times, and come out the same each time, say what they say once."""
    seen = successes(*case).expand(repeats, -1)
    assert mean_share(seen.double().mean(0)) == proportion(seen[0])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_interval_of_shares_holds_its_value(shares):
    """The interval of a mean of shares lies in [0, 1] and holds it, however few the shares are."""
    estimate = mean_share(torch.tensor(shares, dtype=torch.float64))
    assert estimate.value == pytest.approx(np.mean(shares))
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1


@pytest.mark.parametrize("wrong", [torch.ones(3), torch.ones(3, dtype=torch.long), torch.ones(3, 1) > 0])
def test_proportion_refuses_what_is_no_answer(wrong):
    """Successes are bool, one an observation."""
    with pytest.raises(ValueError, match="must be bool"):
        proportion(wrong)


NO_SHARES = [torch.tensor([0.0, wrong]) for wrong in (1.5, -0.1, math.nan)]


@pytest.mark.parametrize("wrong", [*NO_SHARES, torch.ones(3) > 0, torch.ones(3, 1)])
def test_mean_share_refuses_what_is_no_share(wrong):
    """Shares are floats in [0, 1], one an observation."""
    with pytest.raises(ValueError, match="must be floats"):
        mean_share(wrong)
