import math

import pytest
import torch

from methods.gan_search.method import GanSearch, GanSearchConfig, PixelSearch, PixelSearchConfig
from methods.gan_search.model import LatentGAN, Sizes
from methods.training import Trainer
from tests.methods.thirds import CLASSES, Pictures, Places

pytestmark = pytest.mark.slow  # a trained GAN is shared by these tests

SHAPE = (1, 13, 10)
COUNT = 16
SMALL = {"generator": (8, 6), "discriminator": (6, 8), "encoder": (6, 8), "epochs": 12, "min_steps": 0}
SMALL |= {"encoder_epochs": 12, "encoder_min_steps": 0, "average": 0.9, "batch_size": 16, "bank": 60, "latent": 4}


def fitted(**settings):
    method = GanSearch(GanSearchConfig(**SMALL | settings))
    torch.manual_seed(0)
    return method.fit(DATA, Places(), trainer=Trainer(0))


DATA = Pictures(64, SHAPE)
QUERIES = DATA.batch(slice(COUNT))
TARGET = (Places()(QUERIES).argmax(1) + 1 + torch.arange(COUNT) % 2) % CLASSES


@pytest.fixture(scope="module")
def method():
    return fitted(epochs=100, encoder_epochs=60, learning_rate=3e-3)


def variant(method, **settings):
    """The fitted method under other settings that only explain."""
    config = method.config.model_validate(method.config.model_dump() | settings)
    assert config.fit_part() == method.config.fit_part()
    return GanSearch(config).restore(method.network.state_dict(), SHAPE, Places())


def ask(method, *arguments):
    with torch.no_grad():
        return method.explain(*arguments)


def l1(images):
    return (images - QUERIES).abs().flatten(1).sum(1)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 20, 26), (2, 9, 31), (1, 8, 8)])
def test_generator_draws_any_shape(shape):
    """Images of any size are drawn at that size, within [0, 1], and every pixel can be drawn on."""
    sizes = Sizes(shape, 5, (8, 6, 4), (4, 6, 8), (4, 6, 8))
    torch.manual_seed(0)
    network = LatentGAN(sizes, average=0.9, noise=0.1, bank=3, class_count=2).eval()
    images = network.generate(network.noise(64))
    assert images.shape == (64, *shape)
    assert ((images >= 0) & (images <= 1)).all()
    assert (images.std(0) > 0).all()
    assert network.encoder(images).shape == (64, 5)


def test_images_that_are_too_small_are_refused():
    """A pyramid that would end below one pixel is refused in words."""
    with pytest.raises(ValueError, match="cannot be halved 3 times"):
        GanSearch(GanSearchConfig()).build((1, 7, 30), 2)


def test_average_follows_the_generator():
    """The average moves by its share towards the generator, running statistics included, and never trains."""
    sizes = Sizes(SHAPE, 4, (8, 6), (6, 8), (6, 8))
    network = LatentGAN(sizes, average=0.75, noise=0.1, bank=1, class_count=2).train()
    before = {name: value.clone() for name, value in network.averaged.state_dict().items()}
    with torch.no_grad():
        for value in network.generator.parameters():
            value.add_(1.0)
    network.generator(network.noise(8))  # moves the running statistics
    now = {name: value.clone() for name, value in network.generator.state_dict().items()}
    network.generator_losses(torch.rand(8, *SHAPE))
    for name, value in network.averaged.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, before[name] + 0.25 * (now[name] - before[name]))
    assert not any(module.training for module in network.averaged.modules())


@pytest.mark.slow
def test_interrupted_training_ends_alike(tmp_path):
    """A training killed in either stage and started again fits the same weights, average and bank."""

    class KilledError(Exception):
        pass

    def killed_at(stage, step):
        def advance(now, done, *_):
            if (now, done) == (stage, step):
                raise KilledError

        return advance

    whole = fitted().network.state_dict()
    for stage, step in (("fit", 3), ("fit", 30), ("encoder", 5)):
        folder = tmp_path / f"{stage}-{step}"
        method = GanSearch(GanSearchConfig(**SMALL))
        torch.manual_seed(0)
        trainer = Trainer(0, checkpoints=folder, checkpoint_seconds=0, advance=killed_at(stage, step))
        with pytest.raises(KilledError):
            method.fit(DATA, Places(), trainer=trainer)
        torch.manual_seed(0)
        again = GanSearch(GanSearchConfig(**SMALL))
        again.fit(DATA, Places(), trainer=Trainer(0, checkpoints=folder))
        state = again.network.state_dict()
        assert all(torch.equal(value, state[name]) for name, value in whole.items())


