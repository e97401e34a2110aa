"""What holds for every metric in the registry, on evidence of the kind that each one needs."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics import METRICS

REALISM = ("realism_quantile", "realism_beyond", "density", "coverage")
VALUES = {"answer_start_l1", "shared_fisher", "shared_fisher_plain", "fisher_norm", "fisher_norm_plain"}
"""What a method reports of each query, from 0 on."""
FEWEST = {
    "metrics.frechet:split_distance": 4,
    "metrics.modes:modes_kept": 20,
    "metrics.attributes:correlation_difference": 40,
    **{f"metrics.realism:{name}": 120 for name in REALISM},
}
"""Queries, where a value takes more than two: changes of both kinds, or some of each class."""
SEEDS = st.integers(0, 10_000)


def shape(need):
    """Of one query's part of the evidence called `need`."""
    if need in VALUES:
        return ()
    if need.endswith("_features"):
        return (5,)
    if "paths" in need:
        return (6,)
    return (3, 3, 4, 4) if need == "answer_draws" else (3, 4, 4)


OF_ATTRIBUTES = ("_attributes", "_attribute", "_probabilities", "_probability", "label_correlations")
"""Ends of names of what attribute oracles say."""


def of_attributes(need, n, generator):
    """What attribute oracles say of five attributes; correlations are of the data, not of queries."""
    seen = torch.rand(n, 5, generator=generator)
    if need == "label_correlations":
        return [0.3, -0.2, 0.0, 1.0, -1.0]
    if need.endswith("_attribute"):
        return seen[:, 0] < 0.5
    return seen if "probabilit" in need else seen < 0.5


def piece(need, n, generator):
    """Random evidence called `need` of n queries."""
    if need == "dimensions":
        return 48
    if need.endswith("votes"):
        return torch.randint(4, (n, 3), generator=generator)
    if need.endswith("classes") or need in {"targets", "predicted", "labels"}:
        return torch.randint(4, (n,), generator=generator)
    if any(need.endswith(end) for end in OF_ATTRIBUTES):
        return of_attributes(need, n, generator)
    if need in {"nll", "kl"}:
        return torch.randn(n, generator=generator)
    return torch.rand(n, *shape(need), generator=generator)


def evidence(name, n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [piece(need, n, generator) for need in METRICS[name].needs]


def measured(name, inputs):
    return METRICS[name].load()(*inputs)


@pytest.mark.parametrize("name", METRICS)
@settings(max_examples=15)
@given(SEEDS, st.integers(2, 30))
def test_values_lie_in_the_range(name, seed, n):
    """A value lies in the range that the registry states, inside its own interval, and says on how many it rests."""
    n = max(n, FEWEST.get(METRICS[name].function, 0))
    estimate = measured(name, evidence(name, n, seed))
    low, high = METRICS[name].range
    assert low <= estimate.value <= high
    assert estimate.n == n
    assert math.isnan(estimate.low) or estimate.low <= estimate.value <= estimate.high


@pytest.mark.parametrize("name", METRICS)
@settings(max_examples=5)
@given(SEEDS)
def test_order_does_not_matter(name, seed):
    """The order of the queries changes no value."""
    inputs = evidence(name, n := FEWEST.get(METRICS[name].function, 12), seed)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    shuffled = [part[order] if isinstance(part, torch.Tensor) else part for part in inputs]
    assert measured(name, shuffled).value == pytest.approx(measured(name, inputs).value, abs=1e-9)


@pytest.mark.parametrize("name", METRICS)
def test_no_query(name):
    """Over no query there is no value and no interval, and n is 0."""
    estimate = measured(name, evidence(name, 0))
    assert estimate.n == 0
    assert all(map(math.isnan, estimate[:3]))


@pytest.mark.parametrize("name", METRICS)
def test_one_query(name):
    """One query has a value, unless it takes a pair to have one, and n is 1."""
    estimate = measured(name, evidence(name, 1))
    assert estimate.n == 1
    needs = METRICS[name].needs
    pair = "_features" in needs[0] or "label_correlations" in needs or "reals" in needs
    assert math.isnan(estimate.value) == pair


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_what_is_not_finite_is_refused(name, wrong):
    """NaN and infinity are refused wherever they stand; classes are integers, which have neither."""
    for place, part in enumerate(evidence(name, 5)):
        if isinstance(part, torch.Tensor):
            inputs = evidence(name, 5)
            inputs[place] = part.double()
            inputs[place][3] = wrong
            with pytest.raises(ValueError, match=r"\w"):
                measured(name, inputs)


NO_CHANGE = {"l1": 0, "l2": 0, "l0": 0, "mse": 0, "composition": 0, "reversibility": 0, "truth_l1": 0, "truth_ssim": 1}
"""Of images that are equal, what each metric of two of them is."""


@pytest.mark.parametrize(("name", "value"), NO_CHANGE.items())
def test_equal_images(name, value):
    """Of equal images each distance is 0 and a similarity 1, constant images included."""
    for images in (torch.rand(4, 3, 4, 4), torch.zeros(4, 3, 4, 4), torch.ones(4, 3, 4, 4)):
        assert measured(name, [images, images]).value == value
