import numpy as np
import pytest
import torch
from torch import nn

from methods.base import CHANGE, Attributes
from methods.gan_search.attgan import AttGAN, Sizes, Weights, fed, shuffled
from methods.gan_search.attributes import THIRTEEN, AttributeSearch, AttributeSearchConfig
from methods.training import Trainer

SHAPE = (3, 17, 14)
NAMES = ("Light", "Left", "Red")
COUNT = 32


class Described:
    """Pictures that have an attribute or have it not: a light ground, a left bar, and that bar red."""

    shape = SHAPE

    def __init__(self, count):
        random = torch.Generator().manual_seed(0)
        self.has = torch.rand(count, 3, generator=random) > 0.5
        light, left, red = self.has.float()[:, :, None, None, None].unbind(1)  # (count, 1, 1, 1) each
        self.images = 0.05 * torch.rand(count, *SHAPE, generator=random) + 0.2 + 0.3 * light.expand(-1, *SHAPE)
        here = torch.where(left > 0, torch.arange(SHAPE[2]) < 6, torch.arange(SHAPE[2]) >= 8).float()
        self.images[:, :1] += 0.4 * here * red
        self.images[:, 1:] += 0.4 * here * (1 - red)

    def __len__(self):
        return len(self.images)

    def batch(self, indices):
        return self.images[indices]

    def described(self, names):
        return self.has[:, [NAMES.index(name) for name in names]].float()


class Sides(nn.Module):
    """The classifier: sees whether the left is lighter than the right, whatever the ground and the bar's colour."""

    class_count, feature_count = 2, 1

    def forward(self, images):
        return self.head(self.features(images))

    def features(self, images):
        left, right = (images[..., part].flatten(1).mean(1, keepdim=True) for part in (slice(6), slice(8, 14)))
        return 40 * (left - right)

    def head(self, features):
        return torch.cat([-features, features], dim=1)


SMALL = {"widths": (12, 24), "critic": (12, 24), "hidden": 16, "attribute_weight": 10.0, "batch_size": 16, "steps": 30}
DATA = Described(256)
QUERIES = DATA.batch(slice(COUNT))
TARGET = 1 - Sides()(QUERIES).argmax(1)
SIZES = Sizes(SHAPE, 3, (8, 12), (8, 12), 8)


def untrained(label="", **settings):
    """The method with its weights as they are drawn, which many laws hold for too."""
    torch.manual_seed(0)
    method = AttributeSearch(AttributeSearchConfig(**SMALL | settings))
    method.attributes = Attributes(NAMES, label)
    method.prepare(SHAPE, Sides())
    method.network.eval()
    return method


def ask(method, target=TARGET, relaxations=(1.0, 0.5, 0.0)):
    with torch.no_grad():
        return method.explain(QUERIES, target, relaxations)


def changes(answers):
    return torch.stack([answers.intervention[f"{CHANGE}{name}"] for name in NAMES], dim=1)


# -- the network -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 65, 65), (3, 33, 47), (2, 9, 31)])
def test_pictures_of_any_size_come_back_at_that_size(shape):
    """What is decoded has the shape of what was encoded, odd or even, within [0, 1]."""
    network = AttGAN(Sizes(shape, 3, (4, 6, 8), (4, 6), 5), Weights(10, 100)).eval()
    images = network.decode(network.encode(torch.rand(2, *shape)), torch.zeros(2, 3))
    assert images.shape == (2, *shape)
    assert ((images >= 0) & (images <= 1)).all()
    assert network.read(images).shape == (2, 3)


def test_every_attribute_reaches_every_part_of_the_picture():
    """The decoder is told the attributes at each place of the bottleneck, so that each of them can move any pixel."""
    torch.manual_seed(0)
    network = AttGAN(SIZES, Weights(10, 100)).eval()
    code = network.encode(QUERIES)
    for place in range(3):
        attributes = torch.full((COUNT, 3), -0.5)
        attributes[:, place] = 0.5
        moved = (network.decode(code, attributes) - network.decode(code, torch.full((COUNT, 3), -0.5))).abs().amax(0)
        assert (moved > 0).all()


def test_attributes_are_fed_as_halves():
    """Attributes 0 and 1, whatever their type, are −½ and ½ for the decoder; what is read is fed so too."""
    assert torch.equal(fed(torch.tensor([0, 1])), torch.tensor([-0.5, 0.5]))
    assert torch.equal(fed(torch.tensor([False, True])), torch.tensor([-0.5, 0.5]))
    assert set(AttGAN(SIZES, Weights(10, 100)).read(QUERIES).unique().tolist()) <= {-0.5, 0.5}


def test_wanted_attributes_are_those_of_the_batch():
    """What images are edited to is a permutation of their own rows, so that only what occurs is asked for."""
    rows = torch.arange(30).view(10, 3)
    assert torch.equal(shuffled(rows).sort(0).values, rows)


class Plane(nn.Module):
    """A critic whose slope is the same everywhere."""

    def __init__(self, slope):
        super().__init__()
        self.slope = slope

    def forward(self, images):
        return images.flatten(1) @ self.slope, None


