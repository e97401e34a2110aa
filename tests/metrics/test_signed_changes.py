import pytest
import torch

from metrics.bias import Side, bias, scores, signed_changes, standardised

DIRECTIONS = torch.tensor([-1.0, 0, 0, 0])  # the first attribute is planted, and moves against the label
OUTSIDE = torch.tensor([False, True, True, False])  # the last is the label's own


def side(rates, seeds=3, queries=160, seed=0, valid=1.0):
    """Changes that happen at signed `rates` (K,)."""
    random = torch.Generator().manual_seed(seed)
    drawn = torch.rand(seeds, queries, len(rates), generator=random) < torch.tensor(rates).abs()
    answered = torch.rand(seeds, queries, generator=random) < valid
    return Side(drawn.to(torch.int8) * torch.tensor(rates).sign().to(torch.int8), answered)


def test_signed_changes_follow_the_target():
    """An attribute that follows the class counts 1 either way; one that appears whatever the target cancels out."""
    target = torch.tensor([0, 1])
    before = torch.tensor([[True, False], [False, False]])
    after = torch.tensor([[False, True], [True, True]])
    changes = signed_changes(before, after, target)
    assert changes.tolist() == [[1, -1], [1, 1]]
    both = scores(Side(changes[None], torch.ones(1, 2, dtype=torch.bool)))
    assert both.tolist() == [1, 0]


def test_undoing_turns_the_sign():
    """From answer to query each signed change is that of the way there, turned, for the same target."""
    random = torch.Generator().manual_seed(0)
    before, after = torch.rand(2, 50, 4, generator=random) < 0.5
    target = torch.randint(2, (50,), generator=random)
    assert torch.equal(signed_changes(before, after, target), -signed_changes(after, before, target))


def test_identical_classifiers_are_no_discovery():
    """Two classifiers of which a method shows the same have gaps of zero, the last rank, and no discovery."""
    one = side([-0.5, 0.2, 0.1, 0.9])
    found = bias(one, one, DIRECTIONS, OUTSIDE)
    assert not found.gaps.any()
    assert found.rank == 3
    assert tuple(found.lead[:3]) == (0, 0, 0)
    assert not found.discovered


def test_planted_change_is_discovered():
    """A planted attribute that changes much, and in the planted direction, is found and leads by its own gap."""
    found = bias(side([-0.6, 0.1, 0.1, 0.5]), side([0.0, 0.1, 0.1, 0.9], seed=1), DIRECTIONS, OUTSIDE)
    assert found.rank == 1
    assert found.discovered
    assert found.lead.low < found.lead.value < found.lead.high
    assert found.lead.value == pytest.approx(float(-found.gaps[0] - found.gaps[1:3].abs().max()))


def test_wrong_direction_is_no_discovery():
    """The same change the wrong way ranks last."""
    found = bias(side([0.6, 0.1, 0.1, 0.5]), side([0.0, 0.1, 0.1, 0.9], seed=1), DIRECTIONS, OUTSIDE)
    assert found.rank == 3
    assert not found.discovered


@pytest.mark.parametrize(("many", "few"), [(5, 0), (2, 1), (7, 4)])
def test_ties_rank_worst(many, few):
    """An attribute outside the family whose gap is as great, in either direction, stands before it."""
    valid = torch.ones(1, 10, dtype=torch.bool)
    changed, less = torch.zeros(1, 10, 4), torch.zeros(1, 10, 4)
    changed[:, :many, 0], less[:, :few, 0] = -1, -1  # the family's gap is that of two scores,
    changed[:, : many - few, 1] = 1  # its rival's the same at once
    found = bias(Side(changed, valid), Side(less, valid), DIRECTIONS, OUTSIDE)
    assert found.rank == 2
    assert found.lead.value == 0
    assert not found.discovered