@pytest.mark.slow
def test_encoder_finds_latents(method):
    """The encoder's guess is nearer to the query than a latent of nothing, and the refinement nearer still."""
    with torch.no_grad():
        nothing = method.network.generate(torch.zeros(COUNT, 4))
        guess = method.network.generate(method.network.encoder(QUERIES))
        refined = method.reconstruct(QUERIES)
    errors = [(images - QUERIES).square().mean() for images in (nothing, guess, refined)]
    assert errors[0] > errors[1] > errors[2]


def test_bank_is_what_the_generator_shows(method):
    """Each row of the bank is the encoding of a training image, beside what the classifier sees in its picture."""
    network = method.network
    with torch.no_grad():
        latents = network.encoder(DATA.batch(torch.linspace(0, 63, 60).long()))
        probabilities = Places()(network.generate(latents)).softmax(1)
    torch.testing.assert_close(network.bank_latents, latents)
    torch.testing.assert_close(network.bank_probabilities, probabilities)


def test_nearest_is_of_the_class():
    """The nearest latent is of the target class with enough confidence; the surest one where none is sure enough."""
    network = LatentGAN(Sizes(SHAPE, 1, (8, 6), (6, 8), (6, 8)), average=0.9, noise=0.1, bank=5, class_count=2)
    network.bank_latents.copy_(torch.tensor([[0.0], [1.0], [2.0], [3.0], [9.0]]))
    network.bank_probabilities[:4, 0] = torch.tensor([0.4, 0.6, 0.95, 0.99])
    network.bank_probabilities[:4, 1] = 1 - network.bank_probabilities[:4, 0]
    own, target = torch.tensor([[0.1], [0.1], [9.0], [0.1]]), torch.tensor([0, 1, 0, 1])
    assert network.nearest(own, target, 0.9)[:, 0].tolist() == [2.0, 0.0, 3.0, 0.0]
    assert network.nearest(own, target, 0.0)[:, 0].tolist() == [1.0, 0.0, 3.0, 0.0]


def test_bank_start_improves_on_itself(method):
    """From the bank, every answer flips whose start does, and on the whole changes less than its start."""
    bank = variant(method, start="bank", confidence=0.5)
    answers = ask(bank, QUERIES, TARGET, [0.0])
    network, own = bank.network, answers.intervention["own_latent"]
    with torch.no_grad():
        starts = network.generate(network.nearest(own, TARGET, 0.5))
    sure = Places()(starts).softmax(1).gather(1, TARGET[:, None])[:, 0] >= 0.5
    assert sure.any()
    assert answers.intervention["flipped"][sure].all()
    assert torch.equal(Places()(answers.images[0]).argmax(1)[sure], TARGET[sure])
    assert (l1(answers.images[0]) <= l1(starts) + 1e-4)[sure].all()
    assert l1(answers.images[0])[sure].mean() < l1(starts)[sure].mean()
    torch.testing.assert_close(answers.evidence["start_l1"], (starts - QUERIES).abs().flatten(1).mean(1)[None])


@pytest.mark.parametrize("start", ["query", "bank"])
@pytest.mark.slow
def test_batched_equals_one_by_one(method, start):
    """A query's answer does not depend on the queries beside it."""
    double = variant(method, start=start, confidence=0.5)
    double.network.double()  # so that rounding, which a descent amplifies, stays far below what could matter
    together = ask(double, QUERIES.double(), TARGET, [0.0, 0.5])
    for row in range(COUNT):
        only = slice(row, row + 1)
        alone = ask(double, QUERIES[only].double(), TARGET[only], [0.0, 0.5])
        torch.testing.assert_close(alone.images, together.images[:, only], rtol=0, atol=1e-5)
        assert torch.equal(alone.intervention["flipped"], together.intervention["flipped"][only])


def test_answers_stay_within_the_radius(method):
    """No latent that is found is longer than the radius in lengths of the prior's; without one, some are."""
    longest = [
        ask(variant(method, radius=radius, confidence=0.5), QUERIES, TARGET, [0.0])
        .intervention["latent"]
        .norm(dim=1)
        .max()
        for radius in (0.2, None)
    ]
    assert longest[0] <= 0.2 * math.sqrt(4) + 1e-5
    assert longest[1] > 0.2 * math.sqrt(4)


def test_relaxation_runs_between_latents(method):
    """L(r) is on the line from the query's own latent, which is the reconstruction, to the answer's."""
    answers = ask(variant(method, confidence=0.5), QUERIES, TARGET, [1.0, 0.25])
    own, latent = answers.intervention["own_latent"], answers.intervention["latent"]
    with torch.no_grad():
        torch.testing.assert_close(answers.images[0], method.reconstruct(QUERIES))
        torch.testing.assert_close(answers.images[1], method.network.generate(latent + 0.25 * (own - latent)))


