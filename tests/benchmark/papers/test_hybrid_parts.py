import numpy as np
import pytest
import torch

from benchmark.data.avatars import AvatarsConfig, ExactFaces, sample_faces
from benchmark.papers.experiments import Asked, all_of
from benchmark.papers.hybrid_began import BOTH, FIRST, SECOND, TWO, two_layers
from benchmark.papers.hybrid_began import CLAIMS as BEGAN_CLAIMS
from benchmark.papers.hybrid_parts import (
    CLAIMS,
    DETAILS,
    PARTS,
    STANDS_FOR,
    Regions,
    differing,
    influence_on_parts,
    share,
)
from benchmark.papers.verdicts import Evidence, judge
from methods.base import Study
from methods.hybrid.began import HybridBegan, HybridBeganConfig
from methods.hybrid.vae import Hybrid, HybridVaeConfig
from methods.pictures import unit
from tests.methods.thirds import Places

SIDE = 33
FACES = 12
COARSE = ("beard", "hair", "face", "background")


@pytest.fixture(scope="module")
def redrawn():
    """Faces drawn without and with an attribute."""
    exact, indices = ExactFaces(sample_faces(AvatarsConfig(size=SIDE, count=FACES))), np.arange(FACES)

    def drawn(attribute):
        return tuple(unit(torch.from_numpy(exact(attribute, indices, np.full(FACES, value)))) for value in (0, 1))

    return drawn


@pytest.fixture(scope="module")
def regions(redrawn):
    return Regions.of(redrawn)


def untrained(method, redrawn=None):
    """The method under random weights, with modules, and what it is asked with."""
    torch.manual_seed(0)
    method.prepare((3, SIDE, SIDE), Places(20.0)).eval()
    with torch.no_grad():
        method.network.discover(method.generator, 10, 3, 75)
    nothing = torch.zeros(0)
    return method, Asked(nothing, nothing, nothing, {}, Places(), Places(), redrawn=redrawn)


def vae():
    return Hybrid(HybridVaeConfig(generator=(8, 6, 4), encoder=(6, 8), latent=5, pairs=10, bank=10))


def began():
    sizes = {"generator": (6, 5, 4), "discriminator": (6, 4), "encoder": (6, 8), "latent": 5, "pairs": 10, "bank": 10}
    return HybridBegan(HybridBeganConfig(**sizes))


# -- regions -----------------------------------------------------------------------------------------------------------


def test_coarse_parts_are_the_whole_picture(regions):
    """Every pixel of every face belongs to the beard, the hair, the face or the background, and to one of them only."""
    assert tuple(regions.coarse) == COARSE
    torch.testing.assert_close(sum(regions.coarse.values()), torch.ones(SIDE, SIDE))
    assert all(float(region.min()) >= 0 and float(region.max()) <= 1 for region in regions.details.values())
    assert all(region.sum() > 0 for region in {**regions.coarse, **regions.details}.values())


def test_parts_are_where_a_person_looks_for_them(regions):
    """Hair is above the face, the mouth below the glasses, and the background at the corners."""
    rows = torch.arange(SIDE).float()[:, None]

    def height(region):
        return float((region * rows).sum() / region.sum())

    found = {**regions.coarse, **regions.details}
    assert height(found["hair"]) < height(found["face"])
    assert height(found["glasses"]) < height(found["mouth"])
    assert found["background"][0, 0] == 1
    assert found["background"][SIDE // 2, SIDE // 2] == 0


def test_equal_pictures_differ_nowhere():
    """A picture differs from itself nowhere, and from one that is a level brighter in one colour of a pixel there."""
    image = torch.rand(2, 3, 4, 4) * 0.5
    other = image.clone()
    other[1, 2, 3, 0] += 1 / 255
    assert not differing(image, image).any()
    assert differing(image, other).nonzero().tolist() == [[1, 3, 0]]


# -- shares ------------------------------------------------------------------------------------------------------------


def test_share_of_an_even_effect_is_the_regions_area(regions):
    """An effect that is the same everywhere lies in a region by its share of the picture, however strong it is."""
    even = torch.tensor([0.1, 3.0])[:, None, None].expand(2, SIDE, SIDE)
    for region in regions.coarse.values():
        torch.testing.assert_close(share(even, region), region.mean().expand(2))


def test_share_of_an_effect_inside_and_outside():
    """All of an effect inside a region is a share of one, all of it outside is none; no effect at all is left out."""
    region = torch.zeros(4, 4)
    region[:2] = 1
    effects = torch.stack([region * torch.rand(4, 4), (1 - region) * torch.rand(4, 4), torch.zeros(4, 4)])
    assert share(effects, region).tolist() == pytest.approx([1, 0])


@torch.no_grad()
@pytest.mark.parametrize("make", [vae, began])
def test_shares_of_the_coarse_parts_add_up_to_one(make, redrawn):
    """All of a module's influence lies in the parts that are the whole picture."""
    (study,) = influence_on_parts(*untrained(make(), redrawn)).studies.values()
    modules = {row["module"] for row in study.rows}
    assert len(study.rows) == len(modules) * (len(COARSE) + len(DETAILS))
    for module in modules:
        rows = [row for row in study.rows if row["module"] == module and row["part"] in COARSE]
        assert sum(row["share of influence"] for row in rows) == pytest.approx(1, abs=1e-5)
        assert sum(row["share of area"] for row in rows) == pytest.approx(1, abs=1e-5)
        for row in rows:
            assert row["concentration"] == pytest.approx(row["share of influence"] / row["share of area"])


def test_nothing_is_asked_where_nothing_is_drawn():
    """Photographs and digits have no known parts, so there is no table, and the claim cannot be tested."""
    assert influence_on_parts(*untrained(vae())) == ({}, {})


# -- claims ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("modules", "spread", "words"),
    [
        ((1, 2, 3), 0.1, "holds here"),
        ((1, 2, 2), 0.1, "does not hold here"),
        ((1, 2, 3), 1, "left open here"),
        ((1, 2, 2), 1, "left open here"),
    ],
)
def test_each_part_needs_a_module_of_its_own(make_record, tmp_path, modules, spread, words):
    """The claim holds where background, face and hair are each surely most favoured by another module."""
    best = dict(zip(STANDS_FOR, modules, strict=True))
    rows = [
        {"module": k, "part": part, "concentration": most, "low": most - spread, "high": most + spread}
        for part in STANDS_FOR
        for k in (1, 2, 3)
        for most in (2.0 if best[part] == k else 0.5,)
    ]
    record = make_record("hybrid", studies={PARTS: Study(title="", rows=rows)})
    assert judge(CLAIMS[0].test, Evidence("avatars/Smiling", [record], tmp_path)).words == words
    without = make_record("hybrid", studies={})
    assert judge(CLAIMS[0].test, Evidence("mnist", [without], tmp_path)).words == "cannot be tested here"


# -- two layers --------------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_influence_of_two_layers_is_told_beside_each(make_record, tmp_path):
    """Each layer alone and both together have a row with an interval, by which the claim is tested."""
    outcome = all_of(two_layers, influence_on_parts)(*untrained(began()))
    rows = outcome.studies[TWO].rows
    assert [row["swapped"] for row in rows] == [FIRST, SECOND, BOTH]
    assert all(0 < row["low"] <= row["influence"] <= row["high"] for row in rows)
    assert rows[2]["layers"] == f"{rows[0]['layers']} + {rows[1]['layers']}"
    record = make_record("hybrid-began", studies=outcome.studies)
    assert judge(BEGAN_CLAIMS[0].test, Evidence("mnist", [record], tmp_path)).tested
