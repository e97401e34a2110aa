import pytest
import torch
from torch import nn

from methods.hybrid.influence import elementary_influence, influence
from methods.hybrid.model import Layered, Pairs, generate
from methods.hybrid.vae import BetaVAE
from methods.nn import doublings

SHAPE = (2, 13, 10)
WIDTHS = (6, 5, 4)
LATENT = 3


@pytest.fixture(scope="module")
def generator():
    torch.manual_seed(0)
    network = doublings(SHAPE, LATENT, WIDTHS)
    network(torch.randn(32, LATENT))  # moves the running statistics
    return Layered(network.eval().requires_grad_(False), LATENT)


def places(generator):
    names = list(generator.layers)
    return [names[i : i + span] for span in (1, 2) for i in range(len(names) - span + 1)]


def pairs(generator, place, count=7, seed=1):
    torch.manual_seed(seed)
    own, other = generator.noise(count), generator.noise(count)
    return own, other, Pairs.of(generator, place, own, other)


def masks(generator, place, value):
    return [torch.full((generator.layers[layer],), value) for layer in place]


def test_layers_are_named(generator):
    """Every layer has a name that tells its size, and its number of channels, from the latents to the image."""
    assert generator.layers == {"layer 1 (2 × 2)": 6, "layer 2 (4 × 3)": 5, "layer 3 (7 × 5)": 4}


def test_downstream_goes_on_from_upstream(generator):
    """Upstream to any layer, on to any later one, and downstream from there is the generator itself, bit for bit."""
    latents = generator.noise(5)
    whole = generator.network(latents)
    assert torch.equal(generate(generator, latents), whole)
    for first, second in (place for place in places(generator) if len(place) == 2):
        reached = generator.downstream(generator.upstream(latents, first), first, latents, second)
        assert torch.equal(reached, generator.upstream(latents, second))
        assert torch.equal(generator.downstream(reached, second, latents), whole)


def test_swapping_nothing_is_the_identity(generator):
    """A hybrid without a swapped channel is the first original, bit for bit, at any relaxation."""
    for place in places(generator):
        own, _, made = pairs(generator, place)
        for relaxation in (0.0, 0.3, 1.0):
            hybrids = made.hybrids(masks(generator, place, value=False), relaxation)
            assert torch.equal(hybrids, generate(generator, own))
        assert torch.equal(made.originals(), generate(generator, own))


def test_swapping_a_whole_layer_is_the_donor(generator):
    """A hybrid with all channels of a layer swapped is the second original, bit for bit; at r = 1 it is the first."""
    for place in places(generator):
        own, other, made = pairs(generator, place)
        for whole in range(len(place)):
            swapped = masks(generator, place, value=False)
            swapped[whole] = ~swapped[whole]
            assert torch.equal(made.hybrids(swapped), generate(generator, other))
            assert torch.equal(made.hybrids(swapped, 1.0), generate(generator, own))


def test_relaxation_blends_the_swapped_channels(generator):
    """At relaxation r the swapped channels are r of the own and 1 − r of the donor's, the others untouched."""
    place = [list(generator.layers)[1]]
    own, _, made = pairs(generator, place)
    swapped = torch.tensor([True, False, True, False, False])
    blended = made.own[0].clone()
    blended[:, swapped] = 0.3 * made.own[0][:, swapped] + 0.7 * made.other[0][:, swapped]
    torch.testing.assert_close(made.hybrids([swapped], 0.3), generator.downstream(blended, place[0], own))


def test_pairs_have_masks_of_their_own(generator):
    """A mask for each pair swaps what the same mask swaps in that pair alone."""
    place = list(generator.layers)[:2]
    own, other, made = pairs(generator, place)
    each = [torch.rand(7, generator.layers[layer]) < 0.5 for layer in place]
    together = made.hybrids(each)
    for row in range(7):
        alone = Pairs.of(generator, place, own[row : row + 1], other[row : row + 1])
        torch.testing.assert_close(together[row : row + 1], alone.hybrids([mask[row] for mask in each]))


