import math

import pytest
import torch

from methods.diffusion.chain import Chain
from methods.diffusion.schedule import schedule

TIMES = 1000
MEAN, STD = 0.2, 0.15


@pytest.fixture(params=["cosine", "linear"])
def whole(request):
    return schedule(request.param, TIMES)


def betas(steps):
    """β_1 … β_S of a schedule, (S,)."""
    return torch.tensor([steps.beta(step) for step in range(1, len(steps) + 1)], dtype=torch.float64)


def test_the_cosine_is_its_closed_form():
    """ᾱ_t = f(t) / f(0) with f(t) = cos²((t/T + s) / (1 + s) · π/2), as long as no β is cut."""

    def f(t):
        return math.cos((t / TIMES + 0.008) / 1.008 * math.pi / 2) ** 2

    kept = schedule("cosine", TIMES).kept
    wanted = torch.tensor([f(t) / f(0) for t in range(TIMES)], dtype=torch.float64)
    assert torch.allclose(kept[:TIMES], wanted, rtol=1e-9)
    assert 0 < kept[TIMES] < kept[TIMES - 1]


def test_the_linear_schedule_is_that_of_ho_et_al():
    """β rises evenly from 1e-4 to .02 in 1,000 steps."""
    assert torch.allclose(betas(schedule("linear", TIMES)), torch.linspace(1e-4, 0.02, TIMES, dtype=torch.float64))


def test_single_steps_lead_to_the_marginal(whole):
    """z_t by single steps z = √(1 − β) z' + √β ε has the mean √ᾱ_t x and the variance 1 − ᾱ_t."""
    mean, variance = torch.ones((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for step, beta in enumerate(betas(whole), start=1):
        mean, variance = (1 - beta).sqrt() * mean, (1 - beta) * variance + beta
        assert torch.isclose(mean, whole.kept[step].sqrt())
        assert torch.isclose(variance, 1 - whole.kept[step])


@pytest.mark.parametrize("steps", [1, 30, 999, 1000, 2000])
def test_fewer_steps_keep_the_marginals(whole, steps):
    """A respaced schedule has the ᾱ and the times of the steps that it keeps, the first and the last included."""
    few = whole.respaced(steps)
    assert len(few) == min(steps, TIMES)
    assert torch.equal(few.kept, whole.kept[few.times])
    assert (few.times[0], few.times[-1]) == (0, TIMES)
    assert (betas(few) > 0).all()


def test_the_posterior_is_bayes(whole):
    """q(z_{t−1} | z_t, x_0) is the product of q(z_{t−1} | x_0) and q(z_t | z_{t−1}), two Gaussians."""
    few = whole.respaced(20)
    clean, noised = torch.randn(2, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for step in range(2, len(few) + 1):
        beta, before = few.beta(step), few.kept[step - 1]
        precisions = 1 / (1 - before), (1 - beta) / beta
        variance = 1 / sum(precisions)
        mean = variance * (precisions[0] * before.sqrt() * clean + precisions[1] * noised / (1 - beta) ** 0.5)
        found = few.posterior(noised, clean, step)
        assert torch.allclose(found[0], mean)
        assert math.isclose(found[1], variance)


def test_the_last_step_is_the_estimate(whole):
    """From z_1 the posterior's mean is x̂_0 itself, without noise."""
    few = whole.respaced(20)
    clean, noised = torch.randn(2, 50, dtype=torch.float64)
    mean, variance = few.posterior(noised, clean, 1)
    assert torch.allclose(mean, clean)
    assert variance == 0


def test_the_estimate_undoes_the_noise(whole):
    """x̂_0 of a noised picture is the picture, given the noise; step 0 is the picture to the bit."""
    images, noise = torch.rand(2, 4, 1, 5, 5, dtype=torch.float64)
    for step in (1, 300, 900):
        assert torch.allclose(whole.estimate(whole.noised(images, step, noise), step, noise), images)
    assert torch.equal(whole.noised(images, 0, noise), images)


def exact(whole):
    """The noise that is expected in z_t when the data are N(MEAN, STD²)."""

    def predict(noised, time):
        kept = float(whole.kept[time])
        return math.sqrt(1 - kept) * (noised - math.sqrt(kept) * MEAN) / (kept * STD**2 + 1 - kept)

    return predict


def test_the_exact_score_of_a_gaussian_reproduces_it(whole):
    """Denoising plain noise by the exact score of Gaussian data gives their mean and their variance."""
    random = torch.Generator().manual_seed(0)
    plain = torch.randn(2000, 1, 2, 2, generator=random)
    chain = Chain(exact(whole), whole)
    made = chain.denoise(plain, TIMES, lambda _: torch.randn(plain.shape, generator=random))
    count = made.numel()
    assert abs(made.mean() - MEAN) < 4 * STD / count**0.5 + 1e-3
    assert abs(made.std() / STD - 1) < 4 / (2 * count) ** 0.5 + 0.02


def test_the_filter_leaves_a_gaussian_what_it_is():
    """Data that are noised half way and denoised by their exact score are distributed as before, not the same."""
    whole, random = schedule("cosine", TIMES), torch.Generator().manual_seed(1)
    images, noise = (torch.randn(2000, 1, 2, 2, generator=random) for _ in range(2))
    images = MEAN + STD * images
    found = Chain(exact(whole), whole).denoise(
        whole.noised(images, 500, noise), 500, lambda _: torch.randn(images.shape, generator=random)
    )
    assert abs(found.std() / STD - 1) < 0.05
    assert 0 < (found - images).std() < 2**0.5 * STD