@pytest.mark.parametrize("name", ["gan", "pixels"])
def test_queries_of_the_target_class_come_back(method, name):
    """A query that is of the target class already comes back as it is, at every relaxation."""
    asked = method if name == "gan" else pixel_search()
    target = torch.where(torch.arange(COUNT) % 2 == 0, Places()(QUERIES).argmax(1), TARGET)
    answers = ask(asked, QUERIES, target, [0.0, 0.7])
    assert torch.equal(answers.images[:, ::2], QUERIES[::2].expand(2, -1, -1, -1, -1))
    assert (answers.images[0, 1::2] != QUERIES[1::2]).flatten(1).any(1).all()


def test_prototypes(method):
    """In prototype mode the answer shows the query's own class with more confidence than its reconstruction."""
    answers = ask(variant(method, mode="prototype"), QUERIES, TARGET, [0.0])
    own = Places()(QUERIES).argmax(1)[:, None]
    with torch.no_grad():
        before = Places()(method.reconstruct(QUERIES)).log_softmax(1).gather(1, own)
    assert (Places()(answers.images[0]).log_softmax(1).gather(1, own) > before).all()


def test_sampled_queries(method):
    """A sampled query is drawn from the prior and shows the class that it is said to show."""
    torch.manual_seed(1)
    with torch.no_grad():
        latents, classes = method.sampled_queries()
        seen = Places()(method.network.generate(latents)).softmax(1)
    assert torch.equal(seen.argmax(1), classes)
    assert (seen.max(1).values >= method.config.confidence).all()
    assert len(classes.unique()) == len(classes)


def test_illustrations(method):
    """Illustrations are rows of pictures that begin with their query."""
    torch.manual_seed(1)
    with torch.no_grad():
        shown = variant(method, confidence=0.4).illustrations()
    assert set(shown) == {"criticism", "criticism-without-distance", "prototype"}
    for name, illustration in shown.items():
        rows, frames = illustration.images.shape[:2]
        assert illustration.images.shape[2:] == SHAPE
        assert frames == 1 + method.config.frames == len(illustration.headings)
        assert [len(texts) for texts in illustration.captions] == [frames] * rows
        own = [int(texts[0][1]) for texts in illustration.captions]
        assert Places()(illustration.images[:, 0]).argmax(1).tolist() == own
        targets = [int(texts[0].split("{")[2][0]) for texts in illustration.captions]
        assert (targets == own) == (name == "prototype")


def pixel_search(**settings):
    return PixelSearch(PixelSearchConfig(**settings)).fit(DATA, Places(), trainer=Trainer(0))


def test_pixel_search_flips_anything():
    """Over pixels, every query flips with the confidence asked for, by pictures in [0, 1] that change little."""
    answers = ask(pixel_search(), QUERIES, TARGET, [0.0, 0.5, 1.0])
    assert answers.intervention["flipped"].all()
    assert ((answers.images >= 0) & (answers.images <= 1)).all()
    probability = Places()(answers.images[0]).softmax(1).gather(1, TARGET[:, None])
    assert (probability >= 0.9 - 1e-5).all()
    torch.testing.assert_close(answers.images[2], QUERIES)
    torch.testing.assert_close(answers.images[1], (answers.images[0] + QUERIES) / 2)


class OnePixel(Places):
    """Compares a picture with an even grey; one pixel weighs ten times as much as the others."""

    class_count = 2

    def features(self, images):
        weights = torch.ones(SHAPE)
        weights[0, 4, 4] = 10.0
        margin = ((images - 0.5) * weights).flatten(1).sum(1)
        return torch.stack([-margin / 2, margin / 2], dim=1)


@pytest.mark.slow
def test_pixel_search_finds_the_smallest_change():
    """Where the classifier is linear in the pixels, the smallest change is all in the one that weighs most, to 2 %."""
    classifier = OnePixel()
    config = PixelSearchConfig(steps=400, bisections=7, bisection_steps=400, search_rate=0.02, least_weight=0.1)
    asked = PixelSearch(config).fit(DATA, classifier, trainer=Trainer(0))
    images = torch.full((2, *SHAPE), 0.5) + torch.tensor([-0.003, 0.003])[:, None, None, None]
    target = 1 - classifier(images).argmax(1)
    found = ask(asked, images, target, [0.0]).images[0]
    missing = math.log(9) + classifier(images).diff(dim=1).abs()[:, 0]
    torch.testing.assert_close((found - images).abs().flatten(1).sum(1), missing / 10, rtol=0.02, atol=0)