def test_taken_pairs_are_those_rows(generator):
    """Units and donors that are paired anew give the hybrids of these pairs of latents."""
    place = list(generator.layers)[1:]
    own, other, made = pairs(generator, place)
    ours, theirs = torch.tensor([0, 0, 6]), torch.tensor([5, 2, 2])
    swapped = [torch.arange(generator.layers[layer]) % 2 == 0 for layer in place]
    again = Pairs.of(generator, place, own[ours], other[theirs])
    torch.testing.assert_close(made.take(ours, theirs).hybrids(swapped), again.hybrids(swapped))


# -- influence ---------------------------------------------------------------------------------------------------------


def test_influence_is_the_mean_absolute_effect(generator):
    """A channel's map is the mean over pairs and colours of what swapping it alone changes (Eq. 2), pair by pair."""
    for layer, channels in generator.layers.items():
        own, other, _ = pairs(generator, [layer], count=70)  # more than are held at once
        maps = elementary_influence(generator, layer, own, other)
        assert maps.shape == (channels, *SHAPE[1:])
        features, donors = generator.upstream(own, layer), generator.upstream(other, layer)
        for channel in range(channels):
            changed = features.clone()
            changed[:, channel] = donors[:, channel]
            effect = (generator.downstream(changed, layer, own) - generate(generator, own)).abs().mean((0, 1))
            torch.testing.assert_close(maps[channel], effect, atol=1e-6, rtol=1e-4)
            alone = influence(generator, [layer], own, other, [torch.arange(channels) == channel])
            torch.testing.assert_close(alone, maps[channel])


def test_channels_without_downstream_weight_have_no_influence():
    """A channel that nothing downstream looks at has an influence of exactly zero, and the others have not."""
    torch.manual_seed(2)
    network = doublings(SHAPE, LATENT, WIDTHS).eval().requires_grad_(False)
    generator = Layered(network, LATENT)
    for place, layer in enumerate(generator.layers):
        network[4 + place].convolution.weight[1] = 0.0
        own, other, _ = pairs(generator, [layer])
        maps = elementary_influence(generator, layer, own, other)
        assert not maps[1].any()
        assert (maps.sum((1, 2))[torch.arange(len(maps)) != 1] > 0).all()


def test_influence_needs_pairs(generator):
    """No pair is no mean."""
    nothing = generator.noise(0)
    with pytest.raises(ValueError, match="at least one pair"):
        elementary_influence(generator, next(iter(generator.layers)), nothing, nothing)


# -- the β-VAE ---------------------------------------------------------------------------------------------------------


def test_rate_is_the_divergence_from_the_prior():
    """The rate is the mean KL divergence of the posteriors from N(0, I), as torch computes it; β weighs it."""
    torch.manual_seed(3)
    images = torch.rand(9, *SHAPE)
    parts = {}
    for beta in (0.0, 2.5):
        torch.manual_seed(4)
        model = BetaVAE(SHAPE, LATENT, (4, 6), WIDTHS, beta=beta).eval()
        parts[beta] = model.losses(images)
        mean, log_variance = model.posterior(images)
        posterior = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
        expected = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum(1).mean()
        torch.testing.assert_close(parts[beta]["rate"], expected)
    torch.testing.assert_close(parts[2.5]["loss"] - parts[0.0]["loss"], 2.5 * parts[0.0]["rate"])


def test_distortion_is_the_cross_entropy_of_pixels():
    """Of a decoder that says one half everywhere, the distortion is ln 2 a pixel and channel."""
    model = BetaVAE(SHAPE, LATENT, (4, 6), WIDTHS, beta=1.0)
    nn.init.zeros_(model.decoder[-1].convolution.weight)
    nn.init.zeros_(model.decoder[-1].convolution.bias)
    distortion = model.losses(torch.rand(5, *SHAPE))["distortion"]
    torch.testing.assert_close(distortion, torch.tensor(2.0).log() * 2 * 13 * 10)
