from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from pydantic import ValidationError

from methods.hybrid.began import HybridBegan, HybridBeganConfig
from methods.hybrid.began_model import POINTS, Balance, Began, BeganSizes, Convolutions, Decoder, Enlarging
from methods.hybrid.model import Pairs, generate
from methods.training import Trainer
from tests.methods.thirds import Pictures, Places

SHAPE = (1, 13, 10)
DATA = Pictures(64, SHAPE)
SMALL = {"generator": (6, 4), "discriminator": (5, 3), "encoder": (6, 8), "latent": 5, "layer": 3, "pairs": 20}
SMALL |= {"epochs": 2, "min_steps": 0, "encoder_epochs": 2, "encoder_min_steps": 0, "bank": 60, "donors": 4}
SMALL |= {"average": 0.9, "inversion_steps": 4, "repetitions": 2, "study_pairs": 20}
GAMMA, RATE = 0.6, 0.5


def fitted(trainer=None, **settings):
    method = HybridBegan(HybridBeganConfig(**SMALL | settings))
    torch.manual_seed(0)
    return method.fit(DATA, Places(20.0), trainer=trainer or Trainer(0))


@pytest.fixture(scope="module")
def method():
    return fitted()


@pytest.fixture
def began():
    torch.manual_seed(0)
    return Began(BeganSizes(SHAPE, 5, (6, 4), (5, 3), (6, 8)), Balance(GAMMA, RATE, 0.9))


@pytest.fixture
def generator():
    torch.manual_seed(0)
    return Convolutions(Decoder(SHAPE, 5, (6, 4)).requires_grad_(False), 5)


# -- networks ----------------------------------------------------------------------------------------------------------


def test_enlarging_is_doubling_and_convolving():
    """One convolution at the smaller size is that of the picture doubled by the nearest pixel."""
    both, small = Enlarging(5, 3, (8, 10)), torch.randn(2, 5, 4, 5)
    doubled = F.interpolate(small, scale_factor=2, mode="nearest")
    torch.testing.assert_close(both(small), both.convolution(doubled))


def test_layers_are_the_convolutions(generator):
    """Two layers stand at each size, from the latents to the image."""
    assert generator.layers == {
        "layer 1 (4 × 3)": 6,
        "layer 2 (4 × 3)": 6,
        "layer 3 (7 × 5)": 4,
        "layer 4 (7 × 5)": 4,
    }


def test_downstream_goes_on_from_upstream(generator):
    """Upstream to any layer, on to any later one, and downstream from there is the generator itself, bit for bit."""
    latents, names = generator.noise(5), list(generator.layers)
    whole = generator.network(latents).clamp(0, 1)
    assert torch.equal(generate(generator, latents), whole)
    for i, first in enumerate(names):
        features = generator.upstream(latents, first)
        assert features.shape[1] == generator.layers[first]
        assert torch.equal(generator.downstream(features, first, latents), whole)
        for second in names[i + 1 :]:
            reached = generator.downstream(features, first, latents, second)
            assert torch.equal(reached, generator.upstream(latents, second))


def test_first_features_enter_again(generator):
    """A layer that is swapped whole leaves the unit its own first features, which enter behind it once more."""
    own, other = generator.noise(6), generator.noise(6)
    for layer in list(generator.layers)[1:]:
        everything = [torch.ones(generator.layers[layer], dtype=torch.bool)]
        hybrids = Pairs.of(generator, [layer], own, other).hybrids(everything)
        assert not torch.isclose(hybrids, generate(generator, other)).all()
        assert not torch.isclose(hybrids, generate(generator, own)).all()
        assert torch.equal(Pairs.of(generator, [layer], own, own).hybrids(everything), generate(generator, own))


def test_latents_fill_the_cube(generator):
    """Latents are uniform in [−1, 1]: their mean is 0, their mean square a third."""
    torch.manual_seed(1)
    latents = generator.noise(20_000)
    assert latents.abs().max() <= 1
    assert latents.mean(0).abs().max() < 0.02
    assert (latents.square().mean(0) - 1 / 3).abs().max() < 0.02


# -- balance -----------------------------------------------------------------------------------------------------------


def test_k_follows_the_balance(began):
    """K starts at 0, goes up by λ (γ l(x) − l(G(z))), never out of [0, 1]; the loss is l(x) − k l(G(z))."""
    images = DATA.batch(slice(16))
    assert began.k == 0
    for level in (0.0, 0.5, 0.99, 1.0):
        began.k.fill_(level)
        losses = began.discriminator_losses(images)
        real, fake = (float(losses[name].detach()) for name in ("real", "fake"))
        assert float(losses["loss"].detach()) == pytest.approx(real - level * fake, abs=1e-6)
        moved = level + RATE * (GAMMA * real - fake)
        assert float(began.k) == pytest.approx(min(1.0, max(0.0, moved)), abs=1e-6)
    assert real == pytest.approx(float(began.errors(images).mean().detach()))


