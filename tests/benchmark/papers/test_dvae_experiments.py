import pytest
import torch

from benchmark.papers.dvae_experiments import KL_WEIGHTS, POLICIES, kl_weights
from benchmark.papers.experiments import Asked
from methods.dvae.method import Dvae
from tests.methods.test_dvae_method import CLASSES, QUERIES, TARGET, Places, fitted

pytestmark = pytest.mark.slow  # two small trainings


@pytest.fixture(scope="module")
def method():
    return fitted()


@torch.no_grad()
def conducted(method, refitted):
    predicted = Places()(QUERIES).argmax(1)
    asked = Asked(QUERIES, TARGET, predicted, {}, Places(), Places(), refitted=refitted)
    return kl_weights(method, asked).studies[KL_WEIGHTS].rows


def test_printed_weight_is_one(method):
    """The second training weighs the KL term by 1 for any number of classes, and trains no generator."""
    made = []

    def refitted(**changes):
        made.append(fitted(**changes))
        return made[-1]

    rows = conducted(method, torch.enable_grad()(refitted))
    assert made[0].network.dvae.kl_weight == 1
    assert made[0].network.noted("generator") == []
    assert {row["KL weight"] for row in rows} == {method.network.dvae.kl_weight, 1.0}


def test_change_is_that_of_answers(method):
    """Each share is counted over the answers of its policy; the same training twice has the same rows twice."""
    rows = conducted(method, lambda **_: method)
    ours, theirs = rows[: len(POLICIES)], rows[len(POLICIES) :]
    assert [row["change"] for row in ours] == [row["change"] for row in theirs]
    for row in ours:
        config = method.config.model_copy(update={"policy": POLICIES[row["flips"]], "until_picture": False})
        asked = Dvae(config).restore(method.network.state_dict(), QUERIES.shape[1:], Places())
        with torch.no_grad():
            seen = asked.explain(QUERIES, TARGET, [0.0]).evidence["representation_classes"][0]
        assert row["change"] == float((seen != Places()(QUERIES).argmax(1)).double().mean())
    assert CLASSES > 2  # so that the weight of the settings is not that of the loss
