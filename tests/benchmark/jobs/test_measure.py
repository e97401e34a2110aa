import math
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import one_hot

from benchmark.jobs.evidence import Answers, Networks, Reals
from benchmark.jobs.measure import measure, row

CLASSES = 4


def code(own, other):
    """A grey level that the classifier takes for the class `own`, and the oracle for `other`."""
    return 10 * own + other


def level(images):
    return (images[:, 0, 0, 0] * 255).round().long()


def sees(digit):
    def network(images):
        return 3.0 * one_hot(digit(level(images)) % 10, CLASSES).float()

    return network


def panel_of(*digits):
    """Oracles that see other digits each."""
    networks = [sees(digit) for digit in digits]
    return lambda images: torch.stack([network(images) for network in networks], 1)


EYES = Networks(sees(lambda level: level // 10), panel_of(lambda level: level), {}, torch.device("cpu"))
NO_IMAGES = Reals(torch.zeros(0, 1, 2, 2, dtype=torch.uint8))


def pictures(*levels):
    return torch.tensor(levels, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 2, 2).contiguous()


def answers(*rounds, targets=(1, 1, 1, 1), relaxations=None, **others):
    """Four queries of class 0, answered with one tuple of grey levels a relaxation."""
    queries = pictures(0, 0, 0, 0)
    facts = {"queries": queries, "targets": torch.tensor(targets), "reconstructions": queries, "diagnostics": {}}
    images = torch.stack([pictures(*levels) for levels in rounds])
    return Answers(images=images, relaxations=relaxations or tuple(range(len(rounds))), **(facts | others))


def scored(given, networks=EYES, reals=NO_IMAGES):
    """(metric, relaxation, subset) -> row; and the outcomes."""
    rows, outcomes = measure(given, reals, networks)
    found = {(row.metric, row.relaxation, row.subset): row for row in rows}
    assert len(found) == len(rows)
    return found, outcomes


MIXED = (code(1, 1), code(1, 2), code(0, 1), code(0, 0))
"""Flipped and agreed; flipped only; agreed only; neither."""


def test_rates_are_the_hand_counted_ones():
    """Flip rate, oracle agreement and adversarial flips count what the two networks see, with n."""
    found, _ = scored(answers(MIXED))
    for name, value in (("flip_rate", 2 / 4), ("oracle_agreement", 2 / 4), ("adversarial_flips", 1 / 4)):
        number = found[name, 0, "all"]
        assert (number.value, number.n) == (value, 4)
        assert number.low < number.value < number.high


def test_each_oracle_counts():
    """Agreement is the mean over the oracles, what they disagree on is counted, and flips are split by their shares."""
    eyes = Networks(EYES.classifier, panel_of(lambda level: level, lambda level: 1 + 0 * level), {}, EYES.device)
    found, outcomes = scored(answers(MIXED), eyes)
    assert found["oracle_agreement", 0, "all"].value == (1 + 0.5 + 1 + 0.5) / 4
    assert found["oracle_disagreement", 0, "all"].value == 2 / 4
    assert found["adversarial_flips", 0, "all"].value == 0.5 / 4
    assert found["oracle_aware_flips", 0, "all"].value == 1.5 / 4
    assert outcomes["answer_oracle_votes"].tolist() == [[[1, 1], [2, 1], [1, 1], [0, 1]]]
    assert outcomes["value.oracle_agreement"].tolist() == [[1, 0.5, 1, 0.5]]


def test_flips_can_be_held_by_retrained_classifiers():
    """Of the flips, the share that classifiers trained again see; without such classifiers nothing is said."""
    assert not any(name == "retrained_flips" for name, _, _ in scored(answers(MIXED))[0])
    again = [sees(lambda level: level // 10), sees(lambda level: level)]
    found, _ = scored(answers(MIXED), replace(EYES, retrained=again))
    assert found["retrained_flips", 0, "all"].value == (1 + 0.5 + 0.5 + 0) / 4
    assert found["retrained_flips", 0, "flipped"].value == (1 + 0.5) / 2
    assert found["retrained_flips", 0, "flipped"].n == 2


def test_stability_is_of_the_first_queries():
    """An answer is stable if class and picture stay; it is compared with the last draw, at the smallest r."""
    draws = torch.stack([pictures(0, 0, 0), pictures(20, 20, 20)], 1)
    probes = {"null_edits": pictures(0, 0, 0), "undone": pictures(0, 0, 0), "draws": draws}
    probes["nudged"] = pictures(21, 19, 25)  # near; another class; far
    found, _ = scored(answers((code(1, 1),) * 4, (0,) * 4, probed=3, probes=probes))
    assert (found["stability", 0, "all"].value, found["stability", 0, "all"].n) == (1 / 3, 3)
    assert ("stability", 1, "all") not in found


def test_flipped_subset_counts_only_flipped():
    """What is also computed over the flipped answers rests on them alone, and says how many there were."""
    found, _ = scored(answers(MIXED))
    agreed, distance = found["oracle_agreement", 0, "flipped"], found["l1", 0, "flipped"]
    assert (agreed.value, agreed.n) == (1 / 2, 2)
    assert distance.value == pytest.approx((11 + 12) / 2 / 255)
    assert distance.n == 2
    assert found["l1", 0, "all"].value == pytest.approx((11 + 12 + 1 + 0) / 4 / 255)


def test_every_relaxation_has_its_own_rows():
    """Numbers stand at the relaxation whose answers they were computed from."""
    found, _ = scored(answers(MIXED, (code(1, 1),) * 4, (0,) * 4, relaxations=(0.0, 0.5, 1.0)))
    assert [found["flip_rate", r, "all"].value for r in (0.0, 0.5, 1.0)] == [0.5, 1.0, 0.0]
    assert found["mse", None, "all"].value == 0


def test_perfect():
    """Where all answers convince both networks, rates are 1 and the flipped subset is everything."""
    found, _ = scored(answers((code(1, 1),) * 4))
    assert found["flip_rate", 0, "all"].value == found["oracle_agreement", 0, "all"].value == 1
    assert found["adversarial_flips", 0, "all"].value == 0
    assert found["l1", 0, "flipped"].value == found["l1", 0, "all"].value


def test_none_flipped():
    """Where no answer flips, rates over all are 0 and numbers over the flipped ones are null with n = 0."""
    found, _ = scored(answers((0, 0, 0, 0)))
    assert (found["flip_rate", 0, "all"].value, found["flip_rate", 0, "all"].n) == (0, 4)
    flipped = [number for (_, _, subset), number in found.items() if subset == "flipped"]
    assert {number.metric for number in flipped} >= {"l1", "l2", "oracle_agreement"}
    assert all((number.value, number.low, number.high, number.n) == (None, None, None, 0) for number in flipped)


def test_reconstruction_is_held_against_the_prediction():
    """A reconstruction flips where the classifier sees another class in it than in the query, whatever the target."""
    reconstructions = pictures(code(1, 0), 0, code(2, 0), 0)
    found, _ = scored(answers((0, 0, 0, 0), reconstructions=reconstructions))
    assert found["reconstruction_flips", None, "all"].value == 2 / 4
    assert found["mse", None, "all"].value == pytest.approx((100 + 400) / 4 / 255**2)


def test_outcomes_are_single_queries():
    """The outcomes hold each query's classes and the classifier's probability of the target."""
    _, outcomes = scored(answers(MIXED, (0, 0, 0, 0)))
    assert outcomes["answer_classes"].tolist() == [[1, 1, 0, 0], [0, 0, 0, 0]]
    assert outcomes["answer_oracle_classes"].tolist() == [[1, 2, 1, 0], [0, 0, 0, 0]]
    assert outcomes["predicted"].tolist() == [0, 0, 0, 0]
    sure = math.exp(3) / (math.exp(3) + CLASSES - 1)
    unsure = 1 / (math.exp(3) + CLASSES - 1)
    assert outcomes["target_probability"][0].tolist() == pytest.approx([sure, sure, unsure, unsure])
    assert outcomes["answer_probability"][0].tolist() == pytest.approx([sure] * 4)
    assert outcomes["answer_oracle_probability"][0].tolist() == pytest.approx([sure] * 4)
    assert outcomes["targets"].tolist() == [1, 1, 1, 1]


def test_values_are_what_the_numbers_average():
    """What is kept of each query averages to the number, and is the number of this query alone."""
    rounds = (MIXED, (0, code(1, 2), 0, code(1, 1)))
    found, outcomes = scored(answers(*rounds))
    names = {name.removeprefix("value.") for name in outcomes if name.startswith("value.")}
    assert names == {metric for metric, _, _ in found} - {"hoyer_sparsity"}  # which unchanged answers have none of
    for name in names:
        values = outcomes[f"value.{name}"].double()
        fixed = (name, None, "all") in found
        for r, kept in enumerate(values[None] if fixed else values):
            key = (name, None if fixed else r, "all")
            assert kept.mean().item() == found[key].value
            alone, _ = scored(Answers(**{**vars(answers(*rounds)), **one_query(rounds, 1)}))
            assert kept[1].item() == alone[key].value


def one_query(rounds, place):
    """What answers to the query at `place` alone are."""
    given = answers(*rounds)
    return {
        "queries": given.queries[place, None],
        "targets": given.targets[place, None],
        "reconstructions": given.reconstructions[place, None],
        "images": given.images[:, place, None],
    }


def test_values_are_of_every_query_and_relaxation():
    """What rests on some of the queries, or is not there at some relaxation, keeps no values."""
    flipped, probes = (code(1, 1),) * 4, {"undone": pictures(0, 0, 0, 0)}
    _, outcomes = scored(answers(flipped, flipped))
    assert outcomes["value.hoyer_sparsity"].shape == outcomes["value.cout"].shape == (2, 4)
    found, outcomes = scored(answers(flipped, (0,) * 4, probed=3))
    assert (found["hoyer_sparsity", 0, "all"].n, found["cout", 0, "all"].n) == (4, 3)
    assert not {"value.hoyer_sparsity", "value.cout"} & outcomes.keys()
    found, outcomes = scored(answers(flipped, flipped, probes=probes))
    assert found["reversibility", 0, "all"].n == 4
    assert "value.reversibility" not in outcomes


def test_what_is_no_mean_keeps_no_values():
    """A Fréchet distance, which is of sets, keeps nothing of a single query."""
    networks = Networks(EYES.classifier, EYES.oracle, {"oracle": lambda x: x.flatten(1)}, torch.device("cpu"))
    found, outcomes = scored(answers(MIXED), networks, reals=Reals(pictures(0, 0, 0)))
    assert ("fid_oracle", 0, "all") in found
    assert not any(name.startswith("value.fid") for name in outcomes)


def test_metrics_without_evidence_are_left_out():
    """A metric is there exactly where its evidence is: diagnostics and feature extractors bring theirs."""
    bare, _ = scored(answers(MIXED))
    names = {metric for metric, _, _ in bare}
    assert not names & {"nll", "kl", "bits_per_dim"}
    assert not any(name.startswith("fid") for name in names)
    half, _ = scored(answers(MIXED, diagnostics={"kl": torch.ones(4)}))
    assert {metric for metric, _, _ in half} - names == {"kl"}
    both, _ = scored(answers(MIXED, diagnostics={"kl": torch.ones(4), "nll": torch.zeros(4)}))
    assert {metric for metric, _, _ in both} - names == {"kl", "nll", "bits_per_dim"}
    assert both["bits_per_dim", None, "all"].value == pytest.approx(
        1 / 4 / math.log(2) + 8
    )  # a density on [0, 1], told in levels of 256


def test_evidence_stands_at_its_relaxation():
    """What a method says of its answers is scored at the relaxation of each, beside what the pictures show."""
    classes = torch.tensor([[1, 1, 1, 0], [2, 0, 0, 0]])
    given = answers(MIXED, MIXED, relaxations=(0.0, 1.0), evidence={"representation_classes": classes})
    found, _ = scored(given)
    assert [found["flip_rate_representation", r, "all"].value for r in (0.0, 1.0)] == [3 / 4, 0]
    assert [found["change", r, "all"].value for r in (0.0, 1.0)] == [3 / 4, 1 / 4]
    assert [found["flip_rate", r, "all"].value for r in (0.0, 1.0)] == [2 / 4, 2 / 4]


def test_labels_are_evidence():
    """Accuracies of a code are held against the labels, which agreement does not need."""
    classes = {"phi_classes": torch.tensor([0, 1, 2, 3]), "phi_reconstruction_classes": torch.tensor([0, 1, 2, 0])}
    found, _ = scored(answers(MIXED, diagnostics=classes, labels=torch.tensor([0, 1, 1, 3])))
    names = ("accuracy_phi", "accuracy_phi_reconstruction", "agreement")
    assert [found[name, None, "all"].value for name in names] == [3 / 4, 2 / 4, 3 / 4]
    without, _ = scored(answers(MIXED, diagnostics=classes))
    assert {name for name, _, _ in without} & set(names) == {"agreement"}


def test_frechet_distances_compare_equal_numbers():
    """Fréchet distances are between as many answers, reconstructions and queries as there are real images."""
    features = {"oracle": lambda images: images.flatten(1)}
    networks = Networks(EYES.classifier, EYES.oracle, features, torch.device("cpu"))
    found, _ = scored(answers(MIXED), networks, reals=Reals(pictures(0, 0, 0)))
    fids = {metric: number for (metric, _, _), number in found.items() if metric.startswith("fid")}
    assert fids.keys() == {"fid_oracle", "fid_oracle_reconstruction", "fid_oracle_real"}
    assert {number.n for number in fids.values()} == {3}
    assert fids["fid_oracle_real"].value == pytest.approx(0, abs=1e-9)
    assert fids["fid_oracle"].value > 0


def test_batches_do_not_matter():
    """Many images give what each one gives, though networks see them in batches."""
    many = torch.cat([pictures(*MIXED)] * 100)
    together = EYES.apply(EYES.classifier, many)
    assert torch.equal(together, torch.cat([EYES.apply(EYES.classifier, image) for image in many.split(1)]))


@pytest.mark.parametrize("undefined", [math.nan, math.inf, -math.inf])
def test_undefined_numbers_are_none(undefined):
    """What is not finite is written down as not defined, whatever else is known."""
    made = row("l1", (0.5, undefined, undefined, 1), 0.2)
    assert (made.value, made.low, made.high, made.n) == (0.5, None, None, 1)
    assert row("l1", (undefined, 0, 0, 0)).value is None


def test_paths_are_scored_on_the_first_queries():
    """COUT rests on the first queries, over all and over the flipped among them."""
    found, _ = scored(answers(MIXED, probed=3))
    assert found["cout", 0, "all"].n == 3
    assert found["cout", 0, "flipped"].n == 2
    assert found["l1", 0, "all"].n == 4


def test_paths_show_the_classifier_pasted_images():
    """A perfect answer convinces from the first pasted pixel on, and no answer at all never does."""
    gap = (math.exp(3) - 1) / (math.exp(3) + CLASSES - 1)
    found, _ = scored(answers((code(1, 1),) * 4, (0,) * 4))
    assert found["cout", 0, "all"].value == pytest.approx(gap * 49 / 50)
    assert found["cout", 1, "all"].value == pytest.approx(-gap)


def test_autoencoders_are_asked_by_class():
    """IM1 asks the autoencoder of the target and that of the query's class; without any it is left out."""
    bare, _ = scored(answers(MIXED))
    assert not {name for name, _, _ in bare} & {"im1", "im2"}
    exact, black = (lambda images: images), torch.zeros_like
    for parts, value in (((black, exact, black, black, exact), 0), ((exact, exact, exact, exact, exact), 0)):
        networks = Networks(EYES.classifier, EYES.oracle, {}, torch.device("cpu"), parts)
        found, _ = scored(answers((code(3, 3),) * 4), networks)
        assert found["im1", 0, "all"].value == found["im2", 0, "all"].value == value
    networks = Networks(EYES.classifier, EYES.oracle, {}, torch.device("cpu"), (exact, black, black, black, exact))
    found, _ = scored(answers((code(3, 3),) * 4), networks)
    assert found["im1", 0, "all"].value == pytest.approx(4 * (33 / 255) ** 2 / 0.01)


def test_probes_stand_at_the_smallest_relaxation():
    """Reversibility and diversity stand at the smallest relaxation alone, composition at none."""
    queries = pictures(0, 0)
    probes = {"null_edits": queries, "undone": pictures(51, 0), "draws": torch.stack([queries, pictures(0, 255)], 1)}
    given = answers((0,) * 4, MIXED, relaxations=(1.0, 0.5), probed=2, probes=probes)
    found, _ = scored(given)
    assert found["composition", None, "all"].value == 0
    assert {r for name, r, _ in found if name in {"reversibility", "diversity"}} == {0.5}
    assert found["reversibility", 0.5, "all"].value == pytest.approx(0.1)
    assert found["diversity", 0.5, "all"].value == pytest.approx(0.5)
    assert found["diversity", 0.5, "flipped"].n == 2


def test_networks_see_each_image_once():
    """Every set of images is shown to a network once, however many metrics rest on it."""
    seen = []

    def counted(network):
        def count(images):
            seen.append(len(images))
            return network(images)

        return count

    networks = Networks(EYES.classifier, EYES.oracle, {"oracle": counted(lambda x: x.flatten(1))}, EYES.device)
    scored(answers(MIXED, MIXED), networks, reals=Reals(pictures(0, 0, 0)))
    assert seen == [3, 4, 3, 4, 4]  # reals, queries, reconstructions, and the answers at two relaxations
