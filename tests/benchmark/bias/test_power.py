import pytest
import torch

from benchmark.bias.power import PUSHES, Planted, Unbiased, _pushed, in_words, missed, power, unbiased_of
from metrics.bias import signed_changes

SEEDS, QUERIES, ATTRIBUTES = 6, 80, 4
PLANTED = Planted(torch.tensor([-1, 0, 0, 0]), 0, torch.tensor([False, True, True, True]))


def answers(noise, seed=0, trainings=SEEDS, n=QUERIES):
    """Answers to unbiased classifiers that change each attribute by chance, in a share of `noise`; and targets."""
    random = torch.Generator().manual_seed(seed)
    before = (torch.rand(n, ATTRIBUTES, generator=random) < 0.5).expand(trainings, -1, -1)
    moved = torch.rand(trainings, n, ATTRIBUTES, generator=random) < noise
    target = (torch.rand(trainings, n, generator=random) < 0.5).long()
    changes = torch.where(moved, 1 - 2 * before.long(), 0)
    has = before[0, :, 0]
    swayed = torch.where(torch.rand(3, n, generator=random) < 0.7, has, ~has).long()  # the biased classifiers'
    return Unbiased(before, changes, target, torch.ones(trainings, n, dtype=torch.bool)), swayed


@pytest.mark.slow
def test_a_larger_push_is_found_more_often():
    """Power grows with the push: none is hardly ever found, a push of nearly all answers always."""
    unbiased, asked = answers(0.1)
    found = [power(unbiased, asked, PLANTED, push, (3, QUERIES)) for push in (0.0, 0.3, 0.9)]
    assert found[0] <= 0.1
    assert found[0] <= found[1] <= found[2]
    assert found[2] >= 0.9


@pytest.mark.slow
def test_noise_hides_a_push():
    """What a method changes by chance hides a bias that a quiet method would show."""
    quiet, loud = (power(*answers(noise), PLANTED, 0.3, (3, QUERIES)) for noise in (0.02, 0.45))
    assert quiet > loud


@pytest.mark.slow
def test_missed_is_the_push_from_which_on_all_are_found():
    """Every larger push of the list is found in 80 %, and the one below is not."""
    unbiased, asked = answers(0.1)
    smallest = missed(unbiased, asked, PLANTED)
    assert smallest in PUSHES
    for push in PUSHES:
        assert (power(unbiased, asked, PLANTED, push, (3, QUERIES)) >= 0.8) is (push >= smallest)


def test_what_shows_no_push_could_miss_any():
    """Where no answer is valid, no bias is ever found, and the table says so."""
    unbiased, asked = answers(0.1)
    silent = unbiased._replace(valid=torch.zeros_like(unbiased.valid))
    assert power(silent, asked, PLANTED, 0.9, (3, QUERIES), count=3) == 0
    assert in_words(None) == "any, even of 90 points"
    assert in_words(0.3) == "below 30 points"


def test_pushed_answers_end_as_the_bias_wants():
    """A pushed answer has the planted attribute that goes with its target, and no other answer or attribute moves."""
    unbiased, asked = answers(0.2, trainings=3)
    which = torch.rand(3, QUERIES) < 0.5
    pushed = _pushed(unbiased, asked, PLANTED, which)
    after = pushed.before[..., 0].long() + pushed.changes[..., 0]
    assert torch.equal(after[which], 1 - asked[which])
    assert torch.equal(pushed.changes[..., 1:], unbiased.changes[..., 1:])
    assert torch.equal(pushed.changes[~which], unbiased.changes[~which])


def test_changes_lose_and_regain_their_sign():
    """Signed changes, as they are stored, are unsigned and signed again for the same targets without loss."""
    random = torch.Generator().manual_seed(0)
    before, after = (torch.rand(2, 30, ATTRIBUTES + 1, generator=random) < 0.5 for _ in range(2))
    target = (torch.rand(2, 30, generator=random) < 0.5).long()
    kept = torch.tensor([True, True, False, True, True])
    stored = [
        {"before": b, "changes": signed_changes(b, a, t), "target": t, "valid": torch.ones(30, dtype=torch.bool)}
        for b, a, t in zip(before, after, target, strict=True)
    ]
    found = unbiased_of(stored, kept)
    assert torch.equal(found.changes, (after.long() - before.long())[..., kept])
    assert torch.equal(found.all.changes, torch.stack([part["changes"][:, kept] for part in stored]).long())
