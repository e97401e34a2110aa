import pytest
import torch
from pydantic import ValidationError

from methods.gan_search.method import GanConfig, GanSearch, GanSearchConfig
from methods.hybrid.gan import HybridGan, HybridGanConfig
from methods.hybrid.latent import LatentSearch, LatentSearchConfig
from methods.hybrid.model import Pairs, generate
from methods.hybrid.network import Place
from methods.hybrid.vae import BetaVaeConfig, Hybrid, HybridVaeConfig
from methods.training import Trainer
from tests.methods.thirds import CLASSES, Pictures, Places

SHAPE = (1, 13, 10)
COUNT = 12
COMMON = {"generator": (8, 6, 4), "latent": 5, "epochs": 40, "min_steps": 0, "batch_size": 16, "pairs": 20, "bank": 60}
COMMON |= {"encoder": (6, 8), "donors": 4, "repetitions": 2, "study_pairs": 20, "learning_rate": 3e-3}
GAN = {
    "discriminator": (6, 8),
    "epochs": 2,
    "encoder_epochs": 2,
    "encoder_min_steps": 0,
    "average": 0.9,
    "inversion_steps": 4,
}


DATA = Pictures(64, SHAPE)
QUERIES = DATA.batch(slice(COUNT))
TARGET = (Places(20.0)(QUERIES).argmax(1) + 1 + torch.arange(COUNT) % 2) % CLASSES


def fitted(trainer=None, **settings):
    method = Hybrid(HybridVaeConfig(**COMMON | settings))
    torch.manual_seed(0)
    return method.fit(DATA, Places(20.0), trainer=trainer or Trainer(0))


@pytest.fixture(scope="module")
def method():
    return fitted()


def variant(method, **settings):
    """The fitted method under other settings that only explain."""
    config = method.config.model_validate(method.config.model_dump() | settings)
    assert config.fit_part() == method.config.fit_part()
    return type(method)(config).restore(method.network.state_dict(), SHAPE, Places(20.0))


def place(labels, channels, clusters=3):
    """Layers with the modules that `labels` say."""
    made = Place([f"layer {i}" for i in range(len(channels))], channels, clusters, (2, 2))
    made.labels.copy_(torch.tensor(labels))
    return made


# -- sets of modules ---------------------------------------------------------------------------------------------------


def test_sets_leave_out_none_and_all():
    """Of K modules in one layer 2^K − 2 sets make hybrids: not the one of none, nor that of all."""
    sets = place([0, 1, 2, 1, -1], [5]).sets()
    assert len(sets) == 6
    assert set(map(tuple, sets.tolist())) == {s for s in map(tuple, sets.tolist()) if 0 < sum(s) < 3}


def test_sets_differ_in_their_channels():
    """An empty module adds no set, and a set of all channels that have any influence counts as all."""
    assert sorted(place([0, 2, 2, -1], [4]).sets().tolist()) == [[False, False, True], [True, False, False]]
    assert len(place([1, 1, -1], [3]).sets()) == 0
    assert len(place([-1, -1], [2]).sets()) == 0


def test_a_module_that_is_a_whole_layer_is_not_used():
    """Of two layers, a set that has all channels of either one makes the donor, and is left out and said."""
    two = place([0, 1, 2, 0, 0], [3, 2])
    assert two.remark(two.singles[0]) == "all channels of a layer"
    assert not two.sets()[:, 0].any()
    assert len(two.sets()) == 3
    assert place([0, 1], [2]).remark(torch.tensor([False, False, True])) == "empty"
    assert two.remark(two.singles[1]) == ""


def test_swapped_channels_are_those_of_the_modules():
    """A set swaps the channels whose module is in it, layer by layer, and those of no module never."""
    first, second = place([0, 1, -1, 2, 0], [3, 2]).swapped(torch.tensor([[True, False, True], [True, True, True]]))
    assert first.tolist() == [[True, False, False], [True, True, False]]
    assert second.tolist() == [[True, True], [True, True]]


# -- answers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("layer", "span"), [(1, 1), (2, 1), (3, 1), (1, 2), (2, 2)])
@torch.no_grad()
def test_the_least_change_that_flips_wins(method, layer, span):
    """No donor and set of modules that flips changes a query less, by trying all of them one by one."""
    asked = variant(method, layer=layer, span=span, confidence=0.6)
    answers = asked.explain(QUERIES, TARGET, [0.0])
    network, generator, where = asked.network, asked.generator, asked.place
    own = asked.invert(QUERIES)
    donors = network.nearest_donors(own, TARGET, 4, 0.6)
    assert answers.intervention["flipped"].any()
    for row, target in enumerate(TARGET.tolist()):
        found = []
        for donor in donors[row].tolist():
            pair = Pairs.of(generator, where.layers, own[row : row + 1], network.donor_latents[donor : donor + 1])
            for chosen in where.sets():
                image = pair.hybrids(where.swapped(chosen))[0]
                probabilities = Places(20.0)(image[None]).softmax(1)[0]
                flips = bool(probabilities.argmax() == target and probabilities[target] >= 0.6)
                found.append((not flips, float((image - QUERIES[row]).abs().mean()), float(probabilities[target])))
        answer = answers.images[0, row]
        assert answers.intervention["flipped"][row] == any(not missed for missed, _, _ in found)
        if answers.intervention["flipped"][row]:
            assert float((answer - QUERIES[row]).abs().mean()) == pytest.approx(min(found)[1], abs=1e-6)


