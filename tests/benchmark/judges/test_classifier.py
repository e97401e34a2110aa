from typing import get_args

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from benchmark.data import ImageData, Subset
from benchmark.jobs.settings import CLASSIFIER, ORACLES
from benchmark.judges.classifier import ClassifierConfig, ConvClassifier, MaxPool, train
from benchmark.names import PRESETS
from methods.base import Layer
from methods.training import Trainer

SMALL = {"channels": (4, 8), "features": 12}
SHAPES = [(1, 28, 28), (3, 20, 26), (3, 33, 17), (2, 5, 7)]


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def network(shape=(1, 28, 28), classes=4, **changes):
    torch.manual_seed(0)
    return ConvClassifier(ClassifierConfig(**{**SMALL, **changes}), shape, classes).eval()


def pictures(shape, count=5):
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(1))


def bars(count, seed, shape=(1, 16, 16)):
    """Noise with a bright bar that lies in one class and stands in the other."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 90, (count, *shape), dtype=np.uint8)
    labels = np.arange(count) % 2
    for image, label in zip(images, labels, strict=True):
        place = random.integers(5, 9)
        image[(slice(None), slice(place, place + 3)) if label else (..., slice(place, place + 3))] += 120
    data = ImageData("bars", images, labels, ("standing", "lying"), f"{seed}")
    return Subset(data, random.permutation(count))


@pytest.fixture(scope="module")
def trained():
    config = ClassifierConfig(**SMALL, epochs=4, batch_size=16, learning_rate=0.01)
    torch.manual_seed(0)
    return train(config, bars(256, seed=0), 2, Trainer(seed=1))


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 17, 23), (3, 64, 48), (1, 20, 64)], ids=str)
@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("section", [CLASSIFIER, *ORACLES.values()])
def test_every_preset_takes_any_size(section, preset, shape):
    """Odd, small and oblong images are classified under every preset, by either judge."""
    classifier = ConvClassifier(section.resolved(preset, {}, shape[0]), shape, 3).eval()
    assert classifier(pictures(shape)).shape == (5, 3)


@pytest.mark.parametrize("layer", get_args(Layer))
@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("kernel_size", [3, 5])
@pytest.mark.parametrize("shape", SHAPES)
def test_head_of_features(shape, kernel_size, pooling, layer):
    """At every layer the logits of an image of any size are the head of its features, as long as it says they are."""
    classifier, images = network(shape, pooling=pooling, kernel_size=kernel_size), pictures(shape)
    features = classifier.features(images, layer)
    assert features.shape == (5, classifier.feature_counts[layer])
    assert torch.equal(classifier.head(features, layer), classifier(images))
    assert classifier(images).shape == (5, 4)


def test_layers_are_what_they_are_called():
    """By default φ is the first fully connected layer's; the convolutional block's is what passed its ReLU."""
    classifier, images = network(), pictures((1, 28, 28))
    assert classifier.features(images).shape == (5, 12)
    assert torch.equal(classifier.features(images), classifier.features(images, "fully connected"))
    maps = classifier.features(images, "convolutional")
    assert maps.shape == (5, 8 * 7 * 7)
    assert maps.min() == 0


@pytest.mark.parametrize("gradient", [True, False])
@pytest.mark.parametrize("sides", [(28, 28), (65, 65), (33, 8), (3, 2)])
def test_max_pooling_is_pytorchs(sides, gradient):
    """The pooling is that of PyTorch, on odd sides, among ties and with what is not a number."""
    images = torch.randn(4, 3, *sides, generator=torch.Generator().manual_seed(1)).round()
    images[0, 0, 1, 1] = torch.nan
    with torch.set_grad_enabled(gradient):
        ours = MaxPool()(images)
    assert torch.equal(ours.nan_to_num(99), torch.nn.functional.max_pool2d(images, 2).nan_to_num(99))
    assert ours[0, 0, 0, 0].isnan()


@pytest.mark.parametrize("count", [1, 0])
def test_small_batches(count):
    """One image is seen as in a larger batch, and none at all as nothing."""
    classifier, images = network(), pictures((1, 28, 28))
    torch.testing.assert_close(classifier(images[:count]), classifier(images)[:count])


@pytest.mark.parametrize("channels", [(4,) * 4, (4,) * 8])
def test_more_convolutions_than_halvings(channels):
    """An image may be smaller than the convolutions could halve."""
    assert network((1, 5, 9), channels=channels)(pictures((1, 5, 9))).shape == (5, 4)


@pytest.mark.parametrize("shape", SHAPES)
def test_no_augmentation(shape):
    """Augmentation by nothing leaves images as they are."""
    images = pictures(shape)
    torch.testing.assert_close(network(shape, rotation=0, zoom=0, shift=0)._augmented(images), images)


@pytest.mark.parametrize("change", ["rotation", "zoom", "shift"])
@pytest.mark.parametrize("shape", SHAPES)
def test_augmentation(change, shape):
    """Each kind of augmentation moves every image in its own way, within its shape and range of values."""
    images = pictures(shape, 1).expand(6, -1, -1, -1)
    ranges = {"rotation": 0, "zoom": 0, "shift": 0, change: {"rotation": 30, "zoom": 0.2, "shift": 0.2}[change]}
    torch.manual_seed(0)
    moved = network(shape, **ranges)._augmented(images)
    assert moved.shape == images.shape
    assert images.min() - 1e-6 <= moved.min() <= moved.max() <= images.max() + 1e-6
    assert len(torch.unique(moved, dim=0)) == 6
    assert ((moved - images).abs().flatten(1).max(1).values > 1e-3).all()


@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_augmentation_keeps_flat_images(value):
    """An image of one colour stays one, so that no border is painted in."""
    images = torch.full((4, 3, 11, 14), value)
    torch.testing.assert_close(network((3, 11, 14), rotation=40, zoom=0.3, shift=0.3)._augmented(images), images)


@pytest.mark.parametrize("shape", [(1, 41, 41), (1, 31, 61)])
def test_rotation_is_rigid(shape):
    """A rotation leaves a disc in the middle a disc, also where an image is not square."""
    _, height, width = shape
    down, across = torch.meshgrid(torch.arange(height) - height // 2, torch.arange(width) - width // 2, indexing="ij")
    disc = torch.sigmoid(10 - (down**2 + across**2).sqrt()).expand(8, 1, -1, -1)
    torch.manual_seed(0)
    moved = network(shape, rotation=45, zoom=0, shift=0)._augmented(disc)
    assert (moved - disc).abs().max() < 0.06


def test_trains_above_chance(trained):
    """On classes that are easy to tell apart, nearly all new images are named rightly."""
    new = bars(200, seed=5)
    assert (trained(new.batch(slice(None))).argmax(1) == new.labels).float().mean() > 0.9


def test_trained_classifier_is_frozen(trained):
    """Training returns a network in evaluation mode whose weights take no gradients, but whose input does."""
    assert not any(module.training for module in trained.modules())
    assert not any(value.requires_grad for value in trained.parameters())
    images = bars(4, seed=6).batch(slice(None)).requires_grad_()
    trained(images).sum().backward()
    assert images.grad is not None
    assert images.grad.any()


def test_training_is_repeatable(trained):
    """The same seeds give the same classifier."""
    torch.manual_seed(0)
    other = train(trained.config, bars(256, seed=0), 2, Trainer(seed=1)).state_dict()
    assert all(torch.equal(value, other[name]) for name, value in trained.state_dict().items())


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("channels", [1, 3])
def test_oracles_are_other_architectures(preset, channels):
    """The layers of the investigated classifier and of each oracle differ in pairs, and not only in training."""
    configs = [section.resolved(preset, {}, channels) for section in (CLASSIFIER, *ORACLES.values())]
    built = [ConvClassifier(config, (channels, 33, 33), 2) for config in configs]
    assert len({tuple(value.shape for value in network.parameters()) for network in built}) == len(configs)
    assert [config.corruptions for config in configs] == [False, True, True, True]


def test_settings_are_frozen_and_documented():
    """A classifier's settings have defaults and descriptions, cannot be changed, and refuse what is unknown."""
    config = ClassifierConfig()
    assert [name for name, facts in ClassifierConfig.model_fields.items() if not facts.description] == []
    with pytest.raises(ValidationError, match="frozen"):
        config.epochs = 3
    with pytest.raises(ValidationError, match="unheard_of"):
        ClassifierConfig(unheard_of=1)
