import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metrics.plausibility import EPSILON, im1, im2


def images(seed, n=4):
    return torch.rand(n, 1, 5, 4, generator=torch.Generator().manual_seed(seed))


def test_perfect():
    """An answer that its target's autoencoder restores exactly has IM1 0; where all agree, IM2 is 0."""
    x = images(0)
    assert im1(x, x, images(1)).value == 0
    assert im2(x, images(1), images(1)).value == 0


def test_useless():
    """An answer that only the old class's autoencoder restores has an IM1 far above 1."""
    x = images(0)
    assert im1(x, images(1), x).value > 100


def test_unbiased_judges():
    """Where both restore an answer alike, IM1 is 1 but for the constant in its denominator."""
    x, restored = images(0), images(1)
    error = (x - restored).double().square().flatten(1).sum(1)
    assert im1(x, restored, restored).value == pytest.approx((error / (error + EPSILON)).mean().item())


@given(st.integers(0, 1000))
def test_hand_computed(seed):
    """Both are the means of the papers' ratios, computed one image at a time."""
    x, target, own, both = (images(seed + i) for i in range(4))
    rows = list(zip(x, target, own, both, strict=True))
    first = [((a - b) ** 2).sum() / (((a - c) ** 2).sum() + EPSILON) for a, b, c, _ in rows]
    second = [((b - d) ** 2).sum() / (a.abs().sum() + EPSILON) for a, b, _, d in rows]
    assert im1(x, target, own).value == pytest.approx(sum(first).item() / 4, rel=1e-4)
    assert im2(x, target, both).value == pytest.approx(sum(second).item() / 4, rel=1e-4)


def test_black_answers_are_finite():
    """A black answer, whose L1 is 0, has finite values."""
    black = torch.zeros(3, 1, 5, 4)
    assert im1(black, black, black).value == 0
    assert im2(black, images(0, 3), images(1, 3)).value < 20 / EPSILON


@pytest.mark.parametrize("metric", [im1, im2])
def test_malformed_images_are_refused(metric):
    """Bytes, vectors and other shapes are refused, not broadcast."""
    with pytest.raises(ValueError, match="differ in shape"):
        metric(images(0), images(1, n=1), images(2))
    with pytest.raises(ValueError, match="must be float"):
        metric(*[torch.zeros(2, 1, 3, 3, dtype=torch.uint8)] * 3)