def test_the_best_attempt_where_nothing_flips(method):
    """Where a confidence is out of reach, the answer is the attempt with the highest probability of the target."""
    asked = variant(method, confidence=0.999999)
    answers = asked.explain(QUERIES, TARGET, [0.0])
    assert not answers.intervention["flipped"].any()
    reached = Places(20.0)(answers.images[0]).softmax(1).gather(1, TARGET[:, None])[:, 0]
    easier = variant(method, confidence=0.3).explain(QUERIES, TARGET, [0.0]).images[0]
    assert (reached >= Places(20.0)(easier).softmax(1).gather(1, TARGET[:, None])[:, 0] - 1e-6).float().mean() > 0.8


def test_relaxation_one_is_the_reconstruction(method):
    """At r = 1 the answer is what is generated of the query's own code, bit for bit."""
    for span in (1, 2):
        asked = variant(method, span=span)
        assert torch.equal(asked.explain(QUERIES, TARGET, [1.0]).images[0], asked.reconstruct(QUERIES))


def test_what_is_reported_makes_the_answer(method):
    """Donor and modules, as reported, make the answer again."""
    answers = method.explain(QUERIES, TARGET, [0.0])
    said = answers.intervention
    assert (said["layer"] == method.config.layer).all()
    donors = method.encode(DATA.batch(said["donor"]))
    pairs = Pairs.of(method.generator, method.place.layers, method.invert(QUERIES), donors)
    torch.testing.assert_close(pairs.hybrids(method.place.swapped(said["modules"])), answers.images[0])


def test_answers_do_not_depend_on_other_queries(method):
    """A query gets the same answer alone as among others."""
    together = method.explain(QUERIES, TARGET, [0.0, 0.5])
    for row in range(COUNT):
        alone = method.explain(QUERIES[row : row + 1], TARGET[row : row + 1], [0.0, 0.5])
        torch.testing.assert_close(alone.images[:, 0], together.images[:, row], atol=1e-5, rtol=0)
        assert alone.intervention["donor"][0] == together.intervention["donor"][row]


def test_donors_are_the_nearest_of_the_target_class(method):
    """Donors generate the target class with the confidence, and no other one that does is nearer."""
    network = method.network
    own = method.invert(QUERIES)
    chosen = network.nearest_donors(own, TARGET, 4, 0.5)
    seen = Places(20.0)(generate(method.generator, network.donor_latents[:60])).softmax(1)
    for row, target in enumerate(TARGET.tolist()):
        good = ((seen[:, target] >= 0.5) & (seen.argmax(1) == target)).nonzero()[:, 0]
        apart = (network.donor_latents[good] - own[row]).norm(dim=1)
        assert chosen[row].tolist() == good[apart.argsort()[:4]].tolist()


def test_donors_that_come_nearest_to_the_class(method):
    """Where no donor reaches the confidence, those with the highest probability of the target are taken, in order."""
    chosen = method.network.nearest_donors(method.invert(QUERIES), TARGET, 4, 1.1)
    seen = method.network.donor_probabilities[:60]
    for row, target in enumerate(TARGET.tolist()):
        assert chosen[row].tolist() == seen[:, target].argsort(descending=True)[:4].tolist()


@torch.no_grad()
def test_without_a_set_nothing_is_swapped(method):
    """Where no set of modules makes a hybrid, the answer is the reconstruction, and says that it swapped none."""
    asked = variant(method)
    asked.place.labels.fill_(1)
    answers = asked.explain(QUERIES, TARGET, [0.0])
    assert torch.equal(answers.images[0], asked.reconstruct(QUERIES))
    assert not answers.intervention["modules"].any()
    study = asked.studies()["modules"]
    assert any("all channels of a layer" in note and "empty" in note for note in study.notes)
    assert list(asked.samples(5)) == ["samples"]


# -- fitting and settings ----------------------------------------------------------------------------------------------


def test_interrupted_training_ends_alike(tmp_path):
    """A training killed on the way, or after its last step, and started again fits the same weights and modules."""

    class KilledError(Exception):
        pass

    def killed(_, done, *__):
        if done == step:
            raise KilledError

    whole = fitted(epochs=4).network.state_dict()
    for step in (3, 15, 16):
        folder = tmp_path / str(step)
        with pytest.raises(KilledError):
            fitted(Trainer(0, checkpoints=folder, checkpoint_seconds=0, advance=killed), epochs=4)
        again = fitted(Trainer(0, checkpoints=folder), epochs=4).network.state_dict()
        assert all(torch.equal(again[name], value) for name, value in whole.items())


