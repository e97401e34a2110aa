"""What only drawn faces have: exact counterfactuals, the reference that answers with them, attribute oracles."""

import numpy as np
import pytest
import torch

from benchmark.data import Subset
from benchmark.data.avatars import AvatarsConfig, IndependentFaces, Source
from benchmark.data.exact import ExactAnswers
from benchmark.data.tasks import load_task, split
from benchmark.jobs import runner
from benchmark.jobs.evidence import AttributeNetwork
from benchmark.jobs.fit import fit_settings
from benchmark.jobs.progress import Board
from benchmark.jobs.protocol import Job, Protocol
from benchmark.jobs.score import label_correlations
from benchmark.jobs.settings import method_config, parse_overrides
from benchmark.jobs.work import Work
from benchmark.judges.attributes import AttributesConfig, accuracies, train_attribute_oracles
from methods.training import Trainer
from metrics import METRICS

pytestmark = pytest.mark.slow  # a run of drawn faces is shared by these tests

SMALL = ["avatars.count=200", "attributes.faces=150", "attributes.unseen=60", "attributes.epochs=2"]
SMALL += ["classifier.epochs=2", "oracle.epochs=2", "data.queries=20", "data.probes=4", "attributes.least=0.0"]
METHODS = ("truth", "null", "nearest-unlike")


@pytest.fixture(scope="module")
def queries():
    """The test images of a small task on faces."""
    return split(load_task("avatars/Smiling", Source(settings=AvatarsConfig(size=33, count=60))), 0).test


@pytest.fixture(scope="module")
def protocol(tmp_path_factory):
    """A smoke run on few faces."""
    folder = tmp_path_factory.mktemp("faces")
    return Protocol(results=folder, preset="smoke", overrides=parse_overrides(SMALL), raise_errors=True)


@pytest.fixture(scope="module")
def records(protocol):
    """The records of some references, by name."""
    jobs = [Job("avatars/Smiling", name, 0) for name in METHODS]
    return dict(zip(METHODS, runner.run(jobs, protocol, 1, Board()), strict=True))


def value(record, metric, relaxation=None):
    return next(row.value for row in record.rows if (row.metric, row.relaxation) == (metric, relaxation))


# -- the exact answers -------------------------------------------------------------------------------------------------


def test_exact_answers_are_the_datas(queries):
    """A picture is answered with the one that its data draw for the target, to the bit, in any order."""
    order = torch.tensor([3, 0, 2])
    targets = 1 - queries.labels[order]
    answers = ExactAnswers(queries)(queries.batch(order), targets)
    expected = queries.data.counterfactuals(queries.indices[order.numpy()], targets.numpy())
    np.testing.assert_array_equal((answers * 255).round().to(torch.uint8).numpy(), expected)


def test_an_exact_answer_is_undone_exactly(queries):
    """The exact answer to an exact answer, for the class that was, is the query."""
    known, images, labels = ExactAnswers(queries), queries.batch(slice(0, 4)), queries.labels[:4]
    assert torch.equal(known(known(images, 1 - labels), labels), images)


def test_other_pictures_are_not_known(queries):
    """A picture that is none of the task's queries is refused."""
    with pytest.raises(ValueError, match="own queries"):
        ExactAnswers(queries)(torch.rand(1, *queries.shape), torch.tensor([0]))


# -- the reference -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_truth_is_best(records):
    """No answer comes nearer to the truth than the reference that answers exactly: error 0, similarity 1."""
    for metric, perfect in (("truth_l1", 0), ("truth_l1_drawn", 0), ("truth_ssim", 1)):
        found = {name: value(record, metric, 0.0) for name, record in records.items()}
        assert found["truth"] == pytest.approx(perfect, abs=1e-9)
        best = min if METRICS[metric].better == "lower" else max
        assert best(found.values()) == found["truth"]
        assert found["null"] == value(records["null"], f"{metric}_query") != perfect


def test_anchors_are_the_same_for_all_methods(records):
    """The queries' own distance to the truth does not depend on the method."""
    for metric in ("truth_l1_query", "truth_l1_drawn_query", "truth_ssim_query"):
        assert len({value(record, metric) for record in records.values()}) == 1


