import itertools

import pytest
import torch

from benchmark.judges.classifier import ClassifierConfig, ConvClassifier
from benchmark.papers.diffusion import ROWS, mask, of_ace, of_fastdime, speed
from benchmark.papers.experiments import Asked
from methods.diffusion.ace import Ace, AceConfig
from methods.diffusion.dime import Dime, DimeConfig

SHAPE = (1, 12, 12)
SMALL = {"times": 20, "widths": (8,), "steps": 6, "scales": (5.0,)}


@pytest.fixture
def asked():
    """A small Dime that was never trained, and what it is asked."""
    torch.manual_seed(0)
    networks = [ConvClassifier(ClassifierConfig(channels=(4, 8), features=8), SHAPE, 3).eval() for _ in range(2)]
    for network in networks:
        network.requires_grad_(False)
    queries = torch.rand(6, *SHAPE)
    predicted = networks[0](queries).argmax(1)
    return Asked(queries, (predicted + 1) % 3, predicted, {}, *networks)


def made(asked, **settings):
    method = Dime(DimeConfig(**{**SMALL, **settings}))
    method.prepare(SHAPE, asked.classifier).eval()
    return method


def rows(study):
    return {row["quantity"]: row for row in study.rows}


@torch.no_grad()
def test_a_mask_that_keeps_nothing_changes_nothing(asked):
    """Against itself a walk without a mask differs in nothing, because the noise is the same."""
    found = rows(mask(made(asked, mask_threshold=0.0), asked))
    assert all(row["difference"] == 0 and row["n"] == 6 for row in found.values())


@torch.no_grad()
def test_a_mask_keeps_pixels(asked):
    """With a mask that keeps most pixels fewer change, and the answer is closer to the query."""
    found = rows(mask(made(asked, mask_threshold=1.0, mask_reach=0), asked))
    assert found["changed pixels (L0)"]["with"] < 0.1
    assert found["changed pixels (L0)"]["difference"] < -0.5
    assert found["L1 to the query"]["high"] < 0


@torch.no_grad()
def test_the_ratio_is_of_each_query(asked, monkeypatch):
    """A walk that takes as long for every query has one ratio, with an interval of no width."""
    clock = iter(itertools.accumulate(itertools.cycle([0.0, 1.0, 0.0, 4.0])))  # between calls nothing passes
    monkeypatch.setattr("time.perf_counter", clock.__next__)
    seconds = {row["walk"]: row for row in speed(made(asked), asked).rows}
    assert [seconds[name]["seconds"] for name in ("FastDiME", "DiME", "DiME over FastDiME")] == [1, 4, 4]
    assert seconds["DiME over FastDiME"]["low"] == seconds["DiME over FastDiME"]["high"] == 4


@torch.no_grad()
def test_pictures_go_from_the_query_to_the_answer(asked):
    """The first column is the query, the deepest walk is the answer at r = 0, and both have the class seen in them."""
    method = made(asked)
    found = of_fastdime(method, asked).illustrations
    shown = found["depths"]
    torch.manual_seed(0)
    answers = method.explain(asked.queries, asked.targets, [0.0]).images[0]
    assert torch.equal(shown.images[:, 0], asked.queries[:ROWS])
    assert torch.allclose(shown.images[:, -2], answers[:ROWS], atol=1e-5)
    assert [row[0] for row in shown.captions] == [f"{{{label}}}" for label in asked.predicted[:ROWS].tolist()]
    assert found["noise"].images.min() >= 0
    assert found["noise"].images.max() <= 1


@torch.no_grad()
def test_repainting_is_shown_beside_its_answer(asked):
    """A query, its answer, and the answer without repainting."""
    method = Ace(AceConfig(**{"times": 20, "widths": (8,), "steps": 6}))
    method.prepare(SHAPE, asked.classifier).eval()
    shown = of_ace(method, asked).illustrations["repainted"]
    assert shown.images.shape == (ROWS, 3, *SHAPE)
    assert torch.equal(shown.images[:, 0], asked.queries[:ROWS])