def test_label_is_no_rival():
    """What the label's own attribute does changes nothing."""
    one, other = side([-0.6, 0.1, 0.1, 0.5]), side([0.0, 0.1, 0.1, 0.9], seed=1)
    more = Side(one.changes.clone(), one.valid)
    more.changes[..., 3] = -1
    assert bias(more, other, DIRECTIONS, OUTSIDE).lead == bias(one, other, DIRECTIONS, OUTSIDE).lead


def test_best_member_speaks_for_the_family():
    """A family leads by the greatest gap of its members, each in its own direction."""
    directions = torch.tensor([-1.0, 1.0, 0, 0])
    outside = torch.tensor([False, False, True, False])
    found = bias(side([-0.2, 0.7, 0.0, 0.0]), side([0.0, 0.0, 0.0, 0.0]), directions, outside)
    assert found.lead.value == pytest.approx(float(found.gaps[1]))


def test_invalid_answers_change_nothing_over_all():
    """Over all queries an answer that is not valid counts as unchanged; over valid ones it does not count."""
    one = side([-0.5, 0.0, 0.0, 0.0], valid=0.4)
    share = one.valid.double().mean()
    assert scores(one.all)[0] == pytest.approx(float(scores(one)[0] * share))


def test_nothing_valid_is_no_discovery():
    """Where no answer is valid the lead over valid ones is not defined, over all it is zero: neither is a discovery."""
    none = side([-0.5, 0.0, 0.0, 0.0], valid=0.0)
    over_valid = bias(none, side([0.0] * 4), DIRECTIONS, OUTSIDE)
    assert over_valid.lead.value != over_valid.lead.value
    assert not over_valid.discovered
    assert not bias(none.all, side([0.0] * 4).all, DIRECTIONS, OUTSIDE).discovered


@pytest.mark.slow
def test_interval_covers():
    """The interval of the lead holds the true one in most of many draws; under no bias it is seldom above zero."""
    true, held, found = 0.3 - 0.1, 0, 0
    for seed in range(60):
        shown = bias(side([-0.3, 0.1, 0, 0], seed=seed), side([0.0] * 4, seed=100 + seed), DIRECTIONS, OUTSIDE)
        held += shown.lead.low <= true <= shown.lead.high
        chance = bias(side([-0.3, 0.3, 0, 0], seed=seed), side([-0.3, 0.3, 0, 0], seed=seed + 200), DIRECTIONS, OUTSIDE)
        found += chance.discovered
    assert held >= 52
    assert found <= 3


def explained(rate, shares, seed, *, asks, others=0.05, seeds=3, queries=160):
    """(side, before, target) of a classifier that gives class 1 to `shares` of those with and without the attribute.

    A method changes that attribute at `rate`: of every answer, or, where it `asks` the classifier, of those whose class
    the attribute speaks for; all others at the rate `others`, by chance.
    """
    random = torch.Generator().manual_seed(seed)
    drawn = torch.rand(4, seeds, queries, 4, generator=random)
    before = drawn[0] < 0.5
    given = torch.where(before[..., 0], *map(torch.tensor, shares))
    target = 1 - (drawn[1, ..., 0] < given).long()
    changed = drawn[2] < torch.tensor([rate, others, others, 0.5])
    changed[..., 0] &= (target == before[..., 0]) | (not asks)
    sides = [signed_changes(b, b ^ c, t) for b, c, t in zip(before, changed, target, strict=True)]
    return Side(torch.stack(sides), torch.ones(seeds, queries, dtype=torch.bool)), before, target


def strict(biased, unbiased):
    return bias(standardised(*biased), standardised(*unbiased), DIRECTIONS, OUTSIDE)


@pytest.mark.parametrize("shares", [(0.26, 0.74), (0.1, 0.85)])
@pytest.mark.slow
def test_changes_by_chance_are_no_strict_discovery(shares):
    """What changes whatever the target looks like the bias that decides the target, and not once it is standardised."""
    plainly = strictly = 0
    for seed in range(40):
        biased = explained(0.5, shares, seed, asks=False)
        unbiased = explained(0.5, (0.5, 0.5), 1000 + seed, asks=False)
        plainly += bias(biased[0], unbiased[0], DIRECTIONS, OUTSIDE).discovered
        strictly += strict(biased, unbiased).discovered
    assert plainly >= 25
    assert strictly <= 3


