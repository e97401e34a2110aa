import math
from types import MappingProxyType

import pytest
import torch
from torch import nn

from methods.base import in_batches
from methods.dvae.flips import flipped, greedy
from methods.dvae.method import Dvae
from methods.dvae.model import DiscreteVAE, Sizes
from methods.dvae.settings import DvaeConfig
from methods.training import Trainer
from tests.methods import thirds
from tests.methods.thirds import CLASSES, Pictures

pytestmark = pytest.mark.slow  # a trained method is shared by these tests

SHAPE = (1, 6, 6)
FEATURES = 7
SIZES = Sizes(SHAPE, FEATURES, 5, (16, 16, 16), (16,), 0.0, 10)
SMALL = {"bits": 3, "hidden": (24, 24, 24), "generator": (24,), "epochs": 1, "generator_epochs": 1, "samples": 30}
SMALL |= {"min_steps": 800, "generator_min_steps": 150, "batch_size": 32, "learning_rate": 5e-3, "draws": 4}
POLICIES = ("greedy", "single", "all")
LARGER = {"fully connected": 1, "convolutional": 3}


class Places(thirds.Places):
    """Its representation holds more than its classes; that of its other layer is thrice as large."""

    feature_counts = MappingProxyType({"fully connected": FEATURES, "convolutional": FEATURES})

    def features(self, images, layer="fully connected"):
        rest = thirds.thirds(images).flatten(1)[:, : FEATURES - CLASSES]
        return LARGER[layer] * torch.cat([super().features(images), 10 * rest], dim=1)

    def head(self, features, layer="fully connected"):
        return features[:, :CLASSES] / LARGER[layer]


DATA = Pictures(96, SHAPE)
KEPT = torch.linspace(0, 95, 30).long()
"""Where the images lie that `samples` keeps."""
QUERIES = DATA.batch(slice(24))
TARGET = (Places()(QUERIES).argmax(1) + 1 + torch.arange(24) % 2) % CLASSES


def fitted(**settings):
    torch.manual_seed(0)
    return Dvae(DvaeConfig(**SMALL | settings)).fit(DATA, Places(), trainer=Trainer(0))


@pytest.fixture(scope="module")
def method():
    return fitted()


def variant(method, **settings):
    """The fitted method under other settings that only explain."""
    config = method.config.model_validate(method.config.model_dump() | settings)
    assert config.fit_part() == method.config.fit_part()
    return Dvae(config).restore(method.network.state_dict(), SHAPE, Places())


def ask(method, relaxations=(1.0, 0.5, 0.0)):
    with torch.no_grad():
        return method.explain(QUERIES, TARGET, relaxations)


# -- the DVAE ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_codes_are_the_same_each_time(method):
    """Encoding and decoding draw no random numbers at evaluation: the same φ has the same code and the same φ'."""
    phi = Places().features(QUERIES)
    torch.manual_seed(0)
    first = method.network.dvae.encode(phi)
    second = method.network.dvae.encode(phi)
    assert first.dtype == torch.bool
    assert torch.equal(first, second)
    assert torch.equal(method.network.dvae.decode(first), method.network.dvae.decode(second.float()))


def test_kl_is_that_of_coins():
    """The KL term is 0 for latents like fair coins, ln 2 for certain ones, and ln 2 less the entropy between."""
    vae = DiscreteVAE(SIZES, temperature=0.5, kl_weight=0.25)
    nn.init.zeros_(vae.encoder[-1].weight)
    p = 1 / (1 + math.exp(-1.0))
    between = math.log(2) + p * math.log(p) + (1 - p) * math.log(1 - p)
    for bias, kl in ((0.0, 0.0), (40.0, math.log(2)), (1.0, between)):
        nn.init.constant_(vae.encoder[-1].bias, bias)
        losses = vae.losses(torch.randn(8, FEATURES))
        assert losses["kl"].item() == pytest.approx(5 * kl, abs=1e-5)
        assert losses["loss"].item() == pytest.approx((losses["error"] + 0.25 * losses["kl"]).item())