def test_truth_is_for_drawn_data_only(cli, tmp_path):
    """Asked for by name where nobody knows the truth, the reference is refused in one line."""
    outcome = cli("run", "--methods", "truth", "--tasks", "mnist", "--preset", "smoke", "--results", tmp_path)
    assert outcome.code == 2
    assert outcome.complaints == [
        "error: mnist has no exact counterfactuals; truth is for tasks such as avatars/Smiling"
    ]


# -- attributes --------------------------------------------------------------------------------------------------------


def test_attributes_are_told_by_name(records):
    """A table says of each attribute how often it changes; nothing changes where the query is the answer."""
    study = records["null"].studies["attributes"]
    assert "Smiling (the task's)" in [row["attribute"] for row in study.rows]
    assert {row["r = 0"] for row in study.rows} == {"0.0"}
    assert value(records["null"], "mnac", 0.0) == 0


def test_the_attribute_asked_for_is_no_other():
    """The attribute that a task asks for, and those that are dropped, are not among the others."""
    network = AttributeNetwork(torch.nn.Identity(), {"a": 1.0, "b": 0.5, "c": 1.0}, ["a", "c"], "a")
    assert network.others == [False, False, True]


def test_attributes_of_answers_are_measured_in_every_way(records):
    """The query as an answer moves no attribute; the published MNAC has the share that change the task's on top."""
    null, truth = records["null"], records["truth"]
    assert value(null, "lvs", 0.0) == value(null, "lvs_asked", 0.0) == value(null, "mnac_published", 0.0) == 0
    assert value(null, "correlation_difference", 0.0) is None
    assert value(truth, "lvs_asked", 0.0) > value(truth, "lvs", 0.0)
    for record in records.values():
        own = next(row for row in record.studies["attributes"].rows if row["attribute"] == "Smiling (the task's)")
        more = value(record, "mnac_published", 0.0) - value(record, "mnac", 0.0)
        assert 100 * more == pytest.approx(float(own["r = 0"]), abs=0.06)


def test_correlations_are_of_labels():
    """Equal attributes correlate by 1, opposite ones by -1, and one that never varies by 0."""
    labels = torch.tensor([[1.0, 1, 0, 1], [0, 0, 1, 1], [1, 1, 0, 1]])
    found = label_correlations(labels, ["a", "b", "c", "d"], "a")
    assert found == pytest.approx({"a": 1, "b": 1, "c": -1, "d": 0})


@pytest.mark.slow
def test_oracles_learn_what_is_drawn():
    """Oracles of a few hundred faces tell glasses and pale skin well above chance, on faces that they have not seen."""
    config = AttributesConfig(faces=600, unseen=200, epochs=6)
    faces = IndependentFaces(33, None)(800, 5)
    torch.manual_seed(0)
    network = train_attribute_oracles(config, Subset(faces, np.arange(600)), Trainer(0))
    found = accuracies(network, Subset(faces, np.arange(600, 800)), torch.device("cpu"))
    assert found["Eyeglasses"] > 0.9
    assert found["Pale_Skin"] > 0.9


# -- settings ----------------------------------------------------------------------------------------------------------


def test_other_faces_are_other_data(protocol):
    """A setting of the faces changes the data's digest, and with it all that is trained on them."""
    work = Work(Job("avatars/Smiling", "null", 0), protocol)
    overrides = parse_overrides([*SMALL, "avatars.confounding=Smiling-Male"])
    other = Work(
        Job("avatars/Smiling", "null", 0), Protocol(results=protocol.results, preset="smoke", overrides=overrides)
    )
    assert work.question.data.digest != other.question.data.digest
    assert fit_settings(work) != fit_settings(other)


def test_colour_has_settings_of_its_own():
    """By default images in colour take the settings of faces, and grey ones the defaults; other presets do not ask."""
    grey, colour = (method_config("vaex", "default", {}, channels) for channels in (1, 3))
    assert grey == type(grey)()
    assert colour.latents != grey.latents
    assert method_config("vaex", "smoke", {}, 1) == method_config("vaex", "smoke", {}, 3)
