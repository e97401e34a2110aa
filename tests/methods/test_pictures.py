import pytest
import torch

from methods.base import in_batches
from methods.pictures import Pictures, eight_bit, unit


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.01, 1.01])
def test_no_picture_is_refused(value):
    """What is not finite or leaves [0, 1] by more than rounding is no picture."""
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        eight_bit(torch.tensor([0.5, value]))


def test_eight_bit_keeps_levels():
    """The 256 levels come back as themselves, also from values that rounding put just outside [0, 1]."""
    levels = torch.arange(256)
    assert torch.equal(eight_bit(levels / 255), levels.to(torch.uint8))
    assert torch.equal(eight_bit(unit(levels.to(torch.uint8))), levels.to(torch.uint8))
    assert eight_bit(torch.tensor([-1e-6, 1 + 1e-6])).tolist() == [0, 255]


@pytest.mark.parametrize("count", [0, 1, 64, 150])
def test_batches_change_nothing(count):
    """A function of many pictures in batches is the function of all of them at once, also of none."""
    levels = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 2, 3)
    means = in_batches(lambda images: images.mean((1, 2, 3)), Pictures(levels), torch.device("cpu"))
    assert torch.equal(means, unit(levels).mean((1, 2, 3)))