def test_error_knows_no_units():
    """φ in other units has the same codes, errors in proportion, and the same loss."""
    torch.manual_seed(0)
    vae, phi = DiscreteVAE(SIZES, temperature=0.5, kl_weight=1.0), 3 + torch.randn(50, FEATURES)
    found = []
    for unit in (1.0, 1000.0):
        vae.measure(unit * phi)
        torch.manual_seed(1)
        found.append(
            (vae.encode(unit * phi), vae.decode(vae.encode(unit * phi)) / unit, vae.losses(unit * phi)["loss"])
        )
    assert torch.equal(found[0][0], found[1][0])
    torch.testing.assert_close(found[0][1:], found[1][1:], rtol=1e-4, atol=1e-4)


def test_representations_survive_their_code(method):
    """After training f_K sees in φ' mostly what it sees in φ."""
    found = method.diagnostics(QUERIES)
    assert (found["phi_classes"] == found["phi_reconstruction_classes"]).float().mean() > 0.9


@pytest.mark.slow
def test_other_layer_is_explained_throughout():
    """On another layer φ is that layer's, f_K is what lies behind it, and all that is reported is of both."""
    method = fitted(layer="convolutional")
    with torch.no_grad():
        phi = Places().features(QUERIES, "convolutional")
        torch.testing.assert_close(method.network.kept(), in_batches(method.features, DATA, QUERIES.device)[KEPT])
        own = method.network.dvae.decode(method.network.dvae.encode(phi))
        found = method.diagnostics(QUERIES)
        assert torch.equal(found["phi_classes"], Places()(QUERIES).argmax(1))
        assert torch.equal(found["phi_reconstruction_classes"], Places().head(own, "convolutional").argmax(1))
        answers = ask(method, [0.0])
        bits, ranks = answers.intervention["bits"], answers.intervention["ranks"]
        psi = method.network.dvae.decode(flipped(bits, ranks, 0.0))
        assert torch.equal(answers.evidence["representation_classes"][0], Places().head(psi, "convolutional").argmax(1))
        assert {row["noise"] for row in method.studies()["fisher"].rows} == {"probe"}
    assert ((found["shared_fisher"] >= 0) & (found["shared_fisher"] <= 1 + 1e-6)).all()
    assert any("convolutional" in remark for remark in method.remarks())


# -- the generators ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("regulariser", "weight"), [("inverse_dot", 1e-3), ("none", 7.0)])
@pytest.mark.slow
def test_plain_generator_knows_no_regulariser(method, regulariser, weight):
    """The generator without the regulariser is the same to the last bit, whatever the other one is trained with."""
    ours, theirs = fitted(regulariser=regulariser, weight=weight).network.generators, method.network.generators
    for name, value in ours["plain"].state_dict().items():
        assert torch.equal(value, theirs["plain"].state_dict()[name])
    assert ("regularised" in ours) == (regulariser != "none")


@pytest.mark.slow
def test_regulariser_raises_what_is_shared():
    """A generator under a strong regulariser shares more information with f_K than one without."""
    strong = fitted(regulariser="inverse_cosine", weight=30.0)
    torch.manual_seed(0)
    found = strong.diagnostics(QUERIES)
    assert found["shared_fisher"].mean() > found["shared_fisher_plain"].mean() + 0.1


@pytest.mark.slow
def test_without_regulariser_both_columns_are_of_one_generator():
    """Without a regulariser the answering generator is the plain one."""
    method = fitted(regulariser="none")
    assert method.network.answering == "plain"
    assert any("no regulariser" in remark for remark in method.remarks())


# -- answers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES)
def test_all_bits_kept_is_the_reconstruction(method, policy):
    """At r = 1 every policy answers g(φ'), to the last bit."""
    asked = variant(method, policy=policy)
    assert torch.equal(ask(asked, [1.0]).images[0], asked.reconstruct(QUERIES))


