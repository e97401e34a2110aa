"""What `check-method` says of methods that break a law."""

# ruff: noqa: ARG002 - what breaks a law has the signature of what obeys it
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from pydantic import Field
from torch import nn

from benchmark.jobs.contract import Case, check_on
from methods import METHODS, OUTSIDE, Entry
from methods.base import Counterfactuals, MethodConfig
from methods.references import Null, NullConfig
from methods.training import Phase, Plan


class Shape(Null):
    def explain(self, images, target, relaxations):
        return Counterfactuals(images.expand(len(relaxations), *images.shape).transpose(0, 1))


class Bare(Null):
    def explain(self, images, target, relaxations):
        return images


class Above(Null):
    def explain(self, images, target, relaxations):
        return Counterfactuals(images.expand(len(relaxations), *images.shape) + 0.5)


class Missing(Null):
    def reconstruct(self, images):
        return images * torch.nan


class InPlace(Null):
    def explain(self, images, target, relaxations):
        return Counterfactuals(images.clamp_(0.2, 0.8).expand(len(relaxations), *images.shape))


class Random(Null):
    random = torch.Generator()

    def reconstruct(self, images):
        return torch.rand(images.shape, generator=self.random)


class Sorted(Null):
    def explain(self, images, target, relaxations):
        by_class = images[target.argsort(stable=True)]
        return Counterfactuals(by_class.expand(len(relaxations), *images.shape))


class Backwards(Null):
    def explain(self, images, target, relaxations):
        return Counterfactuals(torch.stack([images * (1 - r) for r in relaxations]))


class Forgetful(Null):
    shade = 0.0

    def fit(self, data, classifier, *, trainer):
        self.shade = 0.5
        return super().fit(data, classifier, trainer=trainer)

    def reconstruct(self, images):
        return torch.full_like(images, self.shade)


class Idle(Null):
    def build(self, shape, class_count):
        return nn.Linear(2, 2)


class Meddling(Null):
    def fit(self, data, classifier, *, trainer):
        next(classifier.parameters()).add_(1)
        return super().fit(data, classifier, trainer=trainer)


class Line(nn.Linear):
    def losses(self, images):
        return {"loss": self(images[:, 0, 0, :1]).sum()}


class Unsent(Null):
    def build(self, shape, class_count):
        return Line(1, 1)

    def fit(self, data, classifier, *, trainer):
        network = self.prepare(data.shape, classifier)
        plan = Plan(batch=lambda indices: (data.batch(indices),), count=8, epochs=1, batch_size=8)
        trainer.fit(network, lambda net: [Phase("losses", torch.optim.SGD(net.parameters(), lr=0.1))], plan)
        return self


class Silent(MethodConfig):
    steps: int = Field(3)


class Undocumented(Null):
    Config = Silent


class Empty(Null):
    def explain(self, images, target, relaxations):
        return Counterfactuals(torch.stack([images / images.max() for _ in relaxations]) * images.max())


class Stranger(Null):
    def fit(self, data, classifier, *, trainer):
        self.prepare(data.shape, classifier)
        return Null(NullConfig())


class Peeking(Null):
    def fit(self, data, classifier, *, trainer):
        classifier.features(data.batch(slice(4)))
        return super().fit(data, classifier, trainer=trainer)


class Climbing(Null):
    def explain(self, images, target, relaxations):
        with torch.enable_grad():
            asked = images.clone().requires_grad_()
            (slope,) = torch.autograd.grad(self.classifier(asked).sum(), asked)
        return super().explain((images + slope).clamp(0, 1), target, relaxations)


@pytest.fixture(scope="module")
def case():
    return Case.of("grey")


@pytest.fixture
def broken(monkeypatch, case):
    """The words for every law that a class breaks, joined."""

    def of(kind):
        monkeypatch.setitem(OUTSIDE, "strange", Entry(f"{kind.__module__}:{kind.__qualname__}", ""))
        monkeypatch.setattr(Entry, "load", lambda self: kind)
        own = replace(case, classifier=deepcopy(case.classifier))
        return [finding for finding in check_on(own, "strange", "grey") if finding.broken]

    return of


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Shape, "explain's answer (R, N, C, H, W) has the shape (64, 6, 1, 28, 28), not (6, 64, 1, 28, 28)"),
        (Bare, "explain returns Tensor, not Counterfactuals"),
        (Above, "leaves [0, 1]"),
        (Missing, "reconstruct's answer (N, C, H, W) holds NaN or infinity"),
        (InPlace, "explain changes the queries in place"),
        (Random, "reconstruct answers otherwise when it is asked again"),
        (Sorted, "asked in another order"),
        (Backwards, "the mean L1 distance to reconstruct's answer is"),
        (Forgetful, "what is fitted has to be in it"),
        (Idle, "no gradient reached weight, bias"),
        (Meddling, "the fit changes the classifier's weights"),
        (Unsent, "cannot be pickled"),
        (Undocumented, "the setting steps has no description"),
        (Empty, "RuntimeError"),
        (Peeking, 'asks = "probabilities", but the method takes features of the classifier'),
        (Climbing, 'asks = "probabilities", but the method takes gradients of the classifier'),
        (Stranger, "fit does not return the method itself"),
    ],
)
def test_what_is_broken_is_said_in_words(broken, kind, words):
    """A method that breaks a law is told which, and what it did instead."""
    found = broken(kind)
    assert any(words in finding.broken for finding in found), found


def test_a_lawful_method_breaks_nothing(broken):
    """A method that obeys every law has no finding."""
    assert "null" in METHODS
    assert broken(Null) == []
