from functools import partial

import pytest
import torch
from thirds import CLASSES, Pictures, Places

from methods import METHODS
from methods.diffusion.chain import Chain, Mask, unchanged
from methods.diffusion.descent import Descent, filtered, pre_explanation
from methods.diffusion.guided import Guide, guided
from methods.diffusion.model import Denoiser, Sizes
from methods.diffusion.noise import Noise, Use
from methods.diffusion.schedule import schedule
from methods.training import Trainer

SHAPE = (1, 9, 14)
TIMES = 50
NAMES = ("fastdime", "dime", "ace")
SMALL = {"times": TIMES, "widths": (8,), "steps": 8, "depth": 0.75, "epochs": 3, "min_steps": 60, "average": 0.9}
DATA = Pictures(60, SHAPE)
QUERIES = Pictures(10, SHAPE).images
TARGET = (Places()(QUERIES).argmax(1) + 1) % CLASSES


def made(name, **settings):
    entry = METHODS[name]
    kind = entry.load()
    return kind(kind.Config(**{**SMALL, **entry.settings, **settings}))


@pytest.fixture(scope="module")
def trained():
    """The state of one training, which all three share; and how many trainings were asked for."""
    kept, keys = {}, []

    def once(trainer, key, training):
        keys.append(str(key))
        if str(key) not in kept:
            kept[str(key)] = training(trainer)
        return kept[str(key)]

    for name in NAMES:
        made(name).fit(DATA, Places(), trainer=Trainer(0, shared=once))
    return keys, kept


@pytest.fixture
def fitted(trained):
    (state,) = trained[1].values()

    def fit(name, **settings):
        return made(name, **settings).restore(state, SHAPE, Places())

    return fit


@pytest.fixture
def chain(fitted):
    return fitted("fastdime").chain(8)


def explain(method, images=QUERIES, target=TARGET, relaxations=(0.0,)):
    torch.manual_seed(5)
    with torch.no_grad():
        return method.explain(images, target, relaxations)


def test_three_methods_share_one_training(trained):
    """DiME, FastDiME and ACE ask for the same training, though they answer by different settings."""
    keys, kept = trained
    assert len(keys) == len(NAMES)
    assert len(kept) == 1


@pytest.mark.parametrize("name", NAMES)
def test_depth_zero_is_the_query(fitted, name):
    """At r = 1 the answer is the query to the bit, and so is the reconstruction."""
    method = fitted(name)
    assert torch.equal(explain(method, relaxations=(1.0,)).images[0], QUERIES)
    assert torch.equal(method.reconstruct(QUERIES), QUERIES)


def test_without_guidance_a_query_is_only_filtered(chain):
    """With scale and λ_1 zero DiME's walk is plain denoising under the same noise, and from depth 0 the query."""
    images = 2 * QUERIES - 1
    noise = Noise.of(images)
    guide = Guide(Places(), images, TARGET, torch.zeros(len(images)), 0.0)
    noised = chain.schedule.noised(images, 6, noise.at(Use.START))
    plain = chain.denoise(noised, 6, partial(noise.at, Use.STEP))
    assert torch.allclose(guided(chain, guide, 6, noise, None, inner=False).images, plain)
    assert torch.allclose(guided(chain, guide, 6, noise, None, inner=True).images, plain)
    assert torch.equal(guided(chain, guide, 0, noise, None, inner=False).images, images)


def test_guidance_raises_the_targets_probability(chain):
    """The greater the scale, the more of the target the classifier sees, on average."""
    images = 2 * QUERIES - 1
    noise = Noise.of(images)
    seen = []
    for scale in (0.0, 5.0, 50.0):
        guide = Guide(lambda found: Places()((found + 1) / 2), images, TARGET, torch.full((10,), scale), 0.0)
        found = guided(chain, guide, 6, noise, None, inner=False).images
        seen.append(Places()((found + 1) / 2).softmax(1).gather(1, TARGET[:, None]).mean())
    assert seen[0] < seen[1] < seen[2]


@pytest.mark.parametrize("name", ["fastdime", "ace"])
def test_the_mask_keeps_pixels_to_the_bit(fitted, name):
    """Where the mask says so, an answer has the query's pixels to the bit; elsewhere it has not."""
    answers = explain(fitted(name, mask_threshold=0.5, mask_reach=0)).images[0]
    same = answers == QUERIES
    assert 0.02 < same.float().mean() < 0.98
    bare = explain(fitted(name, mask_threshold=0.0)).images[0]
    assert (bare == QUERIES).float().mean() < 0.02


