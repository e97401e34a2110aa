from dataclasses import replace

import pytest
import torch
from sklearn.metrics import cohen_kappa_score
from torch import nn

from methods.dvae.collapse import LEAST_KAPPA, kappa, restart, told
from methods.dvae.method import Dvae
from methods.dvae.settings import DvaeConfig
from methods.training import Trainer
from tests.methods.test_dvae_method import DATA, SMALL, Places


def test_kappa_is_cohens():
    """κ is scikit-learn's, for classes that agree mostly, hardly, and less than by chance."""
    draws = torch.Generator().manual_seed(3)
    first = torch.randint(0, 4, (300,), generator=draws)
    kept = torch.rand(300, generator=draws)
    for share in (0.9, 0.3, 0.0):
        second = torch.where(kept < share, first, (first + 1) % 4)
        assert kappa(first, second) == pytest.approx(cohen_kappa_score(first, second), abs=1e-6)


def test_dead_latents_agree_by_chance():
    """One class for every image has κ = 0, however frequent the class is; the same classes have κ = 1."""
    seen = torch.tensor([0] * 97 + [1] * 3)
    assert kappa(seen, torch.zeros_like(seen)) == pytest.approx(0, abs=1e-6)
    assert kappa(seen, seen) == pytest.approx(1)
    assert kappa(torch.zeros(5).long(), torch.zeros(5).long()) == 1


def test_restart_draws_other_weights():
    """New weights depend on the seed alone, not on the weights before."""
    layers = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    weights = []
    for seed in (1, 2, 1):
        restart(layers, seed)
        weights.append(torch.cat([value.flatten().clone() for value in layers.state_dict().values()]))
    assert torch.equal(weights[0], weights[2])
    assert not (weights[0] == weights[1]).any()


def fitted(trainer, **settings):
    torch.manual_seed(0)
    return Dvae(DvaeConfig(**SMALL | settings)).fit(DATA, Places(), trainer=trainer)


def stages(method):
    """How many trainings each part had."""
    return [len(method.network.noted(part)) for part in ("dvae", "generator")]


@torch.no_grad()
def verdicts(method):
    """What the table of trainings says, an attempt a row."""
    return [row["collapsed"] for row in method.studies()["trainings"].rows]


@pytest.mark.slow
def test_collapsed_latents_are_trained_once_more():
    """A KL term that outweighs all else lets the latents die: seen, tried once more, and told."""
    method = fitted(Trainer(0), kl_weight=1e4, generator_min_steps=1)
    found = method.network.noted("dvae")
    assert len(found) == 2
    assert max(found) < LEAST_KAPPA
    assert verdicts(method)[:2] == ["yes", "yes"]


@pytest.mark.slow
def test_healthy_training_is_made_once():
    """What has not collapsed is not trained again, and tells so."""
    method = fitted(Trainer(0))
    assert stages(method) == [1, 1]
    assert verdicts(method) == ["no", "no"]


def test_another_stream_is_the_same_each_time():
    """The second attempt has a seed of its own, which the first one's determines, and nothing else differs."""
    first = Trainer(5, checkpoint_seconds=7.0)
    other = first.another()
    assert other.seed not in (first.seed, Trainer(6).another().seed)
    assert replace(other, seed=5) == first
    assert first.another() == other


@pytest.mark.slow
def test_measured_fit_is_not_repeated():
    """A trainer that only measures makes no second attempt."""

    class Measuring(Trainer):
        def another(self):
            return None

    assert stages(fitted(Measuring(0), kl_weight=1e4, generator_min_steps=1)) == [1, 1]


def test_told_in_order():
    """The table has a row an attempt."""
    rows = told({"dvae": [0.1, 0.9], "generator": [0.8]}).rows
    assert [(row["attempt"], row["collapsed"]) for row in rows] == [(1, "yes"), (2, "no"), (1, "no")]