@pytest.mark.parametrize("policy", POLICIES)
def test_evidence_is_of_the_answer(method, policy):
    """At every r the reported class is that of f_K(ψ), where g(ψ) is the answer's picture."""
    answers = ask(variant(method, policy=policy))
    bits, ranks = answers.intervention["bits"], answers.intervention["ranks"]
    for place, r in enumerate((1.0, 0.5, 0.0)):
        psi = method.network.dvae.decode(flipped(bits, ranks, r))
        assert torch.equal(answers.evidence["representation_classes"][place], Places().head(psi).argmax(1))
        assert torch.equal(answers.images[place], method.network.draw(psi))


def test_policies_flip_so_many(method):
    """`single` flips one bit, `all` flips all."""
    for policy, count in (("single", 1), ("all", 5)):
        assert ((ask(variant(method, policy=policy)).intervention["ranks"] < 5).sum(1) == count).all()


def test_picture_needs_no_fewer_flips(method):
    """Until the picture flips too takes at least as many bits, begins with the same, and reaches both where it ends."""
    representation = ask(variant(method, until_picture=False), [0.0])
    both = ask(method, [0.0])
    few, many = (answers.intervention["ranks"] for answers in (representation, both))
    assert (((few < 5) <= (many < 5)) & ((few == many) | (few == 5))).all()
    assert (representation.evidence["representation_classes"][0] == TARGET).all()
    seen = Places()(both.images[0]).argmax(1) == TARGET
    extended = (many < 5).sum(1) > (few < 5).sum(1)
    assert seen.float().mean() >= (Places()(representation.images[0]).argmax(1) == TARGET).float().mean()
    assert (both.evidence["representation_classes"][0] == TARGET)[seen & extended].all()


def test_flips_go_on_to_the_margin(method):
    """Both leads reach the margin where flips do so at all; a greater margin takes no fewer flips."""
    flips = []
    for margin in (0.0, 0.5):
        asked = variant(method, margin=margin)
        told = ask(asked, [0.0]).intervention
        code = flipped(told["bits"], told["ranks"], 0.0)
        flips.append((told["ranks"] < 5).sum(1))
        with torch.no_grad():
            leads = asked.lead_in_both(code, TARGET)
            most = greedy(asked.lead_in_both, told["bits"], TARGET, told["ranks"], margin=torch.inf)
            tried = asked.lead_in_both(flipped(told["bits"], most, 0.0), TARGET)
        assert ((leads > margin) | (leads == tried) | (tried <= 0)).all()
        assert (leads > margin).any()
    assert (flips[1] >= flips[0]).all()


# -- figures and tables ------------------------------------------------------------------------------------------------


def test_bits_are_shown_unset_and_set(method):
    """Every bit has a picture unset, one set and their difference, on one scale, grey where they are alike."""
    with torch.no_grad():
        shown = method.illustrations()["bits"]
    pictures = shown.images.flatten(0, 1).unflatten(0, (-1, 3))
    assert len(pictures) == 6  # five bits, and a blank that fills the row
    difference = pictures[:5, 1] - pictures[:5, 0]
    torch.testing.assert_close(2 * pictures[:5, 2] - 1, difference / difference.abs().max())
    texts = [text for row in shown.captions for text in row]
    assert texts[2::3] == ["bit 0", "bit 1", "bit 2", "bit 3", "bit 4", ""]


def test_histogram_counts_images(method):
    """The histogram counts each of the kept images at most once, and as many as reach their target."""
    with torch.no_grad():
        rows = method.studies()["bits-needed"].rows
    for until in {row["until the target leads in"] for row in rows}:
        assert 0 < sum(row["images"] for row in rows if row["until the target leads in"] == until) <= 30


@pytest.mark.parametrize("policy", ["single", "all"])
def test_variants_show_nothing_twice(method, policy):
    """What a training means is shown once, by the policy that stands for it."""
    other = variant(method, policy=policy)
    assert other.illustrations() == {}
    assert other.studies() == {}


@pytest.mark.slow
def test_fewer_images_than_are_kept(method):
    """A training set smaller than what could be kept is kept as it is, without the rows that are not used."""
    assert method.network.kept().shape == (30, FEATURES)
    assert fitted(samples=500).network.kept().shape == (len(DATA), FEATURES)
