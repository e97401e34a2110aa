import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.frechet import frechet_distance
from metrics.kernel import kernel_distance


def gaussian(seed, n=200, width=8):
    return np.random.default_rng(seed).normal(size=(n, width))


@settings(max_examples=20)
@given(st.integers(0, 1000), st.integers(3, 40))
def test_value_is_torchmetrics(seed, n):
    """The distance is torchmetrics' polynomial MMD of the whole sets."""
    kid = pytest.importorskip("torchmetrics.image.kid")
    x, y = gaussian(seed, n), 1 + gaussian(seed + 1, n)
    assert kernel_distance(x, y).value == pytest.approx(kid.poly_mmd(torch.tensor(y), torch.tensor(x)).item())


def test_right_at_every_n():
    """Of two samples of one distribution it is 0 on average at every n, where the Fréchet distance is not."""
    for n in (10, 40):
        pairs = [(gaussian(2 * seed, n), gaussian(2 * seed + 1, n)) for seed in range(300)]
        values = np.array([kernel_distance(x, y).value for x, y in pairs])
        assert abs(values.mean()) < 3 * values.std() / math.sqrt(300)
    frechet = [frechet_distance(x, y, replicates=0).value for x, y in pairs[:30]]
    assert np.mean(frechet) > 5 * np.std(frechet)


def test_grows_with_the_difference():
    """The farther from the reference, the larger."""
    values = [kernel_distance(gaussian(0) + step, gaussian(1)).value for step in (0, 1, 2, 4)]
    assert values == sorted(values)


def test_interval_is_the_jackknife():
    """The interval is that of leaving out one image after the other and computing all anew."""
    x, y = gaussian(0, 9), 1 + gaussian(1, 7)

    def without(z, i):
        return np.delete(z, i, axis=0)

    over_x = np.array([kernel_distance(without(x, i), y).value for i in range(9)])
    over_y = np.array([kernel_distance(x, without(y, i)).value for i in range(7)])
    variance = 8 * over_x.var() + 6 * over_y.var()
    estimate = kernel_distance(x, y)
    assert estimate.high - estimate.value == pytest.approx(1.959964 * math.sqrt(variance))
    assert estimate.value - estimate.low == pytest.approx(estimate.high - estimate.value)


def test_interval_is_the_sampling_variation():
    """The interval is as wide as the distances of fresh samples are spread."""
    fresh = [kernel_distance(gaussian(seed), 1 + gaussian(seed + 500)).value for seed in range(100)]
    estimate = kernel_distance(gaussian(0), 1 + gaussian(500))
    assert (estimate.high - estimate.value) / 1.96 == pytest.approx(np.std(fresh), rel=0.4)


def test_symmetric():
    """Either set may come first."""
    x, y = gaussian(0, 20), 1 + gaussian(1, 30)
    assert kernel_distance(x, y)[:3] == pytest.approx(kernel_distance(y, x)[:3])
    assert (kernel_distance(x, y).n, kernel_distance(y, x).n) == (20, 30)


def test_constant_sets():
    """Of a constant set to itself the distance is 0; of zeros to ones it is the kernel's 1 + 8 − 2 · 1."""
    zeros, ones = np.zeros((6, 4)), np.ones((6, 4))
    assert kernel_distance(zeros, zeros) == pytest.approx((0, 0, 0, 6))
    assert kernel_distance(zeros, ones).value == pytest.approx(1 + 8 - 2)


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_images(n):
    """A set without a pair has no distance."""
    assert all(map(math.isnan, kernel_distance(gaussian(0, n), gaussian(1))[:3]))
    assert all(map(math.isnan, kernel_distance(gaussian(1), gaussian(0, n))[:3]))


def test_two_images_have_no_interval():
    """Of two images none can be left out: there is a distance, and no interval."""
    estimate = kernel_distance(gaussian(0, 2), gaussian(1))
    assert math.isfinite(estimate.value)
    assert math.isnan(estimate.low)


def test_malformed_features_are_refused():
    """Feature maps, and features of two widths, are refused."""
    with pytest.raises(ValueError, match="must be"):
        kernel_distance(torch.zeros(5, 4, 1, 1), torch.zeros(5, 4))
    with pytest.raises(ValueError, match="different networks"):
        kernel_distance(torch.zeros(5, 4), torch.zeros(5, 3))
