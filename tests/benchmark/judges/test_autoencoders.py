import numpy as np
import pytest
import torch

from benchmark.data import ImageData, Subset
from benchmark.judges.autoencoders import Autoencoder, AutoencoderConfig, Autoencoders, train_autoencoders
from methods.training import Trainer

pytestmark = pytest.mark.slow  # autoencoders are trained for these tests

CONFIG = AutoencoderConfig(channels=(4, 8), code=4, epochs=20, batch_size=16)


def stripes(n=128, side=9):
    """Images of two classes: a row, or a column, is white."""
    random = np.random.default_rng(0)
    labels = random.integers(2, size=n)
    images = np.zeros((n, 1, side, side), dtype=np.uint8)
    for image, label, at in zip(images, labels, random.integers(side, size=n), strict=True):
        image[0][(at, slice(None)) if label else (slice(None), at)] = 255
    return Subset(ImageData("stripes", images, labels, ("column", "row"), digest="d"), np.arange(n))


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(0)
    return train_autoencoders(CONFIG, stripes(), 2, Trainer(0))


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 13, 10), (1, 1, 1)])
def test_shape_and_range(shape):
    """Whatever the sides, what is restored has the shape of the image and lies in [0, 1]."""
    images = torch.rand(3, *shape)
    restored = Autoencoder(CONFIG, shape)(images)
    assert restored.shape == images.shape
    assert ((restored >= 0) & (restored <= 1)).all()


def test_each_class_knows_its_own(trained):
    """An autoencoder restores images of its class better than that of the other class does."""
    data = stripes()
    images = data.batch(torch.arange(len(data)))
    errors = torch.stack([(part(images) - images).square().flatten(1).sum(1) for part in trained.parts])  # (3, N)
    for label in (0, 1):
        here = data.labels == label
        assert errors[label, here].mean() < 0.8 * errors[1 - label, here].mean()


def test_batch_does_not_matter(trained):
    """An image is restored alike alone and among others."""
    images = torch.rand(5, 1, 9, 9, generator=torch.Generator().manual_seed(0))
    for part in trained.parts:
        torch.testing.assert_close(part(images)[:1], part(images[:1]))


def test_a_class_learns_from_its_own_images_alone():
    """The gradient of a class's autoencoder is that of its own images; a class that is absent gets none."""
    torch.manual_seed(0)
    network = Autoencoders(CONFIG, (1, 9, 9), 3)
    images, labels = torch.rand(4, 1, 9, 9), torch.tensor([0, 0, 1, 1])

    def gradient(part):
        network.zero_grad()
        network.losses(images, labels)["loss"].backward()
        return [parameter.grad for parameter in network.parts[part].parameters()]

    before = [value.clone() for value in gradient(0)]
    images = torch.cat([images[:2], torch.rand(2, 1, 9, 9)])
    torch.testing.assert_close(gradient(0), before)
    assert all(value is None for value in gradient(2))


def test_same_seed_same_weights(trained):
    """The same seed trains the same autoencoders."""
    torch.manual_seed(0)
    again = train_autoencoders(CONFIG, stripes(), 2, Trainer(0))
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in trained.state_dict().items())
