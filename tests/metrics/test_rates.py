import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score

from metrics.rates import (
    adversarial_flips,
    flip_rate,
    oracle_agreement,
    oracle_aware_flips,
    oracle_disagreement,
    reconstruction_flips,
)

PAIRS = [flip_rate, reconstruction_flips]
PANELS = st.lists(st.lists(st.integers(0, 3), min_size=5, max_size=5), min_size=1, max_size=40)
"""Of each counterfactual the classifier's class, the target, and the classes that three oracles see."""
CLASSES = st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1, max_size=40)


def columns(rows):
    return torch.tensor(rows).unbind(1)


def of_panel(rows):
    table = torch.tensor(rows)
    return table[:, 0], table[:, 1], table[:, 2:]


def one_oracle(classes, targets):
    """The agreement of a panel of one."""
    return oracle_agreement(classes[:, None], targets)


@pytest.mark.parametrize(("rate", "agreement"), [(flip_rate, 1), (one_oracle, 1), (reconstruction_flips, 0)])
def test_all_as_asked(rate, agreement):
    """Where all classes are as asked, every counterfactual succeeds and no reconstruction flips."""
    classes = torch.arange(50) % 10
    assert rate(classes, classes).value == agreement
    assert rate(classes, classes).n == 50


@pytest.mark.parametrize(("rate", "agreement"), [(flip_rate, 0), (one_oracle, 0), (reconstruction_flips, 1)])
def test_none_as_asked(rate, agreement):
    """Where no class is as asked, no counterfactual succeeds and every reconstruction flips."""
    classes = torch.arange(50) % 10
    assert rate(classes, 9 - classes).value == agreement


@given(CLASSES)
def test_rates_are_accuracies(rows):
    """Flip rate and oracle agreement are the accuracy towards the target, reconstruction flips an error rate."""
    seen, wanted, _ = columns(rows)
    accuracy = accuracy_score(wanted, seen)
    assert flip_rate(seen, wanted).value == pytest.approx(accuracy)
    assert one_oracle(seen, wanted).value == pytest.approx(accuracy)
    assert reconstruction_flips(seen, wanted).value == pytest.approx(1 - accuracy)


@given(PANELS)
def test_a_panel_is_the_mean_of_its_members(rows):
    """What is said of a panel is the mean of what is said of each oracle alone; so is each counterfactual's share."""
    seen, targets, votes = of_panel(rows)
    for metric, flips in ((oracle_agreement, ()), (adversarial_flips, (seen,)), (oracle_aware_flips, (seen,))):
        alone = [metric(*flips, votes[:, [place]], targets) for place in range(3)]
        together = metric(*flips, votes, targets)
        assert together.value == pytest.approx(sum(one.value for one in alone) / 3)
        torch.testing.assert_close(together.values, sum(one.values for one in alone) / 3)


@given(PANELS)
def test_flips_are_confirmed_or_adversarial(rows):
    """Every flip is confirmed by the oracles or adversarial, in shares that sum to one."""
    seen, targets, votes = of_panel(rows)
    confirmed, adversarial = (rate(seen, votes, targets).value for rate in (oracle_aware_flips, adversarial_flips))
    assert confirmed + adversarial == pytest.approx(flip_rate(seen, targets).value)
    assert adversarial <= 1 - oracle_agreement(votes, targets).value + 1e-12


@given(PANELS)
def test_disagreement_needs_two(rows):
    """One oracle, or several that see the same, never disagree; where they do, not all of them see the target."""
    _, targets, votes = of_panel(rows)
    assert oracle_disagreement(votes[:, :1]).value == 0
    assert oracle_disagreement(votes[:, :1].expand(-1, 3)).value == 0
    apart = oracle_disagreement(votes).values
    assert apart.tolist() == [len(set(row)) > 1 for row in votes.tolist()]
    assert not (apart & (votes == targets[:, None]).all(1)).any()


@given(CLASSES, st.randoms(use_true_random=False))
def test_order_does_not_matter(rows, random):
    """The rates do not depend on the order of the queries."""
    shuffled = random.sample(rows, len(rows))
    before, after = columns(rows), columns(shuffled)
    for rate in PAIRS:
        assert rate(*before[:2]) == rate(*after[:2])


def test_adversarial_needs_a_flip():
    """What fools nobody, and what convinces both, is not adversarial; what fools the classifier alone is."""
    targets = torch.tensor([1])
    other = torch.tensor([0])
    assert adversarial_flips(other, other[:, None], targets).value == 0
    assert adversarial_flips(other, targets[:, None], targets).value == 0
    assert adversarial_flips(targets, targets[:, None], targets).value == 0
    assert adversarial_flips(targets, other[:, None], targets).value == 1


def test_one_query():
    """One query gives a rate of zero or one with a Wilson interval."""
    value, low, high, n = flip_rate(torch.tensor([3]), torch.tensor([4]))
    assert (value, low, n) == (0, 0, 1)
    assert 0 < high < 1


@pytest.mark.parametrize("rate", PAIRS)
def test_no_query(rate):
    """Over an empty subset there is no rate."""
    none = torch.zeros(0, dtype=torch.long)
    assert rate(none, none).n == 0
    assert math.isnan(rate(none, none).value)


def test_no_query_is_not_adversarial():
    """Over an empty subset there is no share of adversarial flips."""
    none = torch.zeros(0, dtype=torch.long)
    assert math.isnan(adversarial_flips(none, none[:, None], none).value)


@pytest.mark.parametrize("rate", PAIRS)
@pytest.mark.parametrize("wrong", [torch.tensor([math.nan, 1.0]), torch.ones(2, 1).long(), torch.tensor([True, True])])
def test_classes_are_integers(rate, wrong):
    """Classes that are NaN, logits or bool are refused, in either place."""
    classes = torch.tensor([0, 1])
    with pytest.raises(ValueError, match="must be integer classes"):
        rate(wrong, classes)
    with pytest.raises(ValueError, match="must be integer classes"):
        rate(classes, wrong)


@pytest.mark.parametrize("rate", PAIRS)
def test_lengths_must_agree(rate):
    """One target for ten answers is refused, not broadcast."""
    with pytest.raises(ValueError, match="differ in length"):
        rate(torch.arange(10), torch.arange(1))


def test_lengths_of_all_three_must_agree():
    """Votes on one answer are refused for ten, not broadcast."""
    with pytest.raises(ValueError, match="judge 1 counterfactuals, and there are 10"):
        adversarial_flips(torch.arange(10), torch.arange(1)[:, None], torch.arange(10))


@pytest.mark.parametrize("wrong", [torch.ones(2), torch.ones(2, 0).long(), torch.ones(2, 3), torch.ones(2, 2).bool()])
def test_votes_are_classes_of_at_least_one_oracle(wrong):
    """Votes without oracles, and what is no class, are refused."""
    for rate in (lambda votes: oracle_agreement(votes, torch.tensor([0, 1])), oracle_disagreement):
        with pytest.raises(ValueError, match="votes must be integer classes"):
            rate(wrong)