@pytest.mark.parametrize("shares", [(0.26, 0.74), (0.1, 0.85)])
@pytest.mark.slow
def test_planted_change_is_a_strict_discovery(shares):
    """A method that changes the attribute where it speaks for the class is found under standardised changes too."""
    found = [
        strict(explained(0.5, shares, seed, asks=True), explained(0.0, (0.5, 0.5), 100 + seed, asks=True)).discovered
        for seed in range(20)
    ]
    assert sum(found) >= 19


def test_balanced_targets_need_no_weights():
    """Where answers in either state have either target equally often standardised changes are the changes."""
    before = torch.tensor([True, True, False, False, True, True, False, False])[None, :, None].expand(1, 8, 2)
    target = torch.tensor([[0, 1, 0, 1, 0, 1, 0, 1]])
    changes = torch.tensor([[1, -1], [0, 1], [1, 0], [1, 1], [0, 0], [-1, 0], [0, 1], [-1, -1]], dtype=torch.int8)[None]
    one = Side(changes, torch.ones(1, 8, dtype=torch.bool))
    assert torch.equal(standardised(one, before, target).changes, changes.double())


def test_state_with_one_target_says_nothing():
    """Answers in a state that all have one target count as unchanged, for nothing tells chance from the bias there."""
    before = torch.tensor([True, True, False, False])[None, :, None]
    target = torch.tensor([[1, 1, 0, 1]])
    one = Side(torch.ones(1, 4, 1, dtype=torch.int8), torch.ones(1, 4, dtype=torch.bool))
    assert standardised(one, before, target).changes.flatten().tolist() == [0, 0, 1, 1]


def test_standardised_refuses_other_shapes():
    """States need the shape of changes, and targets that of answers."""
    one = side([0.0] * 4)
    with pytest.raises(ValueError, match="must be as"):
        standardised(one, torch.zeros(3, 160, 3) > 0, torch.zeros(3, 160))


def test_seeds_widen_the_interval():
    """Classifiers that differ from seed to seed make the interval wider than as many queries of one that does not."""
    alike = side([-0.5, 0.0, 0.0, 0.0], seeds=4)
    apart = Side(alike.changes.clone(), alike.valid)
    apart.changes[:2], apart.changes[2:] = torch.tensor([-1.0, 0, 0, 0]), 0
    zero = side([0.0] * 4, seeds=4)
    widths = []
    for one in (alike, apart):
        lead = bias(one, zero, DIRECTIONS, OUTSIDE).lead
        widths.append(lead.high - lead.low)
    assert widths[1] > 3 * widths[0]


@pytest.mark.parametrize(
    ("before", "after", "target"),
    [
        (torch.zeros(2, 3), torch.zeros(2, 3), torch.zeros(2)),
        (torch.zeros(2, 3) > 0, torch.zeros(2, 4) > 0, torch.zeros(2)),
        (torch.zeros(2, 3) > 0, torch.zeros(2, 3) > 0, torch.zeros(3)),
        (torch.zeros(2, 3) > 0, torch.zeros(2, 3) > 0, torch.tensor([0, 2])),
    ],
)
def test_other_input_is_refused(before, after, target):
    """Attributes that are not bool, shapes that do not agree and other classes than two are refused."""
    with pytest.raises(ValueError, match=r"must be|two classes"):
        signed_changes(before, after, target)


def test_lead_needs_two_parties():
    """Without a family, without anything outside it, or with one in both, there is no lead."""
    one = side([0.0] * 4)
    for directions, outside in (
        (0 * DIRECTIONS, OUTSIDE),
        (DIRECTIONS, OUTSIDE & False),
        (DIRECTIONS, torch.tensor([True, True, False, False])),
    ):
        with pytest.raises(ValueError, match="outside"):
            bias(one, one, directions, outside)
