import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, mean_squared_error, root_mean_squared_error

from metrics.distances import STAYS, diversity, hoyer_sparsity, l0, l1, l2, mse, stability

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


def change(*values):
    """One image whose entries differ so from a black query."""
    return torch.tensor(values).view(1, 1, 1, -1), torch.zeros(1, 1, 1, len(values))


def test_hoyer_extremes():
    """A change of one entry has sparsity 1, wherever and however large; the same change everywhere has 0."""
    assert hoyer_sparsity(*change(0.0, 0.3, 0.0, 0.0)).value == pytest.approx(1)
    assert hoyer_sparsity(*change(0.5, 0.5, 0.5, 0.5)).value == pytest.approx(0, abs=1e-7)


def test_hoyer_closed_form():
    """Of k equal changes among D entries the sparsity is (√D − √k) / (√D − 1)."""
    for k in range(1, 10):
        values = [0.2] * k + [0.0] * (9 - k)
        assert hoyer_sparsity(*change(*values)).value == pytest.approx((3 - math.sqrt(k)) / 2, abs=1e-7)


@given(st.integers(0, 100), st.floats(0.1, 1))
def test_hoyer_has_no_scale(seed, scale):
    """Neither the size of a change nor the order of its entries matters."""
    x, zero = images(seed), torch.zeros(6, 3, 5, 4)
    value = hoyer_sparsity(x, zero).value
    assert hoyer_sparsity(scale * x, zero).value == pytest.approx(value, rel=1e-5)
    assert hoyer_sparsity(x.flip(1, 2, 3), zero).value == pytest.approx(value)


def test_hoyer_counts_what_changes():
    """Answers that change nothing are not counted; where none changes anything there is no value."""
    x = images(0)
    y = x.clone()
    y[0] = 1 - y[0]
    assert hoyer_sparsity(y, x).n == 1
    assert math.isnan(hoyer_sparsity(x, x).value)
    assert hoyer_sparsity(x, x).n == 0


def test_hoyer_needs_entries():
    """The sparsity of a single entry is refused."""
    with pytest.raises(ValueError, match="single entry"):
        hoyer_sparsity(*change(0.5))


def test_draws_that_agree_and_differ():
    """Equal draws have no diversity, black and white ones have it all, and of three the mean pair counts."""
    x = images(0)
    black, white = torch.zeros_like(x), torch.ones_like(x)
    assert diversity(torch.stack([x, x, x], 1)).value == 0
    assert diversity(torch.stack([black, white], 1)).value == 1
    assert diversity(torch.stack([black, black, white], 1)).value == pytest.approx(2 / 3)


@given(st.integers(0, 100), st.permutations(range(4)))
def test_order_of_draws_does_not_matter(seed, order):
    """Diversity does not depend on the order of the draws, and two draws are at their L1."""
    draws = torch.stack([images(seed + i) for i in range(4)], 1)
    assert diversity(draws[:, order]).value == pytest.approx(diversity(draws).value)
    assert diversity(draws[:, :2]).value == pytest.approx(l1(draws[:, 0], draws[:, 1]).value)


def test_draws_come_in_pairs():
    """A single draw, and images without draws, are refused."""
    with pytest.raises(ValueError, match="at least 2"):
        diversity(images(0)[:, None])
    with pytest.raises(ValueError, match="at least 2"):
        diversity(images(0))


def test_what_stays_is_stable():
    """The same answers are stable whatever they show; with another class or a far picture none is."""
    classes = torch.arange(6) % 3
    for batch in (images(0), torch.zeros(6, 1, 2, 2), torch.ones(6, 1, 2, 2)):
        assert stability(batch, batch, classes, classes).value == 1
        assert stability(batch, batch, classes, (classes + 1) % 3).value == 0
        assert stability(batch, 1 - batch.round(), classes, classes).value == 0


def test_stability_ends_at_two_levels():
    """A change of less than two grey levels leaves an answer what it is, one of more does not."""
    grey, classes = torch.full((4, 1, 3, 3), 0.5, dtype=torch.double), torch.zeros(4).long()
    for change, value in ((0.99, 1), (1.01, 0)):
        assert stability(grey + change * STAYS, grey, classes, classes).value == value


def test_stability_refuses_other_lengths():
    """Classes of other answers than the pictures are refused, not broadcast."""
    with pytest.raises(ValueError, match="classes of 1"):
        stability(images(0), images(0), torch.zeros(1).long(), torch.zeros(1).long())
