from dataclasses import replace

import pandas as pd
import pytest
import torch

from benchmark.jobs.protocol import Protocol
from benchmark.papers.experiments import FEW, Asked, estimated
from benchmark.papers.gan_search import PAPER
from benchmark.papers.hybrid import COUNTS, influence_of_modules
from benchmark.papers.panel import panel, with_panel
from benchmark.papers.running import _conduct
from benchmark.papers.vaex_experiments import ABLATIONS, FALLING, ablations, interventions, own_class, prior
from benchmark.papers.verdicts import Evidence, judge
from benchmark.report.frequencies import Known, frequencies
from methods.base import Counterfactuals
from methods.hybrid.studies import modules_study
from methods.hybrid.vae import Hybrid, HybridVaeConfig
from tests.methods.test_vaex_model import CLASSES, pictures, vaex
from tests.methods.thirds import Places


def test_frequencies_of_a_planted_attribute():
    """Shares of each class are counted, and their difference is the second class's minus the first's."""
    frame = pd.DataFrame({"Eyeglasses": [1, 1, 1, 0, 0, 0, 0, 1], "Hat": [0, 1] * 4})
    labels = frame.index.to_numpy() // 4
    glasses, hat = frequencies(Known(frame, labels, ("not Young", "Young"))).rows
    assert (glasses["not Young"], glasses["Young"], glasses["difference"]) == (0.75, 0.25, -0.5)
    assert hat["difference"] == 0
    assert hat["low"] == -hat["high"]
    assert glasses["n"] == 8


