"""Kinds of pictures that a generator keeps."""

import math

import pytest
import torch

from metrics.modes import modes_kept

CENTRES = torch.rand(10, 3, 12, 9, generator=torch.Generator().manual_seed(5))
"""Ten kinds of pictures."""


def pictures(kinds, count, seed, spread=0.02):
    """`count` pictures of some of the ten kinds, all equally frequent."""
    draws = torch.Generator().manual_seed(seed)
    chosen = torch.tensor(kinds)[torch.arange(count) % len(kinds)]
    return (CENTRES[chosen] + spread * torch.randn(count, *CENTRES.shape[1:], generator=draws)).clamp(0, 1)


REALS = pictures(range(10), 1000, seed=1)


@pytest.mark.parametrize("kept", [10, 7, 3, 1])
def test_share_of_kinds_that_are_drawn(kept):
    """Of ten kinds that are equally frequent each one that is drawn counts a tenth."""
    found = modes_kept(pictures(range(kept), 300, seed=2), REALS)
    assert found.value == pytest.approx(kept / 10, abs=0.1)
    assert found.n == 300


def test_real_pictures_keep_nearly_all():
    """Other real pictures are of all kinds, but perhaps of none that is a few odd pictures."""
    assert modes_kept(pictures(range(10), 400, seed=3), REALS).value > 0.95


@pytest.mark.parametrize("count", [200, 613, 750, 997])
def test_all_kinds_are_a_whole(count):
    """Where every kind is drawn the share is 1, to the last digit."""
    reals = pictures(range(10), count, seed=1)
    assert modes_kept(reals, reals).value == 1


def test_one_picture_over_and_over():
    """A generator that draws one picture keeps one cluster of twenty."""
    assert modes_kept(REALS[:1].expand(200, -1, -1, -1), REALS).value < 0.12


def test_order_and_repetition_do_not_matter():
    """The same pictures in another order, or all of them twice, have the same value."""
    some = pictures(range(4), 100, seed=4)
    value = modes_kept(some, REALS).value
    assert modes_kept(some.flip(0), REALS).value == value
    assert modes_kept(torch.cat([some, some]), REALS).value == value


@pytest.mark.parametrize(("samples", "reals"), [(0, 100), (100, 19), (100, 0)])
def test_too_few_pictures_have_no_value(samples, reals):
    """No samples, or too few real pictures for two clusters."""
    assert math.isnan(modes_kept(REALS[:samples], REALS[:reals]).value)


def test_large_pictures_are_made_small():
    """Pictures enlarged by whole factors beyond 32 pixels are compared as before."""
    some, reals = (torch.rand(n, 1, 32, 32, generator=torch.Generator().manual_seed(n)) for n in (60, 300))
    large, large_reals = (each.repeat_interleave(3, 2).repeat_interleave(3, 3) for each in (some, reals))
    assert modes_kept(large, large_reals).value == modes_kept(some, reals).value


@pytest.mark.parametrize("shape", [(1, 12, 9), (3, 9, 12), (3, 12, 10), (12, 3, 9)])
def test_pictures_of_another_shape_are_refused(shape):
    """Also where as many numbers describe them, so that a comparison would have a value."""
    for count in (0, 30):
        with pytest.raises(ValueError, match="differ in shape"):
            modes_kept(torch.rand(count, *shape), REALS)


def test_gradients_do_not_matter():
    """Samples straight from a generator that is still learning have the same value."""
    some = pictures(range(4), 100, seed=4)
    assert modes_kept(some.clone().requires_grad_(), REALS).value == modes_kept(some, REALS).value
