import pytest
import torch

from benchmark.data.avatars_model import NAMES
from benchmark.jobs.evidence import AttributeNetwork
from benchmark.papers.attribute_search import DEPENDENCE, EDITS, MOVES, UNHELD, attribute_search
from benchmark.papers.experiments import ROWS, Asked
from methods.base import Attributes
from methods.gan_search.attributes import AttributeSearch, AttributeSearchConfig

SHAPE, COUNT = (3, 17, 17), 12


class Left(torch.nn.Module):
    """Sees how light the left half is."""

    class_count = feature_count = 2

    def forward(self, images):
        logit = 50 * (images[..., :8].flatten(1).mean(1) - images[..., 8:].flatten(1).mean(1))
        return torch.stack([-logit, logit], dim=1)


def exact(name):
    """Of one attribute alone the exact edit turns pictures round; of all others it does nothing."""
    return QUERIES.flip(3) if name == "Bald" else QUERIES


torch.manual_seed(0)
QUERIES = torch.rand(COUNT, *SHAPE)
PREDICTED = Left()(QUERIES).argmax(1)


@pytest.fixture(scope="module")
def outcome():
    method = AttributeSearch(
        AttributeSearchConfig(widths=(4, 8), critic=(4, 8), hidden=4, steps=3, bisections=1, confidence=0.0)
    )
    method.attributes = Attributes(NAMES, "Young")
    torch.manual_seed(1)
    method.prepare(SHAPE, Left()).eval()
    with torch.no_grad():
        told = method.explain(QUERIES, 1 - PREDICTED, [0.0]).intervention
        network = AttributeNetwork(
            lambda images: method.network.critic(images)[1], dict.fromkeys(NAMES, 1.0), NAMES, ""
        )
        asked = Asked(QUERIES, 1 - PREDICTED, PREDICTED, told, Left(), Left(), attributes=network, exact=exact)
        return attribute_search(method, asked)


def row(study, key, value):
    return next(row for row in study.rows if row[key] == value)


def test_figures_show_the_first_queries(outcome):
    """Fig. 5 has the original, its reconstruction, what was found and the label's edit; Fig. 8 the walks."""
    edit, prototype = outcome.illustrations["edit"], outcome.illustrations["prototype"]
    assert edit.images.shape == (ROWS, 4, *SHAPE)
    assert torch.equal(edit.images[:, 0], QUERIES[:ROWS])
    assert torch.equal(prototype.images[:, 0], QUERIES[:ROWS])
    for shown in (edit, prototype):
        assert len(shown.headings) == shown.images.shape[1]
        assert {len(words) for words in shown.captions} == {shown.images.shape[1]}


def test_what_is_searched_is_counted(outcome):
    """All attributes but the label's own are searched, and five are told."""
    study = outcome.studies[MOVES]
    assert row(study, "quantity", "attributes searched")["value"] == len(NAMES) - 1
    assert row(study, "quantity", "attributes reported")["value"] == 5
    assert -1 <= row(study, "quantity", "rank correlation of the changes to prototype and to criticism")["value"] <= 1
    assert any(one["quantity"] == UNHELD for one in study.rows)


def test_a_classifier_depends_on_what_flips_it(outcome):
    """Exact edits that flip nothing are nothing that the classifier depends on, and those that turn it round are."""
    study = outcome.studies[DEPENDENCE]
    flips = (Left()(QUERIES.flip(3)).argmax(1) != PREDICTED).double().mean()
    assert row(study, "attribute", "Bald")["exact edit flips"] == pytest.approx(float(flips))
    assert {one["attribute"] for one in study.rows if one.get("depends") == "True"} == {"Bald"}


def test_edits_are_judged_one_by_one(outcome):
    """Every attribute that the oracles see is edited alone, and the last row is all of them."""
    study = outcome.studies[EDITS]
    assert [one["attribute"] for one in study.rows] == [*NAMES, "all"]
    shares = [one["seen"] for one in study.rows[:-1]]
    assert study.rows[-1]["seen"] == pytest.approx(sum(shares) / len(shares))