def test_gradient_penalty_of_a_plane():
    """Of a linear critic the penalty is (‖slope‖ − 1)², in units of images in [−1, 1], wherever it is taken."""
    network = AttGAN(SIZES, Weights(10, 100))
    slope = torch.randn(QUERIES[0].numel(), generator=torch.Generator().manual_seed(1))
    network.critic = Plane(slope)
    penalty = network._penalty(QUERIES, QUERIES.flip(0))
    torch.testing.assert_close(penalty, (slope.norm() / 2 - 1).square())


def test_generator_loss_is_its_weighted_terms():
    """The loss is adversarial + weight × cross entropy + weight × L1, the last of images in [−1, 1]."""
    torch.manual_seed(0)
    network = AttGAN(SIZES, Weights(attributes=3, reconstruction=7)).eval()
    own = DATA.described(NAMES)[:COUNT]
    terms = network.generator_losses(QUERIES, own)
    torch.testing.assert_close(
        terms["loss"], terms["adversarial"] + 3 * terms["attributes"] + 7 * terms["reconstruction"]
    )
    reconstructed = network.decode(network.encode(QUERIES), fed(own))
    torch.testing.assert_close(
        terms["reconstruction"], ((2 * reconstructed - 1) - (2 * QUERIES - 1)).abs().mean(), rtol=1e-4, atol=1e-6
    )


# -- the search --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", NAMES)
def test_the_labels_own_attribute_keeps_its_value(label):
    """Whatever is searched, the attribute that the classifier is asked for is not changed, and others are."""
    moved = changes(ask(untrained(label, confidence=0.0))).abs().amax(0)
    place = NAMES.index(label)
    assert moved[place] == 0
    assert (moved[np.arange(3) != place] > 0).all()


def test_attributes_stay_in_the_box_that_training_saw():
    """No attribute leaves [−½, ½], so a change is at most 1, and goes away from the side that it was on."""
    method = untrained(search_rate=1.0, distance="none")
    own, moved = method.network.read(QUERIES), changes(ask(method))
    assert moved.abs().max() <= 1
    assert ((own + moved).abs() <= 0.5).all()
    assert (moved * own <= 0).all()


def test_relaxation_goes_straight_from_own_to_found():
    """Answers are decoded at a* + r (a0 − a*): at r = 1 the reconstruction, at r = 0 what was found."""
    method = untrained()
    answers, own = ask(method), method.network.read(QUERIES)
    code = method.network.encode(QUERIES)
    for r, images in zip((1.0, 0.5, 0.0), answers.images, strict=True):
        torch.testing.assert_close(images, method.network.decode(code, own + (1 - r) * changes(answers)))
    torch.testing.assert_close(answers.images[0], method.reconstruct(QUERIES))


def test_a_query_of_the_target_class_comes_back():
    """Where the query is of the target class already nothing is searched, nothing is changed."""
    answers = ask(untrained(), target=1 - TARGET)
    assert torch.equal(answers.images, QUERIES.expand(3, *QUERIES.shape))
    assert not changes(answers).any()


def test_images_without_its_attributes_are_refused():
    """Without any known attribute, or with none of those that are asked for, nothing can be built."""
    method = AttributeSearch(AttributeSearchConfig(**SMALL, attributes=THIRTEEN))
    with pytest.raises(ValueError, match="none of Bald, Bangs"):
        method.prepare(SHAPE, Sides())
    method.attributes = Attributes(NAMES)
    with pytest.raises(ValueError, match="none of Bald, Bangs"):
        method.prepare(SHAPE, Sides())
    method.attributes = Attributes((*NAMES, "Bald"))
    method.prepare(SHAPE, Sides())
    assert method.names == ("Bald",)


# -- what it learns ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def learnt():
    return untrained(epochs=20, learning_rate=2e-3, widths=(8, 16, 32), critic=(8, 16, 32)).fit(
        DATA, Sides(), trainer=Trainer(0)
    )


@pytest.mark.slow
def test_reads_and_reconstructs(learnt):
    """Trained, it reads nearly all attributes as they are, and gives the picture back."""
    right = (learnt.network.read(QUERIES) > 0) == DATA.has[:COUNT]
    assert right.float().mean() > 0.95
    assert (learnt.reconstruct(QUERIES) - QUERIES).square().mean() < 0.005


@pytest.mark.slow
def test_finds_what_the_classifier_depends_on(learnt):
    """A classifier that looks at the bar's side alone is flipped by that, which changes more than all else."""
    answers = ask(learnt)
    assert answers.intervention["flipped"].float().mean() > 0.6
    first = changes(answers)[answers.intervention["flipped"]].abs().argmax(1)
    assert (first == NAMES.index("Left")).float().mean() > 0.85


@pytest.mark.slow
def test_flips_less_where_that_is_held(learnt):
    """The same search with the side held has to flip by what the classifier does not look at, and mostly cannot."""
    free = ask(learnt).intervention["flipped"].float().mean()
    learnt.attributes = Attributes(NAMES, label="Left")
    try:
        held = ask(learnt)
    finally:
        learnt.attributes = Attributes(NAMES)
    assert not held.intervention[f"{CHANGE}Left"].any()
    assert held.intervention["flipped"].float().mean() < free / 2
