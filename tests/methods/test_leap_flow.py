import pytest
import torch
from torch.optim import Adam

from methods.leap.flow import Velocity, integrated, land, lift

MEANS = torch.tensor([[1.5, -1.0], [-0.5, 0.5]], dtype=torch.float64)
"""Of the latents of two classes, which are Gaussian."""
SPREAD = 0.4
COUNT = 500


def exact(time, latents, condition):
    """E[z_1 − z_0 | z_t, y] where z_0 ~ N(0, I) and z_1 ~ N(m_y, s² I) are independent."""
    mean = condition.to(MEANS) @ MEANS
    variance = (1 - time) ** 2 + (time * SPREAD) ** 2
    return mean + (time * SPREAD**2 - (1 - time)) / variance * (latents - time * mean)


def noise():
    return torch.randn(COUNT, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def condition(of):
    return torch.eye(2, dtype=torch.float64)[[of] * COUNT]


@pytest.mark.parametrize("of", [0, 1])
def test_gaussian_latents(of):
    """The exact velocity of Gaussian latents carries noise z to m + s z, and back."""
    z, y = noise(), condition(of)
    landed = MEANS[of] + SPREAD * z
    torch.testing.assert_close(land(exact, z, y, scale=1.0, steps=200), landed, rtol=0, atol=2e-3)
    torch.testing.assert_close(lift(exact, landed, y, scale=1.0, steps=200), z, rtol=0, atol=2e-3)


def test_heun_is_of_second_order():
    """Twice as many steps make a quarter of the error."""
    z, y = noise(), condition(0)
    landed = MEANS[0] + SPREAD * z
    coarse, fine = ((land(exact, z, y, scale=1.0, steps=n) - landed).abs().mean() for n in (50, 100))
    assert 3.4 < coarse / fine < 4.6


@pytest.mark.parametrize("scale", [0.1, 0.5])
def test_lift_and_land_under_one_condition_return(scale):
    """Under the same condition a landing undoes a lift, to the integrator's tolerance."""
    z, y = noise(), condition(1)
    apart = [
        (land(exact, lift(exact, z, y, scale=scale, steps=n), y, scale=scale, steps=n) - z).abs().max()
        for n in (4, 8, 16)
    ]
    assert (lift(exact, z, y, scale=scale, steps=16) - z).abs().max() > 0.1
    assert apart[2] < 1e-3
    assert apart[0] > 3 * apart[1] > 9 * apart[2]


def test_without_a_step_nothing_moves():
    """With γ = 0 latents stay what they are, to the bit."""
    assert torch.equal(lift(exact, noise(), condition(0), scale=0.0, steps=4), noise())
    assert torch.equal(land(exact, noise(), condition(1), scale=0.0, steps=4), noise())


def test_half_the_way_and_the_rest():
    """A flow from 0 to ½ and on to 1 is the flow from 0 to 1."""
    z, y = noise(), condition(0)
    middle = integrated(exact, z, y, start=0.0, end=0.5, scale=1.0, steps=20)
    both = integrated(exact, middle, y, start=0.5, end=1.0, scale=1.0, steps=20)
    torch.testing.assert_close(both, land(exact, z, y, scale=1.0, steps=40))


@pytest.mark.slow
def test_learnt_velocity_is_the_exact_one():
    """What matching learns of Gaussian latents is their exact velocity, but for a few per cent of its variance."""
    torch.manual_seed(0)
    velocity = Velocity(2, 2, (64, 64))
    adam = Adam(velocity.parameters(), lr=3e-3)
    for step in range(1500):
        adam.param_groups[0]["lr"] = 3e-3 * (1 - step / 1500)
        y = torch.eye(2)[torch.randint(2, (512,))]
        latents = y @ MEANS.float() + SPREAD * torch.randn(512, 2)
        adam.zero_grad()
        velocity.losses(latents, y)["loss"].backward()
        adam.step()
    time, y = torch.rand(4000, 1), torch.eye(2)[torch.arange(4000) % 2]
    z = (1 - time) * torch.randn(4000, 2) + time * (y @ MEANS.float() + SPREAD * torch.randn(4000, 2))
    with torch.no_grad():
        learnt, wanted = velocity(time, z, y), exact(time.double(), z.double(), y.double()).float()
    assert (learnt - wanted).square().mean() < 0.03 * wanted.var()
