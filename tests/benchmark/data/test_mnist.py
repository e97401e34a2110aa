import numpy as np
import pytest

from benchmark.data import Source, digest_of, load


@pytest.fixture(scope="module")
def mnist():
    return load("mnist", Source())


def test_shapes_and_types(mnist):
    """The data set is 5,000 grey images of 28 x 28 bytes with 500 labels of each of ten classes."""
    assert mnist.name == "mnist"
    assert mnist.images.shape == (5000, 1, 28, 28)
    assert mnist.images.dtype == np.uint8
    assert mnist.labels.dtype == np.int64
    assert np.bincount(mnist.labels).tolist() == [500] * 10
    assert mnist.class_names == tuple("0123456789")
    assert not mnist.official


def test_whole_range_of_grey(mnist):
    """Pixels use the bytes from 0 to 255, so that a batch fills [0, 1]."""
    assert (mnist.images.min(), mnist.images.max()) == (0, 255)
    batch = mnist.batch(np.arange(0, 5000, 500))
    assert (batch.min(), batch.max()) == (0, 1)


def test_images_are_digits(mnist):
    """An image resembles the mean of its own class more often than those of the nine others together."""
    flat = mnist.images.reshape(5000, -1).astype(np.float64)
    means = np.stack([flat[mnist.labels == digit].mean(axis=0) for digit in range(10)])
    distances = (flat**2).sum(axis=1)[:, None] - 2 * flat @ means.T + (means**2).sum(axis=1)
    assert (distances.argmin(axis=1) == mnist.labels).mean() > 0.75


def test_deterministic(mnist):
    """Two loads have one digest."""
    assert load("mnist", Source()).digest == mnist.digest


def test_digest_covers_pixels(mnist):
    """The digest is that of the images, labels and names, so another pixel is another digest."""
    names = "\n".join(mnist.class_names)
    changed = mnist.images.copy()
    changed[0, 0, 0, 0] ^= 1
    assert digest_of(mnist.images, mnist.labels, names) == mnist.digest
    assert digest_of(changed, mnist.labels, names) != mnist.digest
