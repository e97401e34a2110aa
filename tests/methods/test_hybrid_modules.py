from itertools import permutations

import numpy as np
import pytest
import torch
from torch import nn

from methods.hybrid.influence import elementary_influence
from methods.hybrid.modules import binarise, cluster, match, smooth, stability

MODULES, SIZE, PIXELS = 3, 4, 40


class ModelOne:
    """The paper's Model 1: V_k = S(H_k Z_k), Y = Σ W^k V_k, every entry of a V_k a channel."""

    def __init__(self, seed):
        self.layers = {"hidden": MODULES * SIZE}
        random = np.random.default_rng(seed)
        supports = random.random((MODULES, PIXELS)) < 0.4
        own = random.permutation(PIXELS)[: 2 * MODULES].reshape(MODULES, 2)  # pixels of one module alone
        supports[:, own.ravel()] = False
        supports[np.arange(MODULES)[:, None], own] = True
        weights = random.normal(size=(PIXELS, MODULES, SIZE)) * supports.T[:, :, None]
        self.weights = torch.from_numpy(weights.reshape(PIXELS, -1)).float()
        self.mixing = torch.from_numpy(random.normal(size=(MODULES, SIZE))).float()

    def noise(self, count):
        return torch.rand(count, MODULES) * 2 - 1

    def upstream(self, latents, layer):  # noqa: ARG002 - there is one layer
        return nn.functional.leaky_relu(latents[:, :, None] * self.mixing, 0.2).flatten(1)

    def downstream(self, features, layer, latents, to=None):  # noqa: ARG002 - likewise
        return (features @ self.weights.T)[:, None, None]


def same_partition(first, second):
    """Whether two labellings group alike, under whatever names."""
    return np.array_equal(first[:, None] == first, second[:, None] == second)


def patterns(count, pixels=60, kinds=3, seed=0):
    """Noisy binary maps of so many kinds, one kind after the other."""
    random = np.random.default_rng(seed)
    templates = random.random((kinds, pixels)) < 0.4
    rows = templates[np.sort(np.arange(count) % kinds)]
    return (rows ^ (random.random(rows.shape) < 0.08)).astype(float)


@pytest.mark.parametrize("seed", range(20))
def test_modules_of_model_one_are_recovered(seed):
    """NMF of the binarised influence maps of the paper's Model 1 finds its true partition (Prop. 3)."""
    torch.manual_seed(seed)
    model = ModelOne(seed)
    maps = elementary_influence(model, "hidden", model.noise(30), model.noise(30)).double().numpy()
    found = cluster((maps > 0).reshape(MODULES * SIZE, -1).astype(float), MODULES)
    assert same_partition(found.labels, np.repeat(np.arange(MODULES), SIZE))


@pytest.mark.parametrize("algorithm", ["NMF", "k-means"])
def test_channel_order_decides_nothing(algorithm):
    """Channels in another order get the same modules, and the modules the same templates."""
    maps = patterns(40)
    maps[[3, 17]] = 0.0
    before = cluster(maps, 4, algorithm)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(maps))
        after = cluster(maps[order], 4, algorithm)
        np.testing.assert_array_equal(after.labels, before.labels[order])
        np.testing.assert_array_equal(after.templates, before.templates)


@pytest.mark.parametrize("algorithm", ["NMF", "k-means"])
def test_modules_are_told_largest_first(algorithm):
    """Modules are numbered by their size, templates have unit length, and all have a label in range."""
    found = cluster(patterns(45, seed=3), 4, algorithm)
    sizes = np.bincount(found.labels, minlength=4)
    assert sizes.sum() == 45
    assert (np.diff(sizes) <= 0).all()
    np.testing.assert_allclose(np.linalg.norm(found.templates, axis=1)[sizes > 0], 1)


@pytest.mark.parametrize("algorithm", ["NMF", "k-means"])
@pytest.mark.parametrize("alive", [0, 1, 2, 5])
def test_few_or_no_maps(algorithm, alive):
    """Channels without influence belong to no module, however few are left for the others."""
    maps = np.zeros((8, 30))
    maps[:alive] = patterns(alive, 30)
    found = cluster(maps, 3, algorithm)
    assert (found.labels[alive:] == -1).all()
    assert ((found.labels[:alive] >= 0) & (found.labels[:alive] < 3)).all()


