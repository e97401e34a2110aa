import pytest
import torch
from torch.distributions import Normal, kl_divergence

from methods.leap.method import Leap, LeapConfig, point
from methods.training import Trainer
from tests.methods.thirds import CLASSES, Pictures, Places

SHAPE, COUNT = (1, 13, 10), 12
DATA = Pictures(64, SHAPE)
QUERIES = DATA.batch(slice(COUNT))
SMALL = {"latent": 5, "encoder": (6, 8), "decoder": (8, 6), "epochs": 60, "min_steps": 0, "batch_size": 16}
SMALL |= {"learning_rate": 3e-3, "flow_widths": (32, 32), "flow_epochs": 400, "flow_min_steps": 0}
SMALL |= {"flow_batch_size": 64, "flow_rate": 3e-3}


class Opaque(Places):
    """The classifier as a file offers it: probabilities, and nothing to go back through."""

    @torch.no_grad()
    def forward(self, images):
        return super().forward(images).detach()


def fitted(classifier, **settings):
    torch.manual_seed(0)
    return Leap(LeapConfig(**SMALL | settings)).fit(DATA, classifier, trainer=Trainer(0))


@pytest.fixture(scope="module")
def method():
    return fitted(Places(20.0))


@pytest.fixture(scope="module")
def target():
    return (Places(20.0)(QUERIES).argmax(1) + 1 + torch.arange(COUNT) % 2) % CLASSES


def variant(method, **settings):
    """The fitted method under other settings that only explain."""
    config = method.config.model_validate(method.config.model_dump() | settings)
    assert config.fit_part() == method.config.fit_part()
    return Leap(config).restore(method.network.state_dict(), SHAPE, method.classifier)


@torch.no_grad()
def test_no_step_gives_the_reconstruction(method, target):
    """With γ = 0, or with no leap and no landing, every answer is the reconstruction, to the bit."""
    unchanged = method.reconstruct(QUERIES)
    for still in (variant(method, step_size=0.0, injections=3), variant(method, blending=0, injections=0)):
        answers = still.explain(QUERIES, target, (1.0, 0.5, 0.0)).images
        assert all(torch.equal(answer, unchanged) for answer in answers)


@torch.no_grad()
def test_whole_relaxation_gives_the_reconstruction(method, target):
    """At r = 1 the answer is the reconstruction, and r = 0 is the end of the way."""
    answers = method.explain(QUERIES, target, (1.0, 0.0))
    assert torch.equal(answers.images[0], method.reconstruct(QUERIES))
    assert torch.equal(answers.images[1], method.network.decode(answers.intervention["latent"]))


@torch.no_grad()
def test_answers_do_not_depend_on_the_batch(method, target):
    """A query asked alone gets the answer that it gets among others."""
    together = method.explain(QUERIES, target, (0.5, 0.0)).images
    alone = [method.explain(QUERIES[i : i + 1], target[i : i + 1], (0.5, 0.0)).images for i in range(COUNT)]
    torch.testing.assert_close(torch.cat(alone, dim=1), together, rtol=0, atol=1e-4)


@torch.no_grad()
def test_leaps_reach_the_target_and_landings_make_it_surer(method, target):
    """Most answers are of the target class, and landings after the leaps make the classifier surer of it."""

    def sure(of):
        images = of.explain(QUERIES, target, (0.0,)).images[0]
        return method.classifier(images).softmax(1).gather(1, target[:, None]).mean()

    assert sure(variant(method, blending=0)) < 0.2
    assert 0.8 < sure(method) < sure(variant(method, injections=5))


def test_classifier_is_only_evaluated(method, target):
    """A classifier that lets no gradient through is explained as one that does, to the bit."""
    other = fitted(Opaque(20.0))
    assert all(
        torch.equal(value, other.network.state_dict()[name]) for name, value in method.network.state_dict().items()
    )
    answers = (of.explain(QUERIES, target, (0.0,)).images for of in (method, other))
    assert torch.equal(*answers)


@torch.no_grad()
def test_latents_are_scaled(method):
    """The training images' latents have mean 0 and spread 1."""
    latents = method.network.encode(DATA.batch(slice(None)))
    torch.testing.assert_close(latents.mean(0), torch.zeros(5), rtol=0, atol=1e-4)
    torch.testing.assert_close(latents.std(0, correction=0), torch.ones(5), rtol=0, atol=1e-4)


@torch.no_grad()
def test_likelihood(method):
    """NLL and KL are those of torch's own normal distributions."""
    vae = method.network.vae
    torch.manual_seed(1)
    found = method.diagnostics(QUERIES)
    mean, log_variance = vae.posterior(QUERIES)
    posterior = Normal(mean, (0.5 * log_variance).exp())
    torch.manual_seed(1)
    decoded = vae.decoder(posterior.rsample())
    nll = -Normal(decoded, vae.variance.sqrt()).log_prob(QUERIES).flatten(1).sum(1)
    torch.testing.assert_close(found["nll"], nll, rtol=1e-4, atol=1e-2)
    torch.testing.assert_close(found["kl"], kl_divergence(posterior, Normal(0.0, 1.0)).sum(1), rtol=1e-4, atol=1e-4)


def test_point():
    """A share of a way is found on the line between the places next to it."""
    way = torch.tensor([0.0, 1.0, 3.0])[:, None, None]
    shares = (0.0, 0.25, 0.5, 0.75, 1.0)
    assert [float(point(way, share)) for share in shares] == [0.0, 0.5, 1.0, 2.0, 3.0]
    assert float(point(way[:1], 0.3)) == 0.0


def test_images_that_are_too_small_are_refused():
    """A pyramid that would end below one pixel is refused in words."""
    with pytest.raises(ValueError, match="cannot be halved 3 times"):
        Leap(LeapConfig()).build((1, 7, 30), 2)