def test_layers_that_are_not_there_are_refused():
    """A layer beyond the generator's, and two from the last one on, are refused in words."""
    for settings in ({"layer": 4}, {"layer": 3, "span": 2}):
        with pytest.raises(ValidationError, match="has 3 layers"):
            HybridVaeConfig(**settings)


def test_images_that_are_too_small_are_refused():
    """A pyramid that would end below one pixel is refused in words."""
    for method in (Hybrid(HybridVaeConfig()), HybridGan(HybridGanConfig())):
        with pytest.raises(ValueError, match="cannot be halved 3 times"):
            method.build((1, 7, 30), 2)


def test_gan_is_trained_and_inverted_as_in_gan_search():
    """`hybrid-gan` fits the very GAN and finds the very latents that `gan-search` does."""
    ours = HybridGan(HybridGanConfig(**COMMON | GAN))
    theirs = GanSearch(GanSearchConfig(**{name: getattr(ours.config, name) for name in GanConfig.model_fields}))
    for method in (ours, theirs):
        torch.manual_seed(0)
        method.fit(DATA, Places(20.0), trainer=Trainer(0))
    expected = theirs.network.state_dict()
    for name, value in ours.network.model.state_dict().items():
        assert name.startswith("bank") or torch.equal(value, expected[name])
    assert torch.equal(ours.invert(QUERIES), theirs.invert(QUERIES))
    assert torch.equal(ours.reconstruct(QUERIES), theirs.reconstruct(QUERIES))


def test_latent_search_takes_the_vae_of_hybrid():
    """`latent-search` trains the very β-VAE that `hybrid` does, under one key, so that a run trains it once."""
    keys = []

    def once(trainer, key, training):
        keys.append(key)
        return training(trainer)

    theirs = Hybrid(HybridVaeConfig(**COMMON))
    shared = {name: getattr(theirs.config, name) for name in BetaVaeConfig.model_fields}
    ours = LatentSearch(LatentSearchConfig(**shared, steps=2, bisections=1))
    for method in (ours, theirs):
        torch.manual_seed(0)
        method.fit(DATA, Places(20.0), trainer=Trainer(0, shared=once))
    assert keys[0] == keys[1]
    expected = theirs.network.model.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in ours.vae.state_dict().items())
    assert torch.equal(ours.reconstruct(QUERIES), theirs.reconstruct(QUERIES))


# -- figures and tables ------------------------------------------------------------------------------------------------


def test_samples_have_a_set_a_module(method):
    """Beside samples of noise there are hybrids of each module, as many, in range, and no set is another one."""
    torch.manual_seed(0)
    sets = variant(method, layer=1, span=2).samples(6)
    assert list(sets) == ["samples", *(f"hybrids of module {k}, layers 1 and 2" for k in (1, 2, 3))]
    for name, images in sets.items():
        assert images.shape == (6, *SHAPE)
        assert not any(torch.equal(images, other) for key, other in sets.items() if key != name)


def test_illustrations_are_rows_of_pictures(method):
    """Every picture has a caption and every column a heading; originals come first, a hybrid a module follows."""
    torch.manual_seed(0)
    for shown in method.illustrations().values():
        rows, columns = shown.images.shape[:2]
        assert len(shown.headings) == columns
        assert [len(texts) for texts in shown.captions] == [columns] * rows
        assert ((shown.images >= 0) & (shown.images <= 1)).all()
    assert method.illustrations()["hybrids"].images.shape[1] == 2 + 3 * 3


@torch.no_grad()
def test_studies_tell_every_module(method):
    """Channels of the modules of a layer add up to it; rates and entropies are in range; K runs for both algorithms."""
    torch.manual_seed(0)
    studies = method.studies()
    sizes = {}
    for row in studies["modules"].rows:
        sizes[row["layers"]] = sizes.get(row["layers"], 0) + row["channels"]
    alive = (method.network.maps.flatten(1).sum(1) > 0).split([8, 6, 4])
    assert list(sizes.values())[:3] == [int(part.sum()) for part in alive]
    assert [(row["algorithm"], row["K"]) for row in studies["stability"].rows] == [
        (name, k) for name in ("NMF", "k-means") for k in range(2, 7)
    ]
    for row in studies["recognition"].rows:
        assert 0 <= row["as original 1"] <= row["recognition rate"] <= 1
    for row in studies["entropy"].rows:
        assert 0 <= row["10 %"] <= row["50 %"] <= row["90 %"] <= torch.tensor(3.0).log() + 1e-5
    for study in studies.values():
        assert not study.axes or all(set(study.axes) <= row.keys() for row in study.rows)
