import pytest
import torch

from benchmark.papers.experiments import Asked
from benchmark.papers.hybrid_biggan import (
    AGREEMENT,
    BLOCK,
    CLAIMS,
    DISTANCE,
    RECOGNITION,
    SWAPPED,
    TWO,
    VERDICTS,
    Probe,
    across_classes,
)
from benchmark.papers.verdicts import Evidence, judge
from methods.hybrid.biggan import HybridBiggan, HybridBigganConfig
from tests.methods.thirds import CLASSES, Places

SHAPE = (1, 12, 10)
NAMES = ("left", "middle", "right")


class Always(torch.nn.Module):
    """Sees the first class in everything."""

    def forward(self, images):
        return torch.eye(CLASSES)[torch.zeros(len(images), dtype=torch.long)]


@pytest.fixture(scope="module")
def method():
    """A small generator under random weights, with modules."""
    config = HybridBigganConfig(
        generator=(8, 4), reduction=2, latent=4, embedded=3, discriminator=(4,), encoder=(4,), pairs=6, bank=10, layer=3
    )
    torch.manual_seed(0)
    made = HybridBiggan(config)
    made.prepare(SHAPE, Places(20.0)).eval()
    with torch.no_grad():
        for value in made.blocks.network.parameters():
            value.copy_(torch.randn_like(value))
        made.network.discover(made.generator, config.pairs, config.window, config.percentile)
    return made


def found(method, panel):
    torch.manual_seed(1)
    nothing = torch.zeros(0)
    asked = Asked(nothing, nothing, nothing, {}, Places(), Places(), names=NAMES, panel=lambda: panel)
    with torch.no_grad():
        return across_classes(method, asked)


def test_places_lie_in_their_blocks(method):
    """One convolution, two successive ones, and what leaves the block: all of one block."""
    probe = Probe(method.blocks, method.network, {}, NAMES)
    for swapped in SWAPPED:
        for block, place in probe.places(swapped).items():
            assert all(layer.startswith(f"block {block}") for layer in place.layers)
            assert len(place.layers) == (2 if swapped == TWO else 1)
            assert ("convolution" in place.name) == (swapped != BLOCK)


def test_a_classifier_that_always_says_the_same(method):
    """It is alone in its verdicts, and recognises what it always says where a class is that one."""
    same = found(method, {"a": Always(), "b": Always()}).studies
    assert {row["all agree"] for row in same[AGREEMENT].rows} == {1.0}
    for row in found(method, {"a": Always(), "f": Places(20.0)}).studies[RECOGNITION].rows:
        if row["classifier"] == "a":
            assert row["recognition rate"] == max(row["as original 1"], row["as original 2"]) < 1
            assert row["as original 1"] + row["as original 2"] <= 1
        rate = row["recognition rate"]
        assert 0 <= row["standard error"] ** 2 * row["n"] <= rate * (1 - rate) + 1e-9  # modules of a pair are averaged


def test_every_figure_of_the_section_is_made(method):
    """Numbers against depth for each classifier, collections of pairs of classes, three verdicts."""
    outcome = found(method, {"f": Places(20.0), "g": Places(5.0)})
    collections = {f"{which}{what}collection" for which in ("", "second-") for what in ("", "block-")}
    assert outcome.illustrations.keys() == {VERDICTS, *collections}
    entropies = {"pair-entropy", "second-pair-entropy"}
    assert outcome.studies.keys() == {RECOGNITION, DISTANCE, AGREEMENT, VERDICTS, *entropies}
    rows = outcome.studies[RECOGNITION].rows
    assert {(row["block"], row["swapped"], row["classifier"]) for row in rows} == {
        (block, swapped, name) for block in (1, 2) for swapped in (TWO, BLOCK) for name in "fg"
    }
    distances = outcome.studies[DISTANCE].rows
    assert [(row["swapped"], row["block"]) for row in distances] == [(s, b) for s in SWAPPED for b in (1, 2)]
    assert all(row["f"] in NAMES for row in outcome.studies[VERDICTS].rows)
    for shown in outcome.illustrations.values():
        rows, columns = shown.images.shape[:2]
        assert len(shown.headings) == columns
        assert [len(texts) for texts in shown.captions] == [columns] * rows
    for study in outcome.studies.values():
        assert not study.axes or all(set(study.axes) <= row.keys() for row in study.rows)


def test_claims_are_tested_on_what_is_measured(method, make_record, tmp_path):
    """Every claim on conditional generators finds its numbers in what the experiment leaves."""
    studies = found(method, {"classifier": Places(20.0), "oracle": Places(5.0)}).studies
    record = make_record("hybrid-biggan", studies=studies)
    for claim in CLAIMS:
        assert judge(claim.test, Evidence("mnist", [record], tmp_path)).tested, claim.text
