import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from benchmark.judges.corruptions import contrast, corrupted, gaussian_blur, gaussian_noise, named, strongest

SHAPES = [(5, 1, 28, 28), (4, 3, 20, 31), (1, 1, 3, 2), (0, 3, 8, 8)]


def pictures(shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def sigmas(*values):
    return torch.tensor(values)


@pytest.mark.parametrize("name", named(1))
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_pictures_stay_pictures(shape, name):
    """Under each corruption an image keeps its shape and its range, also one of a batch of none."""
    images = pictures(shape)
    seen = named(shape[1])[name](images)
    assert seen.shape == images.shape
    assert seen.dtype == images.dtype
    assert torch.all((seen >= 0) & (seen <= 1 + 1e-6))


@pytest.mark.parametrize("name", named(1))
def test_tests_repeat(name):
    """A judge is tested under the very same pictures each time."""
    images = pictures(SHAPES[0])
    assert torch.equal(named(1)[name](images), named(1)[name](images))


@pytest.mark.parametrize("kind", ["Gaussian noise", "Gaussian blur", "contrast"])
def test_full_strength_changes_more(kind):
    """A corruption at its full strength moves every image farther than at half of it."""
    images = pictures(SHAPES[0])
    half, full = ((named(1)[f"{kind}, {words}"](images) - images).square().flatten(1).mean(1) for words in HALVES)
    assert (half > 0).all()
    assert (half < full).all()


HALVES = ("half", "full")


@pytest.mark.parametrize("sigma", [0.5, 1.3, 2.2])
def test_blur_is_scipys(sigma):
    """The blur is SciPy's Gaussian filter, with weights outside the image left out and the others scaled up."""
    images = pictures((3, 2, 28, 21))
    ours = gaussian_blur(images, sigmas(sigma, sigma, sigma))
    kept = {"sigma": (0, 0, sigma, sigma), "mode": "constant", "truncate": 20}
    inside = gaussian_filter(np.ones(images.shape), **kept)
    theirs = gaussian_filter(images.double().numpy(), **kept) / inside
    torch.testing.assert_close(ours.double(), torch.from_numpy(theirs), atol=1e-5, rtol=0)


def test_each_image_has_its_own_blur():
    """A batch is blurred as its images one by one, and a σ of 0 leaves an image as it is."""
    images, sigma = pictures((3, 1, 9, 9)), sigmas(0.0, 0.7, 2.0)
    seen = gaussian_blur(images, sigma)
    assert torch.equal(seen[0], images[0])
    for place in range(3):
        torch.testing.assert_close(seen[place], gaussian_blur(images[place : place + 1], sigma[place : place + 1])[0])


def test_blurs_add_up():
    """Away from the border two blurs are one, whose variance is the sum of theirs."""
    point = torch.zeros(1, 1, 61, 61)
    point[..., 30, 30] = 1
    twice = gaussian_blur(gaussian_blur(point, sigmas(1.5)), sigmas(2.0))
    torch.testing.assert_close(twice, gaussian_blur(point, sigmas(2.5)), atol=1e-5, rtol=0)


@given(st.floats(0, 1))
def test_contrast_keeps_the_mean(factor):
    """Contrast scales what differs from an image's mean, and only that."""
    images = pictures((4, 3, 6, 5))
    seen = contrast(images, factor)
    means = images.mean((1, 2, 3), keepdim=True)
    torch.testing.assert_close(seen.mean((1, 2, 3), keepdim=True), means)
    torch.testing.assert_close(seen - means, factor * (images - means))


def test_noise_has_its_deviation():
    """Where it is not cut off, noise has mean 0 and the deviation that was asked for, and none leaves all as it is."""
    grey = torch.full((50, 1, 28, 28), 0.5)
    noise = gaussian_noise(grey, 0.1, torch.Generator().manual_seed(0)) - grey
    assert noise.std().item() == pytest.approx(0.1, rel=0.02)
    assert noise.mean().item() == pytest.approx(0, abs=0.002)
    assert torch.equal(gaussian_noise(grey, 0.0), grey)


@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_flat_images_stay_flat_without_noise(value):
    """Blur and contrast leave an image of one colour as it is, so that no border is painted in."""
    flat = torch.full((2, 3, 11, 14), value)
    torch.testing.assert_close(gaussian_blur(flat, sigmas(0.8, 3.0)), flat)
    torch.testing.assert_close(contrast(flat, 0.4), flat)


def test_training_sees_clean_and_corrupted_images():
    """Each image is corrupted in its own way, no more than the strongest, and about an eighth not at all."""
    image = pictures((1, 1, 12, 12))
    torch.manual_seed(0)
    seen = corrupted(image.expand(800, -1, -1, -1))
    same = (seen - image).abs().flatten(1).amax(1) < 1e-6
    assert 0.08 < same.double().mean() < 0.18
    assert len(seen[~same].unique(dim=0)) == 800 - int(same.sum())
    assert seen.min() >= 0
    assert seen.max() <= 1


def test_training_can_be_milder():
    """Corruptions of half the strength move images less, and of none not at all."""
    images = pictures((200, 1, 12, 12))
    moved = []
    for strength in (0.0, 0.5, 1.0):
        torch.manual_seed(0)
        moved.append((corrupted(images, strength) - images).abs().mean().item())
    assert moved[0] == pytest.approx(0, abs=1e-6)
    assert moved[0] < moved[1] < moved[2]


def test_faces_are_blurred_less():
    """What is asked of images in colour is no more than of grey ones."""
    assert all(one <= other for one, other in zip(strongest(3)[:2], strongest(1)[:2], strict=True))