def test_dime_has_no_mask(fitted):
    """DiME leaves hardly a pixel as it was."""
    assert (explain(fitted("dime")).images[0] == QUERIES).float().mean() < 0.02


@pytest.mark.parametrize("name", NAMES)
def test_answers_do_not_depend_on_the_batch(fitted, name):
    """A query that is asked alone, or in another order, gets the answer that it gets among others."""
    method = fitted(name)
    together = explain(method, relaxations=(0.0, 0.4)).images
    alone = explain(method, QUERIES[3:4], TARGET[3:4], (0.0, 0.4)).images
    assert torch.allclose(alone, together[:, 3:4], atol=1e-4)
    backwards = explain(method, QUERIES.flip(0), TARGET.flip(0), (0.0, 0.4)).images
    assert torch.allclose(backwards.flip(1), together, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_does_not_depend_on_the_other_relaxations(fitted, name):
    """The answer at a relaxation is the same whatever else is swept."""
    method = fitted(name)
    assert torch.equal(explain(method, relaxations=(0.0, 0.4)).images[1], explain(method, relaxations=(0.4,)).images[0])


def test_scales_are_tried_in_turn(fitted):
    """Each query has the first scale that flips it with the confidence; one that none flips has one that was tried."""
    low, high, sure = 12.0, 30.0, 0.99
    alone = {scale: explain(fitted("fastdime", scales=(scale,))).images[0] for scale in (low, high)}
    found = explain(fitted("fastdime", scales=(low, high), confidence=sure))
    reached = {scale: Places()(images).softmax(1).gather(1, TARGET[:, None])[:, 0] for scale, images in alone.items()}
    for query, scale in enumerate(found.intervention["scale"].tolist()):
        wanted = low if reached[low][query] >= min(sure, reached[high][query]) else high
        assert scale == wanted
        assert torch.allclose(found.images[0, query], alone[wanted][query], atol=1e-4)
    assert len(found.intervention["scale"].unique()) == 2


@pytest.mark.parametrize(("inner", "calls"), [(False, 6), (True, 6 + 5 + 4 + 3 + 2 + 1)])
def test_what_a_walk_costs(inner, calls):
    """From depth τ FastDiME asks the network τ times, DiME τ (τ + 1) / 2 times."""
    asked = []

    def predict(noised, time):
        asked.append(time)
        return torch.zeros_like(noised)

    images = 2 * QUERIES - 1
    guide = Guide(Places(), images, TARGET, torch.ones(len(images)), 0.05)
    guided(Chain(predict, schedule("cosine", 8)), guide, 6, Noise.of(images), None, inner=inner)
    assert len(asked) == calls


def test_ace_descends_through_the_whole_filter(chain):
    """Behind the filter the classifier sees more of the target the longer the descent, and nothing changes by none."""
    images = 2 * QUERIES - 1
    noise, seen = Noise.of(images), []

    def classify(found):
        return Places()((found + 1) / 2)

    for iterations in (0, 5, 20):
        descent = Descent(iterations, 0.1, 0.0, 1, 0.999)
        found = pre_explanation(chain, classify, images, TARGET, 4, noise, descent)
        assert iterations or torch.equal(found, images)
        behind = filtered(chain, found, 4, noise)
        seen.append(classify(behind).softmax(1).gather(1, TARGET[:, None]).mean())
    assert seen[0] < seen[1] < seen[2]


def test_checkpoints_change_no_gradient(fitted):
    """ACE answers alike with and without checkpoints, which only save memory."""
    first, second = (explain(fitted("ace", checkpointed=flag, iterations=4)).images for flag in (False, True))
    assert torch.allclose(first, second, atol=1e-5)


# -- parts -------------------------------------------------------------------------------------------------------------


def test_noise_belongs_to_a_query():
    """A query's noise is the same in any company, another at another place, and standard normal."""
    torch.manual_seed(0)
    all_of_them = Noise.of(QUERIES)
    torch.manual_seed(0)
    some = Noise.of(QUERIES[4:6])
    assert torch.equal(all_of_them.at(Use.STEP, 3)[4:6], some.at(Use.STEP, 3))
    assert torch.equal(all_of_them.of_rows(torch.tensor([4, 5])).at(Use.STEP, 3), some.at(Use.STEP, 3))
    assert not torch.equal(some.at(Use.STEP, 3), some.at(Use.STEP, 4))
    assert not torch.equal(some.at(Use.STEP, 3), some.at(Use.KEPT, 3))
    drawn = torch.stack([all_of_them.at(Use.INNER, step, 1) for step in range(20)])
    assert abs(drawn.mean()) < 4 / drawn.numel() ** 0.5
    assert abs(drawn.std() - 1) < 4 / (2 * drawn.numel()) ** 0.5


def test_noise_follows_torchs_seed():
    """Another seed draws other noise."""
    torch.manual_seed(0)
    first = Noise.of(QUERIES).at(Use.START)
    assert not torch.equal(first, Noise.of(QUERIES).at(Use.START))


def test_the_mask_looks_around():
    """One changed pixel un-keeps the square around it; a picture that did not change is kept whole."""
    images = torch.zeros(2, 3, 11, 11)
    found = images.clone()
    found[0, 1, 5, 5] = 0.7
    keep = unchanged(images, found, Mask(2, 0.15))
    assert keep.shape == (2, 1, 11, 11)
    assert keep[1].all()
    assert not keep[0, 0, 3:8, 3:8].any()
    assert keep[0].sum() == 11 * 11 - 25


@pytest.mark.parametrize("sizes", [(2, (8, 16), 1, 1), (4, (8,), 2, 0), (1, (8, 8, 16), 1, 2)], ids=str)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 17, 23)], ids=str)
def test_the_network_fits_any_size(sizes, shape):
    """The U-Net puts out what has the shape of a picture, whatever is padded, halved or looked at inside."""
    network = Denoiser(Sizes(shape, *sizes), schedule("cosine", 10), 0.9)
    assert network.noise(torch.randn(2, *shape), 3).shape == (2, *shape)
    assert torch.isfinite(network.losses(torch.rand(2, *shape))["loss"])


