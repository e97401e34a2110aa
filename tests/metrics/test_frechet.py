import math
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_fid.fid_score import calculate_frechet_distance
from scipy.linalg import sqrtm
from scipy.stats import ortho_group

from metrics.frechet import frechet_distance, gaussian_distance, split_distance


def gaussian(seed, n=200, width=8):
    """Correlated features with a mean of their own."""
    generator = np.random.default_rng(seed)
    mixing, mean = generator.normal(size=(width, width)), generator.normal(size=width)  # the same for every n
    return generator.normal(size=(n, width)) @ mixing + mean


def value(x, y):
    return frechet_distance(x, y, replicates=0).value


def with_moments(mean, deviation, n=100, seed=0):
    """Features whose sample mean is `mean` and whose sample covariance is diag(deviation²), exactly."""
    x = np.random.default_rng(seed).normal(size=(n, len(mean)))
    q, _ = np.linalg.qr(x - x.mean(0))
    return math.sqrt(n - 1) * q * np.asarray(deviation) + np.asarray(mean)


def test_distance_is_scipys():
    """The distance is the textbook formula with scipy's matrix root."""
    x, y = gaussian(0), gaussian(1, n=300)
    c, d = np.cov(x.T), np.cov(y.T)
    expected = np.square(x.mean(0) - y.mean(0)).sum() + np.trace(c + d - 2 * sqrtm(c @ d).real)
    assert value(x, y) == pytest.approx(expected)


def moments(x):
    return x.mean(0), np.cov(x.T)


@pytest.mark.parametrize("n", [3, 20, 31, 200])
def test_distance_is_pytorch_fids(n):
    """The distance without a matrix root is pytorch-fid's, for n below and above F, of features and of moments."""
    x, y = gaussian(0, n, 30), gaussian(1, n, 30)
    expected = calculate_frechet_distance(*moments(x), *moments(y))
    assert value(x, y) == pytest.approx(expected, rel=1e-6)
    assert gaussian_distance(*moments(x), *moments(y)) == pytest.approx(expected, rel=1e-6)


def test_one_set_smaller_than_the_features():
    """Which of the two sets is smaller than the number of features does not matter."""
    few, many = gaussian(0, 12, 30), gaussian(1, 90, 30)
    expected = calculate_frechet_distance(*moments(few), *moments(many))
    assert value(few, many) == pytest.approx(expected, rel=1e-6)
    assert value(many, few) == pytest.approx(expected, rel=1e-6)


def test_dead_features_change_nothing():
    """Features that never fire, as after a ReLU, add nothing, though the covariance is then singular."""
    x, y = gaussian(0), gaussian(1)
    dead = np.zeros((200, 3))
    assert value(np.hstack([x, dead]), np.hstack([y, dead])) == pytest.approx(value(x, y))


@pytest.mark.slow
def test_many_features():
    """Of 1024 features the distance is scipy's to 1e-4 of it, and pytorch-fid's to 1e-3."""
    x, y = gaussian(0, 1500, 1024), 1.1 * gaussian(1, 1500, 1024)
    (m, c), (k, d) = moments(x), moments(y)
    ours = gaussian_distance(m, c, k, d)
    theirs = np.square(m - k).sum() + np.trace(c + d - 2 * sqrtm(c @ d).real)
    assert ours == pytest.approx(theirs, rel=1e-4)
    assert ours == pytest.approx(calculate_frechet_distance(m, c, k, d), rel=1e-3)


def test_diagonal_gaussians():
    """Of diagonal Gaussians the distance is the squared distance of means plus that of standard deviations."""
    x = with_moments([0, 1, 2], [1, 2, 3], seed=0)
    y = with_moments([3, 1, 0], [2, 2, 0.5], seed=1)
    assert value(x, y) == pytest.approx(3**2 + 0 + 2**2 + 1**2 + 0 + 2.5**2)


def test_one_feature():
    """Of one-dimensional Gaussians the distance is (m₁ - m₂)² + (s₁ - s₂)²."""
    x, y = with_moments([1], [2]), with_moments([4], [6])
    assert value(x, y) == pytest.approx(3**2 + 4**2)


