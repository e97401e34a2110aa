import itertools

import pytest
import torch

from methods.dvae.flips import everything, flipped, greedy, single

BITS, CLASSES = 6, 3


@pytest.fixture
def judge():
    """Leads of a linear classifier of the code: each bit speaks for or against a class."""
    weights = torch.randn(BITS, CLASSES, generator=torch.Generator().manual_seed(2))

    def leads(bits, target):
        logits = bits.float() @ weights
        own = logits.gather(1, target[:, None])[:, 0]
        return own - logits.scatter(1, target[:, None], -torch.inf).amax(1)

    return leads


@pytest.fixture
def asked():
    """All codes, each asked for each class."""
    codes = torch.tensor(list(itertools.product([False, True], repeat=BITS)))
    return codes.repeat(CLASSES, 1), torch.arange(CLASSES).repeat_interleave(len(codes))


def chosen(ranks):
    return (ranks < BITS).sum(1)


def test_flipping_twice_is_the_identity(judge, asked):
    """The same flips applied to what they made give back the code."""
    bits, target = asked
    for choose in (single, everything, greedy):
        ranks = choose(judge, bits, target)
        assert torch.equal(flipped(flipped(bits, ranks, 0.0), ranks, 0.0), bits)


def test_kept_share_is_of_the_flipped_bits(judge, asked):
    """At r = 1 nothing is flipped; at r the least influential share r of the flips is left out, to the nearest bit."""
    bits, target = asked
    ranks = everything(judge, bits, target)
    assert torch.equal(flipped(bits, ranks, 1.0), bits)
    assert torch.equal(flipped(bits, ranks, 0.0), ~bits)
    assert torch.equal(flipped(bits, ranks, 0.5) ^ bits, ranks < BITS / 2)


def test_fewer_flips_are_part_of_more(judge, asked):
    """What is flipped at one r is flipped at every smaller r too."""
    bits, target = asked
    ranks = greedy(judge, bits, target)
    changes = [flipped(bits, ranks, r) ^ bits for r in (1.0, 0.8, 0.6, 0.4, 0.2, 0.0)]
    assert all((fewer <= more).all() for fewer, more in itertools.pairwise(changes))


def test_single_is_the_best_of_all_single_flips(judge, asked):
    """One bit is flipped, and no other one would bring the target further."""
    bits, target = asked
    ranks = single(judge, bits, target)
    assert (chosen(ranks) == 1).all()
    best = torch.stack([judge(bits ^ torch.eye(BITS, dtype=torch.bool)[bit], target) for bit in range(BITS)]).amax(0)
    assert torch.equal(judge(flipped(bits, ranks, 0.0), target), best)


def test_greedy_stops_where_the_target_leads(judge, asked):
    """Greedy flips just until the target leads: never where it does already, and not with the last flip undone."""
    bits, target = asked
    ranks = greedy(judge, bits, target)
    found = flipped(bits, ranks, 0.0)
    reached = judge(found, target) > 0
    assert (chosen(ranks)[judge(bits, target) > 0] == 0).all()
    last = ranks == (chosen(ranks) - 1)[:, None]
    several = reached & (chosen(ranks) > 0)
    assert (judge(found ^ last, target)[several] <= 0).all()


@pytest.mark.parametrize("margin", [0.0, 0.5, 2.0])
def test_margin_is_reached_or_all_bits_were_tried(judge, asked, margin):
    """The lead exceeds the margin, or the flips are the best of a search that tried all bits; no flip is dropped."""
    bits, target = asked
    ranks, least, exhausted = (greedy(judge, bits, target, margin=enough) for enough in (margin, 0.0, torch.inf))
    reached = judge(flipped(bits, ranks, 0.0), target) > margin
    assert reached.any()
    assert torch.equal(ranks[~reached], exhausted[~reached])
    assert ((least < BITS) <= (ranks < BITS))[reached].all()


def test_greedy_is_exact_where_bits_add_up(asked):
    """Of two classes that bits vote for independently, greedy needs as few flips as an exhaustive search."""
    bits, _ = asked
    votes = torch.tensor([0.9, -0.7, 0.5, 0.31, -0.2, 0.1])

    def leads(codes, _):
        return codes.float() @ votes - 0.6

    ranks = greedy(leads, bits, torch.zeros(len(bits), dtype=torch.long))
    masks = torch.tensor(list(itertools.product([False, True], repeat=BITS)))
    for code, count in zip(bits[:64], chosen(ranks), strict=False):
        wins = leads(code ^ masks, None) > 0
        assert count == masks[wins].sum(1).min()


def test_greedy_keeps_the_nearest_miss(asked):
    """Where no flips make the target lead, those that come nearest are kept."""
    bits, target = asked

    def leads(codes, _):
        return -(codes.sum(1) - 2).abs().float() - 1

    assert (flipped(bits, greedy(leads, bits, target), 0.0).sum(1) == 2).all()


def test_greedy_goes_on_from_earlier_flips(judge, asked):
    """Flips that were decided on before stay, in their order, and later ones come behind them."""
    bits, target = asked
    before = single(judge, bits, target)
    after = greedy(judge, bits, target, before)
    assert (after[before == 0] == 0).all()
    assert (chosen(after) >= 1).all()


@pytest.mark.parametrize("choose", [single, everything, greedy])
def test_queries_do_not_know_each_other(judge, asked, choose):
    """Each query gets the flips that it gets alone; no query gets none."""
    bits, target = asked
    together = choose(judge, bits, target)
    alone = [choose(judge, bits[i : i + 1], target[i : i + 1]) for i in range(0, len(bits), 7)]
    assert torch.equal(together[::7], torch.cat(alone))
    assert choose(judge, bits[:0], target[:0]).shape == (0, BITS)
