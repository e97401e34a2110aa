import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metrics.likelihood import bits_per_dim, kl, nll

NATS = st.lists(st.tuples(st.floats(-1e5, 1e5), st.floats(0, 1e4)), min_size=1, max_size=20)


@pytest.mark.parametrize(("distortion", "rate", "published"), [(-103610, 732.5, 5.03), (-104155, 746.9, 5.01)])
def test_published_bits(distortion, rate, published):
    """NLL and KL of VAEX's Table I give the bits per dimension that it prints."""
    estimate = bits_per_dim(torch.tensor([distortion]), torch.tensor([rate]), 3 * 129**2)
    assert round(estimate.value, 2) == published


def test_uniform_density_spends_eight_bits():
    """The uniform density on [0, 1] knows nothing and spends eight bits on every dimension."""
    assert bits_per_dim(torch.zeros(5), torch.zeros(5), 784) == (8, 8, 8, 5)


def test_certainty_spends_no_bits():
    """A density that gives each image's own cell all its mass, 256 on each dimension, spends no bits."""
    certain = torch.full((5,), -100 * math.log(256), dtype=torch.float64)
    assert bits_per_dim(certain, torch.zeros(5), 100).value == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("metric", [nll, kl])
def test_mean_nats(metric):
    """NLL and KL are means over the images."""
    estimate = metric(torch.tensor([1.0, 2.0, 6.0]))
    assert estimate.value == 3
    assert estimate.low < 3 < estimate.high
    assert estimate.n == 3


@given(NATS, st.integers(1, 50_000))
def test_bits_are_the_mean_nats_in_bits(images, dimensions):
    """Bits per dimension follow from mean NLL and mean KL."""
    distortion, rate = torch.tensor(images, dtype=torch.float64).unbind(1)
    nats = nll(distortion).value + kl(rate).value
    expected = nats / math.log(2) / dimensions + 8
    assert bits_per_dim(distortion, rate, dimensions).value == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_one_image_has_no_interval():
    """One image has bits, but no interval."""
    estimate = bits_per_dim(torch.zeros(1), torch.zeros(1), 784)
    assert (estimate.value, estimate.n) == (8, 1)
    assert math.isnan(estimate.low)
    assert math.isnan(estimate.high)


def test_no_image_has_no_likelihood():
    """Over no images there is no number."""
    none = torch.zeros(0)
    for estimate in (nll(none), kl(none), bits_per_dim(none, none, 784)):
        assert estimate.n == 0
        assert math.isnan(estimate.value)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_diverged_models_are_refused(wrong):
    """The NaN of a diverged model is an error."""
    bad, good = torch.tensor([0.0, wrong]), torch.zeros(2)
    for call in (lambda: nll(bad), lambda: kl(bad), lambda: bits_per_dim(good, bad, 784)):
        with pytest.raises(ValueError, match="NaN or infinite"):
            call()


def test_lengths_must_agree():
    """One KL for three NLL is refused, not broadcast."""
    with pytest.raises(ValueError, match="differ in shape"):
        bits_per_dim(torch.zeros(3), torch.zeros(1), 784)


def test_an_image_has_dimensions():
    """No dimensions are refused before they divide."""
    with pytest.raises(ValueError, match="at least one dimension"):
        bits_per_dim(torch.zeros(3), torch.zeros(3), 0)
