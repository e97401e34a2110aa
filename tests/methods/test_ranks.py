import torch

from methods.ranks import chosen, lead

NEVER = 6
RANKS = torch.tensor([[2, NEVER, 0, 3, 1, NEVER], [NEVER] * 6, [5, 4, 3, 2, 1, 0]])


def test_lead_is_positive_where_the_target_wins():
    """The lead is the target's logit over the best other one: positive just where argmax names it."""
    logits, target = torch.randn(200, 4), torch.arange(200) % 4
    leads = lead(logits, target)
    assert torch.equal(leads > 0, logits.argmax(1) == target)
    torch.testing.assert_close(lead(logits[:, :2], target % 2), (logits[:, 0] - logits[:, 1]) * (1 - 2 * (target % 2)))


def test_the_first_share_of_the_changes_is_chosen():
    """At r all but the last share r of the changes are made, rounded, in their order; what has no rank stays."""
    for r, counts in ((0.0, (4, 0, 6)), (0.25, (3, 0, 4)), (0.9, (0, 0, 1)), (1.0, (0, 0, 0))):
        wanted = [sorted(row.tolist())[:count] for row, count in zip(RANKS, counts, strict=True)]
        found = chosen(RANKS, r)
        assert [sorted(row[made].tolist()) for row, made in zip(RANKS, found, strict=True)] == wanted
