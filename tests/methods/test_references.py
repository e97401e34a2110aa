import numpy as np
import pytest
import torch
from torch import nn

from benchmark.data import ImageData, Subset
from methods.references import NearestUnlike, NearestUnlikeConfig, Null, NullConfig
from methods.training import Trainer

SHAPE = (1, 5, 4)
RELAXATIONS = (0.0, 0.3, 1.0)


class _Brightness(nn.Module):
    """Sees a picture's mean brightness in thirds; nothing looks like the fourth class to it."""

    class_count = 4

    def forward(self, images):
        return self.head(self.features(images))

    def features(self, images):
        return images.flatten(1).mean(1, keepdim=True)

    def head(self, features):
        return -(features - torch.tensor([0.17, 0.5, 0.83, 9.0])).square()


def pictures(count, seed):
    random = np.random.default_rng(seed)
    shades = np.clip(random.uniform(0, 255, (count, 1, 1, 1)) + random.normal(0, 20, (count, *SHAPE)), 0, 255)
    return ImageData("pictures", shades.astype(np.uint8), np.zeros(count, np.int64), ("none",), "")


TRAINING = Subset(pictures(90, 0), np.random.default_rng(1).permutation(90)[:70])
IMAGES = pictures(12, 2).batch(slice(None))
TARGET = (_Brightness()(IMAGES).argmax(1) + 1 + torch.arange(12) % 2) % 3


def nearest_unlike(bank):
    method = NearestUnlike(NearestUnlikeConfig(bank=bank))
    return method.fit(TRAINING, _Brightness(), trainer=Trainer(0))


def test_null_changes_nothing():
    """The null reference answers every question with the query itself."""
    method = Null(NullConfig()).fit(TRAINING, _Brightness(), trainer=Trainer(0))
    answers = method.explain(IMAGES, TARGET, RELAXATIONS).images
    assert all(torch.equal(answer, IMAGES) for answer in answers)
    assert torch.equal(method.reconstruct(IMAGES), IMAGES)


@pytest.mark.parametrize("bank", [70, 1000])
def test_nearest_is_found(bank):
    """At r = 0 the answer is the training image of the target class with the least squared distance."""
    method, candidates = nearest_unlike(bank), TRAINING.batch(slice(None))
    seen = _Brightness()(candidates).argmax(1)
    answers = method.explain(IMAGES, TARGET, [0.0]).images[0]
    for image, wanted, answer in zip(IMAGES, TARGET, answers, strict=True):
        distances = [float(((image - other) ** 2).sum()) for other in candidates[seen == wanted]]
        assert torch.equal(answer, candidates[seen == wanted][int(np.argmin(distances))])


@pytest.mark.parametrize("bank", [9, 70, 1000])
def test_answers_are_of_the_target_class(bank):
    """At r = 0 the classifier sees the target class in every answer."""
    answers = nearest_unlike(bank).explain(IMAGES, TARGET, [0.0]).images[0]
    assert torch.equal(_Brightness()(answers).argmax(1), TARGET)


@pytest.mark.parametrize("bank", [1, 9, 70])
def test_bank_is_spread_evenly(bank):
    """A bank holds as many different training images as asked for, in steps that differ by one at most."""
    rows = nearest_unlike(bank).network.images
    candidates = (TRAINING.batch(slice(None)) * 255).round().to(torch.uint8)
    places = [int((candidates == row).flatten(1).all(1).nonzero()[0, 0]) for row in rows]
    assert places[0] == 0
    if bank > 1:
        assert places[-1] == len(TRAINING) - 1
        assert 0 < np.diff(places).min() >= np.diff(places).max() - 1


def test_relaxation_blends():
    """Answers lie on the straight line from the query, at r = 1, to the nearest unlike image, at r = 0."""
    method = nearest_unlike(70)
    (far,), (near,) = (method.explain(IMAGES, TARGET, [r]).images for r in (0.0, 1.0))
    assert torch.equal(near, IMAGES)
    for r in (0.1, 0.5, 0.75):
        (between,) = method.explain(IMAGES, TARGET, [r]).images
        torch.testing.assert_close(between, far + r * (IMAGES - far))
    assert torch.equal(method.reconstruct(IMAGES), IMAGES)


def test_missing_class_is_answered_with_the_query():
    """Where no training image looks like the target class, the query is returned at every relaxation."""
    target = TARGET.clone()
    target[::2] = 3
    answers = nearest_unlike(70).explain(IMAGES, target, RELAXATIONS)
    for image in answers.images:
        torch.testing.assert_close(image[::2], IMAGES[::2])
    assert (answers.images[0, 1::2] != IMAGES[1::2]).flatten(1).any(1).all()
    assert torch.equal(answers.intervention["bank_row"] == -1, target == 3)