@pytest.mark.parametrize(
    ("classes", "words"), [(("not Young", "Young"), "holds here"), (("3", "8"), "cannot be tested here")]
)
def test_claim_about_eyeglasses_needs_the_papers_task(make_record, tmp_path, classes, words):
    """The claim of Fig. 7 is tested where the classes are young and not, and nowhere else."""
    frame = pd.DataFrame({"Eyeglasses": [1] * 90 + [0] * 110})
    study = frequencies(Known(frame, frame.index.to_numpy() // 100, classes))
    record = make_record("gan-search", studies={"frequencies": study})
    (claim,) = (claim for claim in PAPER.claims if "eyeglasses are less frequent" in claim.text)
    assert judge(claim.test, Evidence("faces", [record], tmp_path)).words == words


def test_estimated_keeps_shares_in_range():
    """The share of what always happens reaches one and no further, and its interval still has a width."""
    found = estimated("share", torch.ones(20, dtype=torch.bool))
    assert found["share"] == found["high"] == 1
    assert 0.8 < found["low"] < 1
    assert estimated("mean", torch.tensor([1.0, 3.0]))["mean"] == 2


class Fading:
    """Answers with the query, darker as r falls."""

    def explain(self, images, target, relaxations):  # noqa: ARG002 - a method's signature
        return Counterfactuals(torch.stack([images * (0.5 + 0.5 * r) for r in relaxations]))


def bright(images):
    """Logits of a classifier that sees class 1 where the mean is above .6."""
    lead = 100 * (images.flatten(1).mean(1) - 0.6)
    return torch.stack([-lead, lead], dim=1)


def test_own_class_measures_what_is_lost():
    """A picture that is kept at r = 1 has no error there, and loses its class where it has become too dark."""
    queries, predicted = torch.ones(8, 1, 4, 4), torch.ones(8, dtype=torch.long)
    asked = Asked(queries, 1 - predicted, predicted, {}, bright, bright)
    outcome = own_class(Fading(), asked)
    rows = {row["r"]: row for row in outcome.studies["own-class"].rows}
    assert (rows[1.0]["MSE"], rows[1.0]["keeps its class"]) == (0, 1)
    assert (rows[0.0]["MSE"], rows[0.0]["keeps its class"]) == (0.25, 0)
    shown = outcome.illustrations["own-class"]
    assert shown.images.shape[:2] == (len(shown.captions), len(shown.headings))


@torch.no_grad()
def of_vaex(method=None, **refit):
    """What is asked of a small untrained `vaex`: three queries of it, one for each target."""
    method = method or vaex()
    queries, targets = pictures(CLASSES), torch.arange(CLASSES)
    predicted = method.classifier(queries).argmax(1)
    return method, Asked(queries, targets, predicted, {}, method.classifier, method.classifier, **refit)


@torch.no_grad()
def test_both_interventions_are_the_methods_own():
    """With the condition and z_0 set the rows are those of `explain`; every intervention has a row for each r."""
    method, asked = of_vaex()
    torch.manual_seed(3)
    rows = interventions(method, asked).studies["interventions"].rows
    torch.manual_seed(3)
    images = method.explain(asked.queries, asked.targets, FALLING).images
    own = [float((asked.classifier(part).argmax(1) == asked.targets).double().mean()) for part in images]
    assert [row["flip rate"] for row in rows if row["intervention"] == "both"] == own
    assert len(rows) == 3 * len(FALLING)


@torch.no_grad()
def test_prior_is_asked_of_every_class():
    """A row of the figure is a class, and its pictures are those of the condition alone."""
    method, asked = of_vaex()
    shown = prior(method, asked).illustrations["prior"]
    assert len(shown.images) == len(shown.captions) == CLASSES
    assert [row[0] for row in shown.captions] == [f"{{{c}}}" for c in range(CLASSES)]


@torch.no_grad()
def test_ablations_differ_in_what_is_left_out():
    """Each training is asked for with its settings alone; the same training gives the same rows but for its noise."""
    method, asked = of_vaex()
    told = []

    def refitted(**changes):
        told.append(changes)
        return method

    rows = ablations(method, replace(asked, refitted=refitted)).studies["ablations"].rows
    assert told == list(ABLATIONS.values())
    assert len(rows) == (1 + len(ABLATIONS)) * len(FALLING)
    assert len({row["training"] for row in rows}) == 1 + len(ABLATIONS)


def test_failed_experiment_is_a_warning(make_record, tmp_path, monkeypatch, caplog):
    """A page goes without an experiment that fails, and a line says why; to debug, it is an error."""

    def fails(*_):
        raise ZeroDivisionError("no luck")

    monkeypatch.setattr("benchmark.papers.running.conduct", fails)
    record = make_record("vaex")
    _conduct("vaex", record, Protocol(tmp_path))
    assert "ZeroDivisionError: no luck" in caplog.text
    with pytest.raises(ZeroDivisionError):
        _conduct("vaex", record, Protocol(tmp_path, raise_errors=True))


class Always(torch.nn.Module):
    """A judge that sees the same class in everything."""

    def __init__(self, label):
        super().__init__()
        self.label = label

    def forward(self, images):
        return torch.nn.functional.one_hot(torch.full((len(images),), self.label), 3).float()


@pytest.mark.parametrize(("labels", "share"), [((1, 1, 1), 1.0), ((1, 1, 2), 0.0)])
def test_panel_agrees_only_if_all_do(make_record, monkeypatch, tmp_path, labels, share):
    """A picture counts as agreed on if every judge sees the same class in it."""
    blank = torch.zeros(5, 1, 4, 4, dtype=torch.uint8)
    made = {f"sample.{name}": blank for name in ("samples", "hybrids a", "hybrids b")}
    monkeypatch.setattr("benchmark.papers.panel.find", lambda *_: (made, {}))
    judges = {f"judge {i}": Always(label) for i, label in enumerate(labels)}
    found = panel(make_record("hybrid", artefacts={"show": "show-x"}), judges, tmp_path)
    rows = {row["pictures"]: row for row in found["panel"].rows}
    assert {row["all agree"] for row in rows.values()} == {share}
    assert rows["hybrid"]["n"] == 10
    assert [row["judge 0"] for row in found["panel-examples"].rows] == ["1", "1"]


def test_panel_is_asked_of_the_first_hybrids_that_are_there(make_record, monkeypatch, tmp_path):
    """Where the pictures of one seed are gone those of the next are shown to the judges, and of one seed only."""
    blank = torch.zeros(5, 1, 4, 4, dtype=torch.uint8)
    there = {f"show-{seed}": {"sample.samples": blank, "sample.hybrids": blank} for seed in (1, 2)}
    monkeypatch.setattr("benchmark.papers.panel.find", lambda _, name: (there.get(name, {}), {}))
    monkeypatch.setattr("benchmark.papers.panel._judges", lambda *_: {f"judge {i}": Always(1) for i in range(2)})
    records = [make_record("hybrid", seed=seed, artefacts={"show": f"show-{seed}"}) for seed in (2, 0, 1)]
    assert [(one.seed, "panel" in one.studies) for one in with_panel(records, tmp_path)] == [
        (0, False),
        (1, True),
        (2, False),
    ]


def test_influence_at_the_fitted_number_is_the_modules_own():
    """At the K that was fitted the influence is the mean over the modules of each layer; every K is told."""
    config = HybridVaeConfig(generator=(8, 6, 4), encoder=(6, 8), latent=5, pairs=20, bank=10)
    method = Hybrid(config)
    torch.manual_seed(0)
    method.prepare((1, 13, 10), Places(20.0))
    network, generator = method.network.eval(), method.generator
    network.discover(generator, config.pairs, config.window, config.percentile)
    torch.manual_seed(1)
    own = [row for row in modules_study(network, generator, FEW).rows if row["remark"] != "empty"]
    torch.manual_seed(1)
    asked = Asked(torch.zeros(0, 1, 13, 10), torch.zeros(0), torch.zeros(0), {}, bright, bright)
    rows = influence_of_modules(method, asked).studies["module-count"].rows
    assert [(row["layers"], row["K"]) for row in rows] == [(p.name, k) for p in network.single_places for k in COUNTS]
    for row in (row for row in rows if row["K"] == config.clusters):
        each = [mine["individual influence"] for mine in own if mine["layers"] == row["layers"]]
        assert row["influence"] == pytest.approx(sum(each) / len(each), rel=1e-5)
        assert row["influence"] > 0
