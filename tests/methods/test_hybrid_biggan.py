from itertools import pairwise

import pytest
import torch
from pydantic import ValidationError

from methods.hybrid.biggan import HybridBiggan, HybridBigganConfig
from methods.hybrid.biggan_model import CONVOLUTIONS, INTERVENED, Blocks, State
from methods.hybrid.biggan_training import Labelled, ProjectionDiscriminator
from methods.hybrid.model import Pairs, generate
from tests.methods.thirds import CLASSES, Pictures, Places

SHAPE = (1, 13, 10)
LATENT = 4
SETTINGS = {
    "generator": (16, 8),
    "reduction": 2,
    "latent": LATENT,
    "embedded": 3,
    "discriminator": (4, 6),
    "encoder": (4, 6),
}


def untrained():
    """The method before its training."""
    torch.manual_seed(0)
    method = HybridBiggan(HybridBigganConfig(**SETTINGS, bank=10))
    method.prepare(SHAPE, Places()).eval()
    return method


@pytest.fixture(scope="module")
def generator():
    """A generator whose batch norms have statistics of their own."""
    blocks = untrained().blocks
    with torch.no_grad():
        for name, value in blocks.network.state_dict().items():
            if "running_mean" in name:
                value.normal_(std=0.3)
            elif "running_var" in name:
                value.uniform_(0.5, 2)
    return blocks


@torch.no_grad()
def test_downstream_goes_on_from_upstream(generator):
    """Upstream to any layer, inside blocks too, on to a later one, and downstream from there is the generator."""
    latents = generator.noise(5)
    whole = generator.network(latents)
    assert whole.shape == (5, *SHAPE)
    torch.testing.assert_close(generate(generator, latents), whole)
    for first, second in pairwise(generator.layers):
        reached = generator.downstream(generator.upstream(latents, first), first, latents, second)
        torch.testing.assert_close(reached, generator.upstream(latents, second))
        torch.testing.assert_close(generator.downstream(reached, second, latents), whole)


@torch.no_grad()
def test_latent_and_class_enter_every_block(generator):
    """Behind any block the same features give another picture under another latent or another class."""
    network, codes = generator.network, generator.noise(4)
    other_latent, other_class = codes.clone(), codes.clone()
    other_latent[:, :LATENT] += 1
    other_class[:, LATENT:] = codes[:, LATENT:].roll(1, dims=1)
    for block in range(len(network.blocks)):
        state = network.run(State(network.start(codes)), codes, 0, block * CONVOLUTIONS)
        own = network.run(state, codes, block * CONVOLUTIONS, (block + 1) * CONVOLUTIONS)
        for entering in (other_latent, other_class):
            other = network.run(state, entering, block * CONVOLUTIONS, (block + 1) * CONVOLUTIONS)
            assert not torch.allclose(own.features, other.features)


@torch.no_grad()
def test_what_passes_a_layer_by_stays_the_units_own(generator):
    """With all channels inside a block from the donor, the skip connection is still that of z_1."""
    own, other = generator.unlike(4)
    network, names = generator.network, list(generator.layers)
    inside = names[len(INTERVENED) - 2]  # the last convolution inside the first block
    made = Pairs.of(generator, [inside], own, other).hybrids([torch.ones(generator.layers[inside], dtype=torch.bool)])
    steps = INTERVENED[-2] + 1
    first, second = (network.run(State(network.start(codes)), codes, 0, steps) for codes in (own, other))
    state = network.run(State(second.features, first.skipped), own, steps, network.steps)
    torch.testing.assert_close(made, network.finish(state.features))


@torch.no_grad()
def test_two_layers_across_blocks(generator):
    """What was swapped where it leaves a block is in the skip connection of the next one."""
    own, other = generator.unlike(4)
    leaving, inside = list(generator.layers)[len(INTERVENED) - 1 : len(INTERVENED) + 1]
    every, none = (torch.full((generator.layers[name],), name == leaving) for name in (leaving, inside))
    both = Pairs.of(generator, [leaving, inside], own, other).hybrids([every, none])
    torch.testing.assert_close(both, Pairs.of(generator, [leaving], own, other).hybrids([every]))


def test_classes_of_noise():
    """Noise is of the offered classes alone, pairs of two different ones, and z stays within its truncation."""
    generator = Blocks(untrained().blocks.network, classes=(0, 2), truncation=0.5)
    assert set(generator.noise(40)[:, LATENT:].argmax(1).tolist()) == {0, 2}
    own, other = generator.unlike(40)
    assert ((own[:, LATENT:] + other[:, LATENT:]) == torch.tensor([1.0, 0.0, 1.0])).all()
    assert own[:, :LATENT].abs().max() <= 1


def test_class_weighs_the_features():
    """Scores of two classes differ by the projection of the features on their embeddings' difference."""
    torch.manual_seed(0)
    network = ProjectionDiscriminator(SHAPE, (4, 6), CLASSES).eval()
    images = torch.rand(5, *SHAPE)
    first, second = torch.zeros(5, dtype=torch.long), torch.ones(5, dtype=torch.long)
    difference = network.embedding(first) - network.embedding(second)
    expected = (difference * network.features(images)).sum(1)
    torch.testing.assert_close(network(images, first) - network(images, second), expected)


def test_training_takes_the_classes_that_the_classifier_sees():
    """Each training picture goes with the classifier's own class of it, whatever its label is."""
    method, data, plans = untrained(), Pictures(60, SHAPE), []

    class Noting:
        device = torch.device("cpu")

        def fit(self, _, phases, plan, stage="fit"):  # noqa: ARG002 - a trainer's signature
            plans.append(plan)

    method.train(data, Noting())
    for plan in plans:
        assert isinstance(plan.batch, Labelled)
        images, classes = plan.batch(torch.arange(60))
        assert torch.equal(classes, Places()(images).argmax(1))


def test_layers_that_are_not_there_are_refused():
    """There are three layers a block, and no more."""
    count = len(SETTINGS["generator"]) * len(INTERVENED)
    HybridBigganConfig(**SETTINGS, layer=count)
    with pytest.raises(ValidationError, match=f"has {count} layers"):
        HybridBigganConfig(**SETTINGS, layer=count + 1)


@pytest.mark.parametrize("changes", [{"generator": (8, 16)}, {"generator": (8, 1)}, {"reduction": 10}])
def test_blocks_that_cannot_be_are_refused(changes):
    """A block has no more channels than the one before, and some are left inside."""
    with pytest.raises(ValidationError, match="channels must not grow"):
        HybridBigganConfig(**SETTINGS | changes)
