import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from metrics.attributes import correlation_difference, label_variation
from metrics.truth import mnac

N, A = 400, 3


@pytest.fixture
def random():
    return torch.Generator().manual_seed(0)


def flags(random, *shape, share=0.5):
    return torch.rand(*shape, generator=random) < share


def flipped(random):
    """Queries of both classes whose asked attribute changes in every answer: (found, before)."""
    before = flags(random, N)
    return ~before, before


# -- correlation difference --------------------------------------------------------------------------------------------


def test_what_changes_alone_has_the_datas_correlations(random):
    """Answers that change nothing else in data whose attributes are independent differ from the data by nothing."""
    others, asked = flags(random, N, A), flipped(random)
    assert correlation_difference(others, others, *asked, [0.0] * A).value == 0


def test_what_changes_all_alike_differs_most(random):
    """Attributes that always change with the asked one, where the data have the opposite, are 2 apart."""
    found, before = flipped(random)
    others = [side[:, None].expand(N, A) for side in (found, before)]
    assert correlation_difference(*others, found, before, [0.0] * A).value == pytest.approx(1)
    assert correlation_difference(*others, found, before, [1.0] * A).value == pytest.approx(0, abs=1e-12)
    assert correlation_difference(*others, found, before, [-1.0] * A).value == pytest.approx(2)


def test_answers_drawn_from_the_data_differ_little(random):
    """Pairs of independent pictures of the data, as answers to each other, have the data's own correlations."""
    labels = flags(random, 2, 20_000)
    other = torch.where(flags(random, 2, 20_000, share=0.6), labels, ~labels)  # correlation .2
    found = correlation_difference(other[0, :, None], other[1, :, None], labels[0], labels[1], [0.2])
    assert found.value < 0.03
    assert found.high < 0.05


def test_correlations_are_scipys(random):
    """Each attribute's correlation is Pearson's, as scipy computes it."""
    found, before, asked = flags(random, N, A), flags(random, N, A, share=0.3), (flags(random, N), flags(random, N))
    labels = [0.5, -0.2, 0.0]
    changes = found.numpy().astype(int) - before.numpy()
    own = asked[0].numpy().astype(int) - asked[1].numpy()
    expected = [stats.pearsonr(changes[:, a], own).statistic - labels[a] for a in range(A)]
    estimate = correlation_difference(found, before, *asked, labels)
    assert estimate.value == pytest.approx(np.abs(expected).mean())
    assert estimate.low <= estimate.value <= estimate.high
    assert estimate.n == N


@pytest.mark.parametrize("n", [0, 1, 50])
def test_nothing_goes_with_what_never_changes(random, n):
    """If the asked attribute stays, no correlation is defined."""
    asked = flags(random, n)
    estimate = correlation_difference(flags(random, n, A), flags(random, n, A), asked, asked, [0.0] * A)
    assert all(map(math.isnan, estimate[:3]))
    assert estimate.n == n


def test_order_does_not_matter(random):
    """Pairs in another order give the same difference."""
    found, before, asked = flags(random, N, A), flags(random, N, A), flipped(random)
    order = torch.randperm(N, generator=random)
    one = correlation_difference(found, before, *asked, [0.0] * A)
    other = correlation_difference(found[order], before[order], *(part[order] for part in asked), [0.0] * A)
    assert one.value == pytest.approx(other.value)


def test_difference_refuses_what_does_not_fit(random):
    """Attributes are bool, and as many as correlations."""
    asked = flipped(random)
    with pytest.raises(ValueError, match="bool"):
        correlation_difference(torch.zeros(N, A), torch.zeros(N, A), *asked, [0.0] * A)
    with pytest.raises(ValueError, match="correlations"):
        correlation_difference(flags(random, N, A), flags(random, N, A), *asked, [0.0] * (A + 1))


# -- label variation ---------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20))
def test_variation_is_scipys_divergence(pairs):
    """It is the squared Jensen-Shannon distance of scipy, in bits, and the same both ways."""
    p, q = (torch.tensor(side, dtype=torch.float64)[:, None] for side in zip(*pairs, strict=True))
    expected = np.mean([jensenshannon([a, 1 - a], [b, 1 - b], base=2) ** 2 for a, b in pairs])
    assert label_variation(p, q).value == pytest.approx(expected, abs=1e-7)
    assert label_variation(q, p).value == pytest.approx(label_variation(p, q).value, abs=1e-12)


def test_variation_from_nothing_to_all(random):
    """Outputs that stay vary by 0, the opposite by 1, and a shift below the threshold is seen."""
    p = torch.rand(N, A, generator=random)
    assert label_variation(p, p).value == pytest.approx(0, abs=1e-12)
    sure = flags(random, N, A).double()
    assert label_variation(sure, 1 - sure).value == 1
    assert label_variation(torch.full((N, A), 0.9), torch.full((N, A), 0.6)).value > 0.08
    assert math.isnan(label_variation(torch.zeros(0, A), torch.zeros(0, A)).value)


def test_variation_refuses_what_is_no_probability():
    """Outputs are probabilities, as many after as before."""
    with pytest.raises(ValueError, match="in \\[0, 1\\]"):
        label_variation(torch.full((2, 1), 1.5), torch.zeros(2, 1))
    with pytest.raises(ValueError, match="alike"):
        label_variation(torch.zeros(2, 1), torch.zeros(3, 1))


# -- MNAC as published -------------------------------------------------------------------------------------------------


def test_published_mnac_counts_the_asked_attribute_too(random):
    """With the asked attribute among those counted, the number is larger by the share of answers that change it."""
    found, before, asked = flags(random, N, A), flags(random, N, A), (flags(random, N), flags(random, N))
    both = [torch.cat([of_asked[:, None], others], 1) for of_asked, others in zip(asked, (found, before), strict=True)]
    changed = (asked[0] != asked[1]).double().mean().item()
    assert mnac(*both).value == pytest.approx(mnac(found, before).value + changed)