def test_convergence_measure(began):
    """Each step is told as it was: M = l(x) + |γ l(x) − l(G(z))|, with k before the step."""
    images, steps = DATA.batch(slice(16)), POINTS // 2
    for _ in range(steps):
        began.discriminator_losses(images)
    told = began.told()
    assert [step for step, _ in told] == list(range(1, steps + 1))
    for (_, (measure, real, fake, k)), (_, (*_, after)) in pairwise(told):
        assert measure == pytest.approx(real + abs(GAMMA * real - fake), abs=1e-6)
        assert after == pytest.approx(min(1.0, max(0.0, k + RATE * (GAMMA * real - fake))), abs=1e-5)


@pytest.mark.parametrize("steps", [POINTS - 1, POINTS + 1, 3 * POINTS, 3 * POINTS + 1])
def test_course_covers_the_training(steps):
    """Points are means over all steps between them, the last ones too, however many steps there were."""
    torch.manual_seed(0)
    began = Began(BeganSizes((1, 4, 4), 2, (2,), (2,), (2,)), Balance(GAMMA, 0.0, 0.9))
    began.plan(steps)
    for _ in range(steps):
        began.balance_out(0.25, 0.1)
    assert began.told()[-1][0] == steps
    assert len(began.told()) <= POINTS
    for _, values in began.told():
        assert values == pytest.approx([0.25 + 0.05, 0.25, 0.1, 0.0])


# -- fitting -----------------------------------------------------------------------------------------------------------


def test_interrupted_training_ends_alike(tmp_path, method):
    """A training killed on the way and started again fits the same weights, the same k and the same course."""

    class KilledError(Exception):
        pass

    def killed(_, done, *__):
        if done == 5:
            raise KilledError

    with pytest.raises(KilledError):
        fitted(Trainer(0, checkpoints=tmp_path, checkpoint_seconds=0, advance=killed))
    again = fitted(Trainer(0, checkpoints=tmp_path)).network.state_dict()
    for name, value in method.network.state_dict().items():
        assert torch.equal(again[name], value), name
    assert again["model.k"] > 0


def test_convergence_is_in_the_record(method):
    """The table tells every quantity at every point, up to the last step."""
    rows = method.of_training()["convergence"].rows
    assert rows[-1]["step"] == 2 * (64 // 16)
    assert {row["quantity"] for row in rows} == {"M", "l(x)", "l(G(z))", "k"}


def test_modules_are_of_two_layers_of_one_size(method):
    """What is swapped by default are the two last convolutions of one size, their channels clustered together."""
    assert method.place.layers == ("layer 3 (7 × 5)", "layer 4 (7 × 5)")
    assert len(method.place.labels) == 4 + 4
    with pytest.raises(ValidationError, match="has 4 layers"):
        HybridBeganConfig(**SMALL | {"layer": 4})


def test_images_that_are_too_small_are_refused():
    """A pyramid that would end below one pixel is refused in words."""
    with pytest.raises(ValueError, match="cannot be halved 3 times"):
        HybridBegan(HybridBeganConfig()).build((1, 7, 30), 2)


# -- figures -----------------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_figures_show_both_layers_together(method):
    """Templates and hybrids are of the two layers' modules; one donor stands beside many units, a row a module."""
    shown = method.illustrations()
    assert shown["influence"].images.shape[0] == 3
    assert list(shown["hybrids"].headings[2:]) == [f"layers 3 and 4\nmodule {k}" for k in (1, 2, 3)]
    donor = shown["donor"]
    assert [row[0] for row in donor.captions][1:] == ["module 1", "module 2", "module 3"]
    many = method.network.many_and_one(8)[0]
    assert donor.images.shape[:2] == (4, 1 + len(many))
    torch.testing.assert_close(donor.images[0, 1:], method.generate(many))
    for k, single in enumerate(method.place.singles):
        one = method.network.donor_latents[:1].expand_as(many)
        pairs = Pairs.of(method.generator, method.place.layers, many, one)
        torch.testing.assert_close(donor.images[k + 1, 1:], pairs.hybrids(method.place.swapped(single)))


def test_one_donor_is_of_another_class(method):
    """The units are the first donors of another class than the very first one; all of one class are taken as such."""
    network = method.network
    classes = network.donor_probabilities[:60].argmax(1)
    many, one = network.many_and_one(5)
    assert torch.equal(one, network.donor_latents[:1])
    assert torch.equal(many, network.donor_latents[:60][classes != classes[0]][:5])
