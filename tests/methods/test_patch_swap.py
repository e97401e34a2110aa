from types import MappingProxyType

import pytest
import torch
from torch import nn

from methods.patch_swap.method import PatchSwap, PatchSwapConfig, tile
from methods.patch_swap.swaps import Donors, greedy, mixed
from methods.training import Trainer

SHAPE = (1, 9, 12)
GRID = (3, 4)
CLASSES = 2


class Mosaic(nn.Module):
    """Its features are the mean brightness of 3 × 4 tiles of 3 × 3 pixels; bright pictures are of the second class."""

    class_count = CLASSES
    feature_counts = MappingProxyType({"convolutional": 12})
    spatial = (1, *GRID)

    def features(self, images, layer="convolutional"):  # noqa: ARG002 - a classifier's signature
        return nn.functional.avg_pool2d(images, 3).flatten(1)

    def head(self, features, layer="convolutional"):  # noqa: ARG002 - the same
        total = features.sum(1, keepdim=True) - 5
        return torch.cat([-total, total], dim=1)

    def forward(self, images):
        return self.head(self.features(images))


class Blocks:
    """Training images: dark ones and bright ones, of tiles that all differ."""

    shape = SHAPE

    def __init__(self, count):
        random = torch.Generator().manual_seed(0)
        light = (
            torch.rand(count, 1, *GRID, generator=random) * 0.3 + 0.6 * (torch.arange(count) % 2)[:, None, None, None]
        )
        self.images = (light.repeat_interleave(3, 2).repeat_interleave(3, 3) * 255).round() / 255

    def __len__(self):
        return len(self.images)

    def batch(self, indices):
        return self.images[indices]


DATA = Blocks(40)
QUERIES = Blocks(12).images
TARGET = 1 - Mosaic()(QUERIES).argmax(1)


def fitted(**settings):
    return PatchSwap(PatchSwapConfig(bank=40, **settings)).fit(DATA, Mosaic(), trainer=Trainer(0))


def explain(method, relaxations=(0.0,), images=QUERIES, target=TARGET):
    with torch.no_grad():
        return method.explain(images, target, relaxations)


def test_greedy_takes_the_greatest_gain_first():
    """On a linear head the swaps are those of the sorted gains, as few as flip, and each donor is used once."""
    cells = torch.tensor([[0.5, 0.1, 0.3, 0.2]])[..., None]
    donors = Donors(torch.tensor([[0.6, 0.9, 0.4]])[..., None], torch.ones(1, 3, dtype=torch.bool))

    def lead(found, _target):
        return found.sum((1, 2)) - 2.2

    found = greedy(lead, cells, donors, torch.tensor([0]), 12, lambda rows, _: rows >= 0)
    assert found.ranks.tolist() == [[4, 0, 4, 1]]  # .1 becomes .9 (1.9), then .2 becomes .6 (2.3)
    assert found.sources[0, 1] == 1
    assert found.sources[0, 3] == 0


@pytest.mark.parametrize("distractors", [1, 3])
def test_a_shortlist_of_all_is_the_exhaustive_search(distractors):
    """On a linear head the gradient's promise is exact, so that one promising swap is as good as all of them."""
    first, second = (explain(fitted(distractors=distractors, shortlist=length)) for length in (1, 10_000))
    swapped = [(found.intervention["ranks"] < 12).sum(1) for found in (first, second)]
    assert torch.equal(*swapped)
    light = [found.images[0].mean((1, 2, 3)) for found in (first, second)]  # equal gains may be taken in another order
    assert torch.allclose(*light, atol=1e-6)


@pytest.mark.parametrize(
    ("grid", "size"), [((3, 3), (28, 28)), ((3, 4), (9, 12)), ((7, 5), (65, 48)), ((2, 2), (5, 7))]
)
def test_tiles_partition_the_picture(grid, size):
    """Each pixel is in one tile; a tile that another is shaped like stays inside."""
    covered = torch.zeros(size)
    for cell in range(grid[0] * grid[1]):
        covered[tile(cell, grid, size)] += 1
        for like in range(grid[0] * grid[1]):
            there, model = (
                torch.zeros(size)[place].shape for place in (tile(cell, grid, size, like), tile(like, grid, size))
            )
            assert there == model
    assert (covered == 1).all()