def test_templates_follow_their_maps():
    """A template's pattern is that of its channels: larger where all of their maps are than where none is."""
    maps = patterns(30)
    found = cluster(maps, 3)
    assert same_partition(found.labels, np.sort(np.arange(30) % 3))
    for k, template in enumerate(found.templates):
        share = maps[found.labels == k].mean(axis=0)
        assert template[share > 0.8].min() > template[share < 0.2].max()


@pytest.mark.parametrize("window", [1, 3, 4])
def test_smoothing_is_a_moving_average(window):
    """Each map is averaged over its own windows: a constant stays, a point spreads and keeps its sum."""
    maps = np.zeros((2, 11, 9))
    maps[0], maps[1, 5, 4] = 0.7, 1.0
    smoothed = smooth(maps, window)
    np.testing.assert_allclose(smoothed[0], 0.7)
    assert np.isclose(smoothed[1].max(), 1 / window**2)
    assert np.isclose(smoothed[1].sum(), 1)
    assert (smoothed[1] > 1e-12).sum() == window**2


@pytest.mark.parametrize("percentile", [50, 75, 90])
def test_binarisation_keeps_the_upper_share(percentile):
    """Of a map of distinct values so many per cent are above its own percentile, whatever its scale."""
    maps = np.random.default_rng(0).random((4, 20, 25)) * np.array([1e-6, 1.0, 3.0, 1e6])[:, None, None]
    found = binarise(maps, percentile)
    assert found.shape == (4, 500)
    assert set(np.unique(found)) == {0.0, 1.0}
    np.testing.assert_allclose(found.mean(axis=1), 1 - percentile / 100)


def test_constant_maps_are_above_nothing():
    """A map without influence has no pixel above its percentile."""
    assert not binarise(np.zeros((1, 5, 5)), 75).any()


# -- stability ---------------------------------------------------------------------------------------------------------


def test_matching_undoes_any_permutation_of_clusters():
    """Labels of a permuted clustering are matched with the permutation itself, and then agree as before."""
    labels = np.random.default_rng(1).integers(4, size=50)
    noisy = np.where(np.arange(50) % 9, labels, (labels + 1) % 4)
    agreement = (match(labels, noisy, 4)[labels] == noisy).mean()
    assert agreement == np.mean(labels == noisy)
    for permutation in map(np.array, permutations(range(4))):
        np.testing.assert_array_equal(match(labels, permutation[labels], 4), permutation)
        assert (match(labels, permutation[noisy], 4)[labels] == permutation[noisy]).mean() == agreement


def test_matching_is_the_best_one():
    """No one-to-one assignment of labels agrees more often than the match, by trying all of them."""
    random = np.random.default_rng(2)
    for _ in range(10):
        first, second = random.integers(4, size=(2, 30))
        best = max(np.mean(np.array(p)[first] == second) for p in permutations(range(4)))
        assert np.mean(match(first, second, 4)[first] == second) == best


@pytest.mark.parametrize("algorithm", ["NMF", "k-means"])
def test_clear_clusters_are_perfectly_stable(algorithm):
    """Maps of K clear kinds are labelled alike by both halves in every repetition, with the same templates."""
    random = np.random.default_rng(4)
    maps = (random.random((3, 50)) < 0.4)[np.arange(60) % 3].astype(float)
    found = stability(maps, 3, algorithm, repetitions=5)
    assert found.consistency.tolist() == [1.0] * 5
    np.testing.assert_allclose(found.cosine, 1, atol=1e-6)


@pytest.mark.parametrize("algorithm", ["NMF", "k-means"])
def test_noise_is_not_stable(algorithm):
    """Maps without any structure are labelled less alike than those of clear kinds, in the legal range."""
    maps = (np.random.default_rng(5).random((60, 50)) < 0.4).astype(float)
    found = stability(maps, 4, algorithm, repetitions=5)
    assert (found.consistency < 0.9).all()
    assert ((found.consistency >= 0) & (found.cosine <= 1 + 1e-9)).all()
