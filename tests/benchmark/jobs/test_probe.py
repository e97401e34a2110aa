import torch

from benchmark.jobs.probe import DRAWS, NULL_EDITS, probed
from methods.base import Counterfactuals


class Mixer:
    """Moves a query half-way to its target's grey level, and darkens what it reconstructs."""

    takes_truth = False

    def __init__(self, noise=0.0):
        self.noise = noise

    def reconstruct(self, images):
        return 0.9 * images

    def explain(self, images, target, relaxations):
        grey = target.view(-1, 1, 1, 1).float().expand_as(images)
        moved = (images + grey) / 2 + self.noise * torch.rand_like(images)
        return Counterfactuals(torch.stack([r * images + (1 - r) * moved for r in relaxations]))


def asked(n=4):
    queries = 0.5 * torch.rand(n, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    return {"queries": queries, "targets": torch.ones(n).long(), "predicted": torch.zeros(n).long()}


def asked_again(method, at=0.0):
    given = asked()
    torch.manual_seed(0)
    edited = method.explain(given["queries"], given["targets"], [at]).images[0].clamp(0, 1)
    return given, edited, probed(method, given, at, edited, lambda number: 10 + number)


def test_null_edits_are_reconstructions_of_reconstructions():
    """A null edit reconstructs the last one."""
    given, _, found = asked_again(Mixer())
    torch.testing.assert_close(found["null_edits"], 0.9**NULL_EDITS * given["queries"])


def test_undoing_asks_the_answer_for_the_old_class():
    """What is undone is the answer's counterfactual for the query's class, at the same relaxation."""
    for at in (0.0, 0.5):
        _, edited, found = asked_again(Mixer(), at)
        torch.testing.assert_close(found["undone"], at * edited + (1 - at) * edited / 2)


def test_nudged_queries_are_the_queries_but_for_a_grey_level():
    """Every number moves by one level at most, and the answers to both are drawn alike, without chance between them."""
    for noise in (0.0, 0.1):
        found = asked_again(Mixer(noise))[2]
        moved = (found["nudged"] - found["draws"][:, -1]).abs() * 255
        assert moved.max() <= 0.5 + 1e-3  # of a level, because this method goes half of the way
        assert (moved > 0.4).double().mean() > 0.9


def test_draws_differ_by_chance_alone():
    """A method without chance draws the same answer each time, one with chance another; both do so again."""
    certain, noisy = asked_again(Mixer())[2]["draws"], asked_again(Mixer(0.1))[2]["draws"]
    assert certain.shape == noisy.shape == (4, DRAWS, 1, 3, 3)
    assert all(torch.equal(certain[:, 0], certain[:, k]) for k in range(DRAWS))
    assert not torch.equal(noisy[:, 0], noisy[:, 1])
    assert torch.equal(noisy, asked_again(Mixer(0.1))[2]["draws"])
