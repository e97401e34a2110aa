"""The discriminator's view of small data sets, and doublings without checkerboards."""

import pytest
import torch

from methods.gan_search.augmentation import BRIGHTNESS, SHIFT, augmented, shifted
from methods.nn import Doubling


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def test_a_shift_moves_each_image_by_its_own_pixels():
    """Each row and column of the answer is the image's own, so many pixels away; beyond the edge it repeats."""
    images = torch.rand(3, 2, 5, 7)
    down, across = torch.tensor([0, 2, -1]), torch.tensor([0, -3, 1])
    moved = shifted(images, down, across)
    for image, answer, dy, dx in zip(images, moved, down.tolist(), across.tolist(), strict=True):
        for y in range(5):
            for x in range(7):
                source = image[:, min(max(y - dy, 0), 4), min(max(x - dx, 0), 6)]
                assert torch.equal(answer[:, y, x], source)


def test_an_even_image_only_becomes_brighter_or_darker():
    """Without content there is neither contrast nor place: one intensity stays one, at most `BRIGHTNESS` away."""
    even = torch.full((50, 3, 20, 20), 0.5)
    seen = augmented(even)
    assert torch.allclose(seen, seen[:, :1, :1, :1].expand_as(seen), atol=1e-6)
    change = (seen - even)[:, 0, 0, 0]
    assert BRIGHTNESS / 2 < change.abs().max() <= BRIGHTNESS
    assert len(change.unique()) == 50


def test_augmented_images_pass_gradients_to_all_pixels_that_stay():
    """A generator learns from what the discriminator says of the augmented image."""
    images = torch.rand(4, 1, 30, 30, requires_grad=True)
    augmented(images).sum().backward()
    inner = images.grad[:, :, int(30 * SHIFT) : -int(30 * SHIFT), int(30 * SHIFT) : -int(30 * SHIFT)]
    assert (inner.abs() > 0).all()


@pytest.mark.parametrize(("resized", "even"), [(True, True), (False, False)])
def test_resized_doublings_draw_no_checkerboard(resized, even):
    """Even features become an even image, edges apart; by a transposed convolution they do not."""
    layer = Doubling(3, 2, (13, 9), last=True, resized=resized)
    drawn = layer(torch.ones(1, 3, 7, 5))
    assert drawn.shape == (1, 2, 13, 9)
    inner = drawn[0, :, 2:-2, 2:-2]
    assert torch.allclose(inner, inner[:, :1, :1].expand_as(inner), atol=1e-6) == even