@pytest.mark.parametrize("n", [2, 5, 200])
def test_identical_sets_have_no_distance(n):
    """Of a set to itself, in any order, the distance is zero and never negative."""
    x = gaussian(0, n, 16)
    assert 0 <= value(x, x[::-1].copy()) < 1e-3
    assert frechet_distance(x, x).low == 0


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000))
def test_symmetric_and_without_order(seed):
    """The distance is symmetric, not negative, and does not depend on the order of either set."""
    x, y = gaussian(seed), gaussian(seed + 1)
    shuffled = np.random.default_rng(seed).permutation(x)
    distance = value(x, y)
    assert distance >= 0
    assert value(y, x) == pytest.approx(distance)
    assert value(shuffled, y) == pytest.approx(distance)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.floats(-5, 5))
def test_translation(seed, step):
    """Moving a set by d puts it at distance |d|² from where it was."""
    x = gaussian(seed)
    assert value(x + step, x) == pytest.approx(8 * step**2, abs=1e-6)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.floats(0.1, 10))
def test_rotation_and_scale(seed, scale):
    """Rotating both sets changes nothing; scaling both scales the distance by the square."""
    x, y = gaussian(seed), gaussian(seed + 1)
    rotation = scale * ortho_group.rvs(8, random_state=seed)
    assert value(x @ rotation, y @ rotation) == pytest.approx(scale**2 * value(x, y))


def test_distance_grows_with_the_difference():
    """The farther from the reference, the larger the distance."""
    x, y = gaussian(0), gaussian(0, n=300)
    distances = [value(x + step, y) for step in (0, 1, 2, 4)]
    assert distances == sorted(distances)


def test_collapsed_features():
    """A constant set has no covariance: its distance is that of the means plus the other's variances."""
    y = gaussian(1)
    expected = np.square(1 - y.mean(0)).sum() + y.var(0, ddof=1).sum()
    assert value(np.ones((50, 8)), y) == pytest.approx(expected)


def test_constant_sets():
    """Of two constant sets the distance is that of the constants."""
    estimate = frechet_distance(np.zeros((10, 4)), np.ones((10, 4)))
    assert estimate == pytest.approx((4, 4, 4, 10))


def test_singular_product_is_answered():
    """Where a singular product makes pytorch-fid's root complex, the distance is still found."""
    x, y = 1e3 * np.maximum(gaussian(0, 20, 64), 0), 1e3 * np.maximum(gaussian(1, 20, 64), 0)
    with pytest.raises(ValueError, match="Imaginary"):
        calculate_frechet_distance(x.mean(0), np.cov(x.T), y.mean(0), np.cov(y.T))
    assert value(x, y) == pytest.approx(1e6 * value(x / 1e3, y / 1e3), rel=1e-4)


def test_degenerate_sets_are_quiet(capfd, recwarn):
    """Fewer images than features, and constant images, are answered without print or warning."""
    assert value(gaussian(0, 5, 64), gaussian(1, 5, 64)) > 0
    assert value(np.ones((5, 8)), gaussian(1)) > 0
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


def test_interval_is_deterministic():
    """The same features have the same interval, whatever torch's and numpy's global generators hold."""
    x, y = gaussian(0), gaussian(1)
    first = frechet_distance(x, y)
    np.random.default_rng().normal()
    torch.rand(1)
    assert frechet_distance(x, y) == first
    assert first.low < first.value < first.high
    assert first.n == 200


def test_interval_narrows_with_n():
    """More images narrow the interval, about as the root of n."""
    widths = []
    for n in (100, 400, 1600):
        estimate = frechet_distance(gaussian(0, n), gaussian(1, n))
        widths.append(estimate.high - estimate.low)
    assert 1.4 < widths[0] / widths[1] < 2.9
    assert 1.4 < widths[1] / widths[2] < 2.9


def test_interval_is_the_sampling_variation():
    """The interval is as wide as the distances of fresh samples are spread."""
    x, y = gaussian(0, 3000), gaussian(1, 3000)
    fresh = [value(x[i : i + 200], y[i : i + 200]) for i in range(0, 3000, 200)]
    estimate = frechet_distance(x[:200], y[:200])
    assert (estimate.high - estimate.value) / 1.96 == pytest.approx(np.std(fresh, ddof=1), rel=0.6)


