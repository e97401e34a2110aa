import math

import pytest
import torch
from torch.func import jacrev, vmap

from metrics.fisher import (
    directions,
    fisher_information,
    inverse_cosine,
    inverse_dot,
    shared_information,
)

FORMS = ("coordinate", "joint", "probe")


@pytest.fixture
def log_h():
    """The logarithm of a smooth function with five positive outputs of three coordinates."""
    random = torch.Generator().manual_seed(0)
    first = 0.3 * torch.randn(3, 4, generator=random, dtype=torch.float64)
    second = torch.randn(4, 5, generator=random, dtype=torch.float64)
    return lambda points: torch.log_softmax(torch.tanh(points @ first) @ second, dim=1)


def centres(count, dimensions=3):
    return torch.randn(count, dimensions, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def by_definition(log_h, points):
    """Σ_k h_k'² / h_k in every coordinate, (N, d), by a reverse-mode Jacobian of h itself."""
    jacobian = vmap(jacrev(lambda point: log_h(point[None])[0].exp()))(points)  # (N, K, d)
    return (jacobian.square() / log_h(points).exp()[:, :, None]).sum(1)


@pytest.mark.parametrize(("a", "mu"), [(0.5, 0.3), (-1.2, 1.0), (0.0, 2.0), (0.8, -2.5)])
def test_exponential_has_its_closed_form(a, mu):
    """The information of exp(a z) under N(μ, 1) is a² exp(aμ + a²/2)."""
    information = fisher_information(lambda points: a * points, torch.tensor([[mu]], dtype=torch.float64), draws=12)
    assert information.item() == pytest.approx(a**2 * math.exp(a * mu + a**2 / 2), rel=1e-9)


def test_noise_in_one_coordinate_leaves_the_others():
    """Of exp(a·z) in several coordinates, each sees noise of its own only; joint noise adds that of the others."""
    a, mu = torch.tensor([0.5, -0.8], dtype=torch.float64), torch.tensor([[0.3, 1.0]], dtype=torch.float64)

    def log_h(points):
        return (points @ a)[:, None]

    alone = fisher_information(log_h, mu, draws=12)
    torch.testing.assert_close(alone, a**2 * torch.exp(mu @ a + a**2 / 2)[None])
    torch.manual_seed(0)
    joint = fisher_information(log_h, mu.expand(20_000, 2), "joint", 1).mean(0)
    torch.testing.assert_close(joint, a**2 * torch.exp(mu[0] @ a + (a @ a) / 2), rtol=0.05, atol=0)


def test_quadrature_is_the_mean_of_the_definition(log_h):
    """Noise in one coordinate gives the mean of h'²/h over such noise, as an independent Jacobian computes it."""
    centre = centres(1)
    torch.manual_seed(0)
    for axis in range(3):
        noise = torch.zeros(40_000, 3, dtype=torch.float64)
        noise[:, axis] = torch.randn(len(noise), dtype=torch.float64)
        sampled = by_definition(log_h, centre + noise)[:, axis]
        error = sampled.std() / len(noise) ** 0.5
        assert abs(fisher_information(log_h, centre, draws=30)[0, axis] - sampled.mean()) < 4 * error


@pytest.mark.parametrize("form", ["joint", "probe"])
def test_random_forms_agree_in_expectation(log_h, form):
    """Exact derivatives under joint noise and the probe's estimate have the definition's mean over joint noise."""
    centre = centres(1)
    torch.manual_seed(0)
    drawn = fisher_information(log_h, centre.expand(60_000, 3), form, 1)
    exact = by_definition(log_h, centre + torch.randn(60_000, 3, dtype=torch.float64))
    error = ((drawn.var(0) + exact.var(0)) / len(drawn)).sqrt()
    assert ((drawn.mean(0) - exact.mean(0)).abs() < 4 * error).all()


@pytest.mark.parametrize("form", FORMS)
def test_draws_are_averaged(log_h, form):
    """More draws mean less spread around the same value, not more information."""
    centre = centres(1).expand(4000, 3)
    torch.manual_seed(0)
    few, many = (fisher_information(log_h, centre, form, draws) for draws in (4, 16))
    torch.testing.assert_close(few.mean(0), many.mean(0), rtol=0.1, atol=1e-3)
    assert (many.std(0) <= few.std(0)).all()


@pytest.mark.parametrize("form", FORMS)
def test_constants_have_none(form):
    """A function that leans on nothing has no information, and shares none."""
    information = fisher_information(lambda points: 0 * points + 3, centres(4), form)
    assert torch.equal(information, torch.zeros(4, 3, dtype=torch.float64))
    assert torch.equal(shared_information(information, torch.ones_like(information)), information[:, 0])


@pytest.mark.parametrize("form", FORMS)
def test_vanishing_outputs_stay_finite(form):
    """Where h is zero to the last bit, the information and its gradient are finite; h'²/h itself would not be."""
    weight = torch.tensor([[900.0, -900.0]], requires_grad=True)

    def log_h(points):
        return torch.log_softmax(points @ weight, dim=1)

    centre = torch.tensor([[3.0], [0.0]])
    assert (log_h(centre).exp() == 0).any()
    information = fisher_information(log_h, centre, form)
    assert torch.isfinite(information).all()
    inverse_cosine(information, torch.ones_like(information)).sum().backward()
    assert torch.isfinite(weight.grad).all()


@pytest.mark.parametrize("form", FORMS)
def test_information_can_be_trained_on(form):
    """Every form has the gradient of the closed form, up to the noise of its draws: of a² exp(aμ + a²/2), at μ = 0."""
    a = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    torch.manual_seed(0)
    information = fisher_information(lambda points: a * points, torch.zeros(20_000, 1, dtype=torch.float64), form, 5)
    (slope,) = torch.autograd.grad(information.mean(), a)
    assert slope.item() == pytest.approx((2 * 0.4 + 0.4**3) * math.exp(0.4**2 / 2), rel=0.02)


@pytest.mark.parametrize("form", FORMS)
def test_measuring_leaves_no_graph(log_h, form):
    """Under `no_grad` every form still has its value, and holds on to nothing."""
    with torch.no_grad():
        torch.manual_seed(0)
        measured = fisher_information(log_h, centres(3), form)
    torch.manual_seed(0)
    torch.testing.assert_close(measured, fisher_information(log_h, centres(3), form))
    assert not measured.requires_grad


@pytest.mark.parametrize("form", FORMS)
def test_any_number_of_queries(log_h, form):
    """No centre has no information; a vector of centres, or no draw at all, is refused."""
    assert fisher_information(log_h, centres(0), form).shape == (0, 3)
    with pytest.raises(ValueError, match="centres"):
        fisher_information(log_h, centres(1)[0], form)
    with pytest.raises(ValueError, match="draws"):
        fisher_information(log_h, centres(1), form, 0)


def test_cosine_is_of_directions():
    """Shared information is 1 for proportional rows, 0 for disjoint ones, and knows no scale, however small."""
    one = torch.tensor([[1.0, 2.0, 0.0]])
    assert shared_information(one, 1e-30 * one).item() == pytest.approx(1)
    assert shared_information(one, torch.tensor([[0.0, 0.0, 5.0]])).item() == 0
    some, other = torch.rand(9, 7), torch.rand(9, 7)
    torch.testing.assert_close(shared_information(some, other), torch.cosine_similarity(some, other))
    torch.testing.assert_close(directions(1e-25 * some).norm(dim=1), torch.ones(9))


def test_norms_win_the_dot_and_not_the_cosine():
    """Ten times the information lowers 1/dot tenfold and leaves 1/cos as it was."""
    first, second = torch.rand(6, 4) + 0.1, torch.rand(6, 4) + 0.1
    torch.testing.assert_close(inverse_dot(10 * first, second), inverse_dot(first, second) / 10)
    torch.testing.assert_close(inverse_cosine(10 * first, second), inverse_cosine(first, second))
    assert (inverse_cosine(first, second) >= 1).all()


def test_regularisers_have_their_closed_forms():
    """1/dot of (3, 4) and (1, 2) is 1/11, and 1/cos the same times both lengths."""
    first, second = torch.tensor([[3.0, 4.0]]), torch.tensor([[1.0, 2.0]])
    assert inverse_dot(first, second).item() == pytest.approx(1 / 11)
    assert inverse_cosine(first, second).item() == pytest.approx(5 * 5**0.5 / 11)


def test_regularisers_are_finite_without_overlap():
    """Two functions that share nothing have a large penalty, not an infinite one."""
    disjoint = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    assert torch.isfinite(inverse_dot(*disjoint)).all()
    assert torch.isfinite(inverse_cosine(*disjoint)).all()
