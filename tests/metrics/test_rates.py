import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score

from metrics.intervals import proportion
from metrics.rates import adversarial_flips, flip_rate, oracle_agreement, oracle_aware_flips, reconstruction_flips

PAIRS = [flip_rate, oracle_agreement, reconstruction_flips]
CLASSES = st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1, max_size=40)


def columns(rows):
    return torch.tensor(rows).unbind(1)


@pytest.mark.parametrize(("rate", "agreement"), [(flip_rate, 1), (oracle_agreement, 1), (reconstruction_flips, 0)])
def test_all_as_asked(rate, agreement):
    """Where all classes are as asked, every counterfactual succeeds and no reconstruction flips."""
    classes = torch.arange(50) % 10
    assert rate(classes, classes).value == agreement
    assert rate(classes, classes).n == 50


@pytest.mark.parametrize(("rate", "agreement"), [(flip_rate, 0), (oracle_agreement, 0), (reconstruction_flips, 1)])
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
    assert oracle_agreement(seen, wanted).value == pytest.approx(accuracy)
    assert reconstruction_flips(seen, wanted).value == pytest.approx(1 - accuracy)


@given(CLASSES)
def test_flips_are_confirmed_or_adversarial(rows):
    """Every flip is either confirmed by the oracle or adversarial."""
    seen, oracle, targets = columns(rows)
    confirmed = proportion((seen == targets) & (oracle == targets)).value
    adversarial = adversarial_flips(seen, oracle, targets).value
    assert oracle_aware_flips(seen, oracle, targets).value == confirmed
    assert confirmed + adversarial == pytest.approx(flip_rate(seen, targets).value)
    assert adversarial <= 1 - oracle_agreement(oracle, targets).value + 1e-12


@given(CLASSES, st.randoms(use_true_random=False))
def test_order_does_not_matter(rows, random):
    """The rates do not depend on the order of the queries."""
    shuffled = random.sample(rows, len(rows))
    before, after = columns(rows), columns(shuffled)
    assert adversarial_flips(*before) == adversarial_flips(*after)
    for rate in PAIRS:
        assert rate(*before[:2]) == rate(*after[:2])


def test_adversarial_needs_a_flip():
    """What fools nobody, and what convinces both, is not adversarial; what fools the classifier alone is."""
    targets = torch.tensor([1])
    other = torch.tensor([0])
    assert adversarial_flips(other, other, targets).value == 0
    assert adversarial_flips(other, targets, targets).value == 0
    assert adversarial_flips(targets, targets, targets).value == 0
    assert adversarial_flips(targets, other, targets).value == 1


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
    assert math.isnan(adversarial_flips(none, none, none).value)


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
    """One oracle's class for ten answers is refused, not broadcast."""
    with pytest.raises(ValueError, match="'answer_oracle_classes': 1"):
        adversarial_flips(torch.arange(10), torch.arange(1), torch.arange(10))
