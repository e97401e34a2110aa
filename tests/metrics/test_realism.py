import math

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from metrics.realism import NEAREST, TAIL, coverage, density, realism_beyond, realism_quantile

CLASSES, FEATURES = 3, 4


def drawn(count, seed, spread=1.0, shift=0.0):
    """Features of pictures of three classes far apart, and their classes."""
    random = np.random.default_rng(seed)
    classes = torch.arange(count) % CLASSES
    noise = torch.from_numpy(random.normal(size=(count, FEATURES)))
    return 40.0 * classes[:, None] + shift + spread * noise, classes


TRAIN, REAL = drawn(900, 1), drawn(600, 2)
QUANTILES, NEIGHBOURHOODS = (realism_quantile, realism_beyond), (density, coverage)


def all_of(answers, real=REAL, train=TRAIN):
    quantiles = [metric(*answers, *train, *real).value for metric in QUANTILES]
    return [*quantiles, *(metric(*answers, *real).value for metric in NEIGHBOURHOODS)]


def test_real_pictures_are_as_real_as_real_pictures():
    """New real pictures lie in the middle of real ones, five per cent beyond their 95 % quantile, with density 1."""
    quantile, beyond, dense, covered = all_of(drawn(600, 3))
    assert quantile == pytest.approx(0.5, abs=0.05)
    assert beyond == pytest.approx(1 - TAIL, abs=0.03)
    assert dense == pytest.approx(1, abs=0.1)
    assert covered == pytest.approx(1 - 2.0**-NEAREST, abs=0.02)


def test_what_is_far_from_its_class_is_not_real():
    """What lies beyond all real pictures of its target class is worth nothing, also where another class lies."""
    features, classes = drawn(300, 3)
    for answers in ((features + 500, classes), (features, (classes + 1) % CLASSES)):
        assert all_of(answers) == [1, 1, 0, 0]


def test_one_perfect_picture_covers_little():
    """A mean of each class, drawn again and again, is nearer than all real pictures, and covers few of them."""
    classes = REAL[1]
    quantile, beyond, dense, covered = all_of((40.0 * classes[:, None].expand(-1, FEATURES).double(), classes))
    assert quantile < 0.2
    assert beyond == 0
    assert dense > 1.2
    assert covered < 0.4


def test_farther_is_less_real():
    """The farther from its class, the greater the quantile and the smaller the density."""
    found = [all_of(drawn(300, 3, shift=shift)) for shift in (0.0, 0.5, 1.0, 2.0)]
    quantiles, beyond, dense, covered = zip(*found, strict=True)
    assert sorted(quantiles) == list(quantiles)
    assert sorted(beyond) == list(beyond)
    assert sorted(dense, reverse=True) == list(dense)
    assert sorted(covered, reverse=True) == list(covered)


def test_distances_have_no_unit():
    """Features in another unit, or seen from another side, give the same numbers."""
    answers = drawn(300, 3, spread=1.4)
    turn = torch.linalg.qr(torch.from_numpy(np.random.default_rng(0).normal(size=(FEATURES, FEATURES)))).Q
    moved = [(7 * features @ turn + 3, classes) for features, classes in (answers, REAL, TRAIN)]
    assert all_of(*moved) == pytest.approx(all_of(answers))


def test_agrees_with_scikit_learn():
    """Quantiles, density and coverage are those of scikit-learn's nearest neighbours, query by query."""
    answers, targets = drawn(200, 3, spread=1.3)
    quantiles, dense, covered = np.empty(200), np.empty(200), []
    for label in range(CLASSES):
        ours, train, real = (part[classes == label].numpy() for part, classes in ((answers, targets), TRAIN, REAL))
        near = NearestNeighbors(n_neighbors=NEAREST).fit(train)
        own, theirs = (near.kneighbors(part)[0][:, -1] for part in (ours, real))
        quantiles[targets == label] = [(theirs < distance).mean() for distance in own]
        radii = NearestNeighbors(n_neighbors=NEAREST + 1).fit(real).kneighbors(real)[0][:, -1]
        inside = np.linalg.norm(ours[:, None] - real, axis=2) < radii
        dense[targets == label] = inside.sum(1) / NEAREST
        covered += inside.any(0).tolist()
    found = realism_quantile(answers, targets, *TRAIN, *REAL)
    np.testing.assert_allclose(found.values, quantiles)
    assert realism_beyond(answers, targets, *TRAIN, *REAL).values.tolist() == (quantiles > TAIL).tolist()
    np.testing.assert_allclose(density(answers, targets, *REAL).values, dense)
    assert coverage(answers, targets, *REAL).value == pytest.approx(np.mean(covered))


def test_copies_of_training_pictures_are_near():
    """A training picture itself is nearer to its class than most real pictures: it is its own nearest neighbour."""
    assert realism_quantile(*TRAIN, *TRAIN, *REAL).value < 0.5


def test_too_few_real_pictures_are_left_out():
    """Of a class with too few real pictures nothing is said, and n says so; without any, nothing at all."""
    answers, targets = drawn(90, 3)
    few = tuple(part[(REAL[1] > 0) | (torch.arange(600) < 9)] for part in REAL)
    assert density(answers, targets, *few).n == 60
    short = tuple(part[(TRAIN[1] > 0) | (torch.arange(900) < 9)] for part in TRAIN)
    assert realism_quantile(answers, targets, *short, *REAL).n == 60
    none = (torch.zeros(0, FEATURES).double(), torch.zeros(0).long())
    for found in (density(answers, targets, *none), realism_beyond(answers, targets, *none, *REAL)):
        assert math.isnan(found.value)
        assert found.n == 90


def test_equal_pictures():
    """Where all real pictures are one and the same, no neighbourhood has room, and none is nearer than a copy."""
    flat = (torch.ones(60, FEATURES), torch.zeros(60).long())
    assert all_of(flat, flat, flat) == [0, 0, 0, 0]


@pytest.mark.parametrize("metric", NEIGHBOURHOODS)
def test_other_shapes_are_refused(metric):
    """Features of another network, of no matrix, or of other pictures than the classes, are refused."""
    answers, targets = drawn(9, 3)
    for wrong in (answers[:, :2], answers[0], answers.long(), answers[:4]):
        with pytest.raises(ValueError, match="features"):
            metric(answers, targets, wrong, targets)