def test_the_average_follows():
    """The network that answers moves towards the one that is trained, by the share that a step leaves."""
    network = Denoiser(Sizes((1, 8, 8), 2, (8,), 1, 0), schedule("cosine", 10), 0.75)
    with torch.no_grad():
        for value in network.trained.parameters():
            value.fill_(4.0)
        for value in network.averaged.parameters():
            value.fill_(0.0)
    network.losses(torch.rand(2, 1, 8, 8))
    assert all((value == 1).all() for value in network.averaged.parameters())


def test_picture_and_noise_say_the_same():
    """A network that gives the picture tells its noise as exactly as one that gives the noise."""
    network = Denoiser(Sizes((1, 4, 4), 1, (8,), 1, 0), schedule("cosine", TIMES), 0.9, "picture")
    clean, noise = 2 * torch.rand(5, 1, 4, 4) - 1, torch.randn(5, 1, 4, 4)
    network.averaged.forward = lambda *_: clean
    for time in (1, TIMES // 2, TIMES):
        noised = network.schedule.noised(clean, time, noise)
        assert torch.allclose(network.noise(noised, time), noise, atol=1e-4)


def test_the_loss_of_a_picture_is_weighted_by_what_is_left_of_it():
    """A known picture has no loss; one that is off by .1 has .01 times ᾱ / (1 − ᾱ), kept between 1 and 5."""
    network = Denoiser(Sizes((1, 4, 4), 1, (8,), 1, 0), schedule("cosine", TIMES), 0.9, "picture")
    images = torch.rand(1, 1, 4, 4).expand(64, 1, 4, 4)
    torch.manual_seed(0)
    kept = network.schedule.kept[torch.randint(1, TIMES + 1, (64,))]  # the steps that the loss draws first
    ratio = kept / (1 - kept)
    assert ratio.min() < 1
    assert ratio.max() > 5
    for off in (0.0, 0.1):
        network.trained.forward = lambda *_, off=off: 2 * images - 1 + off
        torch.manual_seed(0)
        assert float(network.losses(images)["loss"]) == pytest.approx(
            off**2 * float(ratio.clamp(1, 5).mean()), rel=1e-5
        )


def test_samples_are_pictures(fitted):
    """What is made of plain noise is as many pictures in [0, 1], shown by one of the three."""
    torch.manual_seed(0)
    with torch.no_grad():
        made_of_noise = fitted("fastdime").samples(3)["samples"]
    assert not fitted("dime").samples(3)
    assert made_of_noise.shape == (3, *SHAPE)
    assert ((made_of_noise >= 0) & (made_of_noise <= 1)).all()