def test_many_features_take_fewer_replicates(monkeypatch):
    """From 512 features on, the bootstrap makes 10 replicates instead of 50."""
    distance = Mock(return_value=0.0)
    monkeypatch.setattr("metrics.frechet._distance", distance)
    frechet_distance(np.ones((3, 511)), np.ones((3, 511)))
    assert distance.call_count == 1 + 50
    frechet_distance(np.ones((3, 512)), np.ones((3, 512)))
    assert distance.call_count == 1 + 50 + 1 + 10


@pytest.mark.parametrize("replicates", [0, 1])
def test_without_replicates_there_is_no_interval(replicates):
    """Without a bootstrap there is a distance, but no interval."""
    estimate = frechet_distance(gaussian(0), gaussian(1), replicates=replicates)
    assert estimate.value > 0
    assert math.isnan(estimate.low)
    assert math.isnan(estimate.high)


def test_tensors_and_arrays():
    """Tensors on a graph and arrays are answered alike."""
    x, y = gaussian(0), gaussian(1)
    tensors = torch.from_numpy(x).requires_grad_(), torch.from_numpy(y)
    assert frechet_distance(*tensors) == frechet_distance(x, y)


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_images(n):
    """One image has no covariance: there is no distance, on either side."""
    few, many = frechet_distance(gaussian(0, n), gaussian(1)), frechet_distance(gaussian(1), gaussian(0, n))
    assert few.n == n
    assert many.n == 200
    assert all(map(math.isnan, (*few[:3], *many[:3])))


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_features_are_numbers(wrong):
    """NaN and infinity are refused, on either side."""
    bad = gaussian(0)
    bad[3, 3] = wrong
    with pytest.raises(ValueError, match="features hold"):
        frechet_distance(bad, gaussian(1))
    with pytest.raises(ValueError, match="reference hold"):
        frechet_distance(gaussian(1), bad)


def test_features_are_matrices_of_one_network():
    """Feature maps, and features of two widths, are refused."""
    with pytest.raises(ValueError, match="must be"):
        frechet_distance(torch.zeros(5, 4, 1, 1), torch.zeros(5, 4))
    with pytest.raises(ValueError, match="different networks"):
        frechet_distance(torch.zeros(5, 4), torch.zeros(5, 3))


# -- split -------------------------------------------------------------------------------------------------------------


def test_split_does_not_reward_copies():
    """Answers that repeat their queries are at no Fréchet distance, but as far in split as two sets of real images."""
    x, other = gaussian(0, 400), gaussian(0, 800)[400:]
    assert value(x, x) == pytest.approx(0, abs=1e-6)
    halves = [value(x[:200], other[:200]), value(x[200:], other[200:])]
    assert split_distance(x, x).value == pytest.approx(np.mean(halves), rel=0.5)


def test_split_is_the_distance_of_halves():
    """Of many images it is the ordinary distance of the two sets, which no choice of halves changes much."""
    x, y = gaussian(0, 4000), gaussian(1, 4000) + 1
    assert split_distance(x, y).value == pytest.approx(value(x, y), rel=0.02)


def test_no_answer_meets_its_own_query():
    """In each split the answers of one half stand against the queries of the other."""
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("metrics.frechet._distance", lambda x, y: seen.append((set(x[:, 0]), set(y[:, 0]))) or 1.0)
        rows = np.arange(21.0)[:, None]
        split_distance(rows, rows, replicates=0)
    assert len(seen) == 10
    assert len({frozenset(x) for x, _ in seen}) == 10
    assert all(not x & y and len(x | y) == 21 for x, y in seen)


def test_split_interval_is_of_one_split():
    """The interval is as wide as that of the distance of two sets of half as many images."""
    x, y = gaussian(0, 400), gaussian(1, 400)
    split, half = split_distance(x, y), frechet_distance(x[:200], y[200:])
    assert split.high - split.value == pytest.approx(half.high - half.value, rel=0.5)
    assert split.n == 400


@pytest.mark.parametrize("n", [1, 3])
def test_too_few_to_split(n):
    """A half of one image has no covariance: there is no distance."""
    assert all(map(math.isnan, split_distance(gaussian(0, n), gaussian(1, n))[:3]))


def test_answers_belong_to_queries():
    """Another number of answers than of queries is refused."""
    with pytest.raises(ValueError, match="an answer to every query"):
        split_distance(gaussian(0, 9), gaussian(1, 8))
