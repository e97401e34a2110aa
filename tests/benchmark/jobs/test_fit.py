"""The fit of a method: a generator that lost its modes is trained once more."""

from types import MappingProxyType

import pytest
import torch
from torch import nn

import methods
from benchmark.jobs import fit as fitting
from benchmark.jobs import runner, settings, work
from benchmark.jobs.fit import LEAST_KEPT, fit, remarks
from benchmark.jobs.protocol import Job, Protocol
from benchmark.jobs.work import Work
from methods import METHODS, Entry
from methods.base import Counterfactuals, Method, MethodConfig

DRAWN = 200


class DrawingConfig(MethodConfig):
    """Which trainings draw all that they have seen; the others draw a single picture."""

    good: tuple[int, ...] = (1, 2)


class Drawing(Method):
    """Keeps training images, and draws them or one of them."""

    Config = DrawingConfig
    trained: list[int] = []  # noqa: RUF012 - the seeds of all trainings

    def build(self, shape, class_count):  # noqa: ARG002
        """A place for pictures."""
        network = nn.Module()
        network.register_buffer("pictures", torch.zeros(DRAWN, *shape))
        return network

    def fit(self, data, classifier, *, trainer):
        """A training that methods share, so that a second attempt could meet the first one's result."""
        self.prepare(data.shape, classifier)
        key = {"training": "pictures", "good": self.config.good}
        self.network.load_state_dict(trainer.once(key, lambda asking: self._train(data, asking)))
        return self

    def _train(self, data, trainer):
        self.trained.append(trainer.seed)
        spread = torch.linspace(0, len(data) - 1, DRAWN).long()
        good = len(self.trained) in self.config.good
        return {"pictures": data.batch(spread if good else spread[:1].expand(DRAWN))}

    def samples(self, count):
        """The pictures."""
        return {"samples": self.network.pictures[:count]}

    def reconstruct(self, images):
        """The query."""
        return images

    def explain(self, images, target, relaxations):  # noqa: ARG002
        """The query."""
        return Counterfactuals(images.expand(len(relaxations), *images.shape))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder in which the classifier is trained once."""
    return tmp_path_factory.mktemp("fits")


@pytest.fixture
def fitted(runs, monkeypatch):
    """What a fit notes and has learnt, whose trainings of these numbers are good."""

    def of(*good):
        entry = Entry(f"{__name__}:Drawing", "Draws.", {"good": good})
        for module in (methods, runner, work, settings):
            monkeypatch.setattr(module, "METHODS", MappingProxyType({**METHODS, "drawing": entry}))
        monkeypatch.setattr(Drawing, "trained", [])
        artefact = fit(Work(Job("mnist", "drawing", 0), Protocol(results=runs, preset="smoke")))
        return artefact.facts(), artefact.tensors()["pictures"]

    monkeypatch.setattr(fitting, "UNTESTED", frozenset())
    return of


@pytest.mark.slow
def test_good_training_is_made_once(fitted):
    """What draws all kinds is not trained again, and nothing is said of it."""
    facts, _ = fitted(1, 2)
    assert len(Drawing.trained) == len(facts["modes_kept"]) == 1
    assert facts["modes_kept"][0] > 0.9
    assert remarks(facts) == []


@pytest.mark.slow
def test_lost_modes_are_trained_once_more(fitted):
    """A second training has other random numbers, shares nothing with the first, answers, and is told."""
    facts, pictures = fitted(2)
    assert len(set(Drawing.trained)) == 2
    first, second = facts["modes_kept"]
    assert first < LEAST_KEPT < second
    assert len(pictures.unique(dim=0)) > 1
    assert "lost modes" in remarks(facts)[0]
    assert f"{first:.0%}" in remarks(facts)[0]


@pytest.mark.slow
def test_no_third_training(fitted):
    """Two failures are told; there is no third attempt, and the first fit answers, if the second is no better."""
    facts, _ = fitted()
    assert len(Drawing.trained) == 2
    assert max(facts["modes_kept"]) < LEAST_KEPT
    assert len(remarks(facts)) == 1


@pytest.mark.slow
def test_smoke_is_not_tested(fitted, monkeypatch):
    """A preset that trains too briefly asks nothing of its generators."""
    monkeypatch.setattr(fitting, "UNTESTED", frozenset({"smoke"}))
    facts, _ = fitted(7)
    assert len(Drawing.trained) == 1
    assert "modes_kept" not in facts
    assert remarks(facts) == []
