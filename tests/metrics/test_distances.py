import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, mean_squared_error, root_mean_squared_error

from metrics.distances import l0, l1, l2, mse

DISTANCES = [l0, l1, l2, mse]


def images(seed, n=6, channels=3):
    return torch.rand(n, channels, 5, 4, generator=torch.Generator().manual_seed(seed))


def rows(batch):
    return batch.flatten(1).double().numpy()


@pytest.mark.parametrize(
    ("distance", "reference"),
    [(l1, mean_absolute_error), (l2, root_mean_squared_error), (mse, mean_squared_error)],
)
def test_distance_is_sklearns(distance, reference):
    """L1, L2 and MSE are scikit-learn's errors of each image, averaged over the images."""
    x, y = images(0), images(1)
    expected = [reference(query, answer) for query, answer in zip(rows(y), rows(x), strict=True)]
    estimate = distance(x, y)
    assert estimate.value == pytest.approx(np.mean(expected), rel=1e-6)
    assert estimate.high - estimate.low == pytest.approx(2 * 1.96 * np.std(expected, ddof=1) / math.sqrt(6), rel=1e-3)
    assert estimate.n == 6


@pytest.mark.parametrize("distance", DISTANCES)
def test_identical_images_have_no_distance(distance):
    """Identical images are at distance zero, with an interval of no width."""
    assert distance(images(0), images(0)) == (0, 0, 0, 6)


@pytest.mark.parametrize("distance", DISTANCES)
def test_black_and_white_are_farthest(distance):
    """Black against white is at distance one."""
    assert distance(torch.zeros(4, 1, 3, 3), torch.ones(4, 1, 3, 3)) == (1, 1, 1, 4)


@pytest.mark.parametrize(("distance", "expected"), [(l0, 1), (l1, 0.25), (l2, 0.25), (mse, 0.0625)])
def test_constant_images(distance, expected):
    """Of two constant images, L1 and L2 are the difference and MSE is its square."""
    assert distance(torch.full((2, 3, 4, 4), 0.5), torch.full((2, 3, 4, 4), 0.75)).value == expected


@pytest.mark.parametrize("distance", DISTANCES)
@given(st.integers(0, 100), st.permutations(range(6)))
def test_invariances(distance, seed, order):
    """A distance is symmetric, lies in [0, 1], and depends neither on the order of the queries nor on the channels'."""
    x, y = images(seed), images(seed + 1)
    value = distance(x, y).value
    assert 0 <= value <= 1
    assert distance(y, x).value == pytest.approx(value)
    assert distance(x[order], y[order]).value == pytest.approx(value)
    assert distance(x.flip(1), y.flip(1)).value == pytest.approx(value)


@given(st.integers(0, 100))
def test_root_mean_square_is_at_least_the_mean(seed):
    """L1 is at most L2, and the square of L2 at most MSE."""
    x, y = images(seed), images(seed + 1)
    assert l1(x, y).value <= l2(x, y).value + 1e-9
    assert l2(x, y).value ** 2 <= mse(x, y).value + 1e-9


def test_eight_levels_are_no_change():
    """From any of the 256 levels, 8 levels up are no change and 9 are one, whatever the rounding."""
    levels = torch.arange(256)
    for step, share in ((8, 0), (9, 1)):
        below = levels[: 256 - step].view(-1, 1, 1, 1)
        x, y = below.float() / 255, (below + step).float() / 255
        assert l0(x, y).value == share
        assert l0(y, x).value == share


def test_a_pixel_counts_once():
    """A pixel is changed if one channel is, and counts no more if all are."""
    query = torch.zeros(1, 3, 2, 2)
    one, three = query.clone(), query.clone()
    one[0, 1, 0, 0] = 10 / 255
    three[0, :, 0, 0] = 10 / 255
    assert l0(one, query).value == 0.25
    assert l0(three, query).value == 0.25


@pytest.mark.parametrize("distance", DISTANCES)
def test_half_precision(distance):
    """Images in half precision are compared in single precision."""
    x, y = images(0).half(), images(1).half()
    assert distance(x, y) == distance(x.float(), y.float())


@pytest.mark.parametrize("distance", DISTANCES)
def test_one_image_has_no_interval(distance):
    """One image has a distance, but no interval."""
    estimate = distance(images(0, n=1), images(1, n=1))
    assert estimate.value > 0
    assert estimate.n == 1
    assert math.isnan(estimate.low)
    assert math.isnan(estimate.high)


@pytest.mark.parametrize("distance", DISTANCES)
def test_no_image_has_no_distance(distance):
    """Over an empty subset there is no distance."""
    estimate = distance(images(0, n=0), images(1, n=0))
    assert estimate.n == 0
    assert all(map(math.isnan, estimate[:3]))


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("wrong", [math.nan, math.inf, -0.01, 1.01])
def test_intensities_lie_in_the_unit_interval(distance, wrong):
    """NaN, infinity and intensities outside [0, 1] are refused, in either place."""
    good, bad = images(0), images(0)
    bad[3, 1, 2, 2] = wrong
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        distance(bad, good)
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        distance(good, bad)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("other", [images(0, n=1), images(0, channels=1)])
def test_shapes_must_agree(distance, other):
    """One query for six answers, or grey for colour, is refused, not broadcast."""
    with pytest.raises(ValueError, match="differ in shape"):
        distance(images(0), other)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("other", [torch.zeros(6, 3, 5, 4, dtype=torch.uint8), torch.zeros(6, 5, 4)])
def test_images_are_float_batches(distance, other):
    """Bytes, and images without a channel, are refused."""
    with pytest.raises(ValueError, match="must be float"):
        distance(images(0), other)
