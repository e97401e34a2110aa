import pytest
import torch

from metrics.concepts import agreement, change, mean_of_queries

OWN = torch.tensor([0, 1, 2, 0])


def test_perfect_and_useless():
    """What changes every class has changed all, what changes none has changed nothing; agreement is the opposite."""
    assert change(OWN + 1, OWN)[::3] == (1.0, 4)
    assert change(OWN, OWN).value == 0
    assert agreement(OWN, OWN)[::3] == (1.0, 4)
    assert agreement(OWN + 1, OWN).value == 0


def test_some():
    """One of four that differs is a quarter of change and three quarters of agreement, each within its interval."""
    other = torch.tensor([0, 1, 2, 1])
    for estimate, value in ((change(other, OWN), 0.25), (agreement(other, OWN), 0.75)):
        assert estimate.value == value
        assert 0 < estimate.low < value < estimate.high < 1


@pytest.mark.parametrize("metric", [change, agreement])
def test_nonsense(metric):
    """Classes that are no integers, or of other lengths, are refused."""
    for wrong in (OWN.float(), OWN[:3]):
        with pytest.raises(ValueError, match="class"):
            metric(wrong, OWN)


def test_mean_of_queries():
    """The mean over queries has its n, and lies within its interval."""
    estimate = mean_of_queries(torch.tensor([0.2, 0.4, 0.9]))
    assert (round(estimate.value, 6), estimate.n) == (0.5, 3)
    assert estimate.low < 0.5 < estimate.high