@pytest.mark.parametrize("until_picture", [False, True])
def test_answers_are_made_of_two_pictures(until_picture):
    """A tile is the query's, or a distractor's of the target class; as many are new as cells were swapped."""
    method = fitted(distractors=2, until_picture=until_picture)
    found = explain(method)
    pool = method.network.pictures(found.intervention["bank_rows"])  # (N, K, C, H, W)
    tiles = [tile(cell, GRID, SHAPE[1:]) for cell in range(12)]
    for query, answer in enumerate(found.images[0]):
        donors = [pool[query, k][(slice(None), *place)] for k in range(2) for place in tiles]
        for cell, place in enumerate(tiles):
            there, own = answer[(slice(None), *place)], QUERIES[query][(slice(None), *place)]
            swapped = found.intervention["ranks"][query, cell] < 12
            assert torch.equal(there, donors[found.intervention["sources"][query, cell]] if swapped else own)
    seen = Mosaic()(found.images[0]).argmax(1)
    assert torch.equal(seen, TARGET)  # of tiles that are their own receptive fields picture and features agree
    assert torch.equal(found.evidence["representation_classes"][0], TARGET)


def test_r_leaves_the_last_swaps_out():
    """The number of swaps is (1 − r) of all, rounded, the first ones; r = 1 is the query."""
    relaxations = (0.0, 0.25, 0.5, 1.0)
    found = explain(fitted(), relaxations)
    ranks = found.intervention["ranks"]
    count = (ranks < 12).sum(1)
    for r, images in zip(relaxations, found.images, strict=True):
        changed = nn.functional.avg_pool2d((images != QUERIES).float(), 3).flatten(1) > 0
        wanted = ranks < ((1 - r) * count).round()[:, None]
        assert torch.equal(changed, wanted)
    assert torch.equal(found.images[-1], QUERIES)


def test_without_a_distractor_a_query_stays():
    """A query whose target no training image has is answered by itself."""
    method = fitted()
    method.network.classes[method.network.classes == 1] = -1
    found = explain(method)
    assert torch.equal(found.images[0][TARGET == 1], QUERIES[TARGET == 1])
    assert not torch.equal(found.images[0][TARGET == 0], QUERIES[TARGET == 0])


def test_a_query_of_the_target_class_stays():
    """Nothing is swapped where the classifier sees the target already."""
    assert torch.equal(explain(fitted(), target=1 - TARGET).images[0], QUERIES)


def test_answers_do_not_depend_on_the_batch():
    """A query that is asked alone gets the answer that it gets among others."""
    method = fitted(distractors=3)
    assert torch.equal(explain(method, images=QUERIES[4:5], target=TARGET[4:5]).images, explain(method).images[:, 4:5])


def test_swapping_all_cells_in_place_makes_the_distractor():
    """All cells from the same places of one picture are its features."""
    cells, donors = torch.rand(2, 5, 12, 3)
    everywhere = torch.ones(5, 12, dtype=torch.bool)
    assert torch.equal(mixed(cells, donors, everywhere, torch.arange(12).expand(5, -1)), donors)
    assert torch.equal(mixed(cells, donors, ~everywhere, torch.arange(12).expand(5, -1)), cells)


def test_the_receptive_field_is_measured():
    """Where features are means of tiles, a cell's receptive field is its tile."""
    (row,) = fitted().studies()["cells"].rows
    assert row == {"cells": "3 x 4", "tile": "3 x 3", "receptive field": "3 x 3"}


def test_features_without_places_are_refused():
    """Of a classifier whose φ is a row of numbers it says what to do."""
    flat = Mosaic()
    flat.spatial = None
    with pytest.raises(ValueError, match="--features"):
        PatchSwap(PatchSwapConfig()).fit(DATA, flat, trainer=Trainer(0))
