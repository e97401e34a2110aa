from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmark.bias import discovery, gates
from benchmark.bias.changed import changed
from benchmark.bias.discovery import discover, finished, read_outcome
from benchmark.bias.tables import attributes_changed, bias_tables, publish
from benchmark.bias.trial import KINDS, Case, Planted, Trial, trials, with_settings
from benchmark.errors import UserError
from benchmark.jobs.progress import Board
from benchmark.jobs.protocol import images_of
from benchmark.papers.planting import fuller
from benchmark.records.changes import CHANGED, MOST
from methods.references import Null
from tests.benchmark.bias.conftest import SETTINGS


@pytest.fixture(scope="module")
def outcome(trial):
    """What it comes to with gates that let everything through, and one method that fails."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gates, "BIASED_AT_LEAST", 0.0)
        patch.setattr(gates, "UNBIASED_AT_MOST", 1.0)
        patch.setattr(gates, "RAISED_ABOVE", -1.0)
        patch.setattr(Null, "explain", lambda *_: 1 / 0)
        return discover([trial], ["truth", "null", "nearest-unlike", "pixel-search"], 1, Board())[0]


# -- what is planted ---------------------------------------------------------------------------------------------------


def test_confounding_has_the_child_first():
    """A bias is planted the way round that the model allows, whichever of the two is the label."""
    assert Planted.parse("Eyeglasses-on-Young").confounding == "Eyeglasses-Young"
    assert Planted.parse("Male-on-Smiling").confounding == "Smiling-Male"
    assert str(Planted.parse("Male-on-Smiling")) == "Male-on-Smiling"


def test_family_is_what_depends_on_the_attribute():
    """The family is the attribute with its descendants in the model, without the label."""
    assert Planted.parse("Eyeglasses-on-Young").family() == ["Eyeglasses"]
    assert Planted.parse("Male-on-Smiling").family() == ["Male", "No_Beard", "Bald", "Rosy_Cheeks"]
    assert "Bald" not in Planted.parse("Male-on-Bald").family()


def test_directions_oppose_the_label(trial):
    """The bias moves the attribute against the label, its descendants as they follow it, and nothing else."""
    data = images_of("avatars/Smiling", trial.protocol)
    names = ["Smiling", "Male", "No_Beard", "Bald", "Black_Hair"]
    assert Planted.parse("Male-on-Smiling").directions(data, names).tolist() == [0, -1, 1, -1, 0]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("Eyeglasses", "takes attribute-on-label"),
        ("Eyeglases-on-Young", "did you mean 'Eyeglasses'"),
        ("Young-on-Young", "on itself"),
        ("Gray_Hair-on-Young", "unknown attribute that a bias can be planted of"),
    ],
)
def test_what_cannot_be_planted_is_refused(cli, text, complaint):
    """A bias that cannot be planted is refused in one line that says what can, with exit code 2."""
    answered = cli("bias", "--planted", text)
    assert answered.code == 2
    assert len(answered.complaints) == 1
    assert complaint in answered.complaints[0]


def test_strength_that_is_no_bias_is_refused(trial):
    """Below one half the attributes go together, against what scores and gates take for the bias's direction."""
    with pytest.raises(UserError, match=r"avatars.strength above 0.5, not 0.3"):
        trials(["Male-on-Smiling"], replace(trial.protocol, overrides={"avatars": {"strength": 0.3}}), [0])


@pytest.mark.parametrize(
    ("name", "value"), [("confounding", "Smiling-Male"), ("independent", True), ("descendants", True)]
)
def test_other_faces_to_learn_from_are_refused(trial, name, value):
    """Methods learn from faces without the bias, whose edits are exact: settings that make them others are refused."""
    with pytest.raises(UserError, match=rf"leave out avatars.{name}"):
        trials(["Male-on-Smiling"], replace(trial.protocol, overrides={"avatars": {name: value}}), [0])


def test_seeds_that_share_a_classifier_are_refused(trial):
    """The control's other classifier is never one of the first."""
    with pytest.raises(UserError, match="seeds 1 and 1001 would share a classifier"):
        trials(["Male-on-Smiling"], trial.protocol, [0, 1, 1001])


def test_too_many_queries_are_refused(trial):
    """Cells that hold too few faces are refused before anything is trained."""
    overrides = with_settings("smoke", SETTINGS | {"data": {"queries": 400}})
    with pytest.raises(UserError, match=r"100 queries in each of four cells, .* data.queries"):
        replace(trial, protocol=replace(trial.protocol, overrides=overrides)).faces()


# -- faces -------------------------------------------------------------------------------------------------------------


def test_cells_are_balanced(trial):
    """Each (label, attribute) cell has as many queries, and no method learns from any of them."""
    data = trial.faces()
    rows = data.official["test"]
    cells = data.attributes.iloc[rows].groupby(["Young", "Eyeglasses"]).size()
    assert cells.tolist() == [3, 3, 3, 3]
    assert not set(rows) & set(data.official["train"])


def test_methods_learn_from_unconfounded_faces_alone(trial):
    """Whichever classifier is explained, a method learns from the same faces, in which nothing is confounded."""
    digests = set()
    for kind in ("confounded", "unconfounded", "ignoring", "another"):
        question = trial.work(Case("null", kind, 1)).question
        assert question.data.images is images_of(trial.task, trial.protocol).images
        digests.add((question.data.digest, tuple(question.train.indices), tuple(question.queries.indices)))
    assert len(digests) == 1
    biased = trial.classifier("confounded", 0).workshop.question.data
    assert biased.attributes["Eyeglasses"].corr(biased.attributes["Young"]) < -0.5
    assert abs(question.data.attributes["Eyeglasses"].corr(question.data.attributes["Young"])) < 0.3


def test_leaking_generators_are_asked_the_same(trial):
    """Of the leakage row only what is learnt from differs: the queries are the same, in the same order."""
    clean, leaking = (trial.work(Case("null", "unconfounded", 0, leaking=leaks)).question for leaks in (False, True))
    assert torch.equal(clean.queries.batch(slice(None)), leaking.queries.batch(slice(None)))
    assert len(clean.train) == len(leaking.train)
    assert not torch.equal(clean.train.batch(slice(None)), leaking.train.batch(slice(None)))


def test_leaking_faces_have_attributes_of_their_own(trial):
    """What a method learns of biased faces has the bias, and the label's attribute is their label."""
    train = trial.work(Case("null", "unconfounded", 0, leaking=True)).question.train
    young, glasses = train.described(["Young", "Eyeglasses"]).T
    assert torch.equal(young.long(), train.labels)
    assert (glasses[young == 0].mean() - glasses[young == 1].mean()) > 0.5


def test_leaking_faces_have_labels_of_their_own(trial):
    """The labels of biased faces are what their pictures show, also where the bias decides the label."""
    smiling = replace(trial, planted=Planted("Male", "Smiling"))
    biased, rows = smiling.faces(biased=True), smiling.faces().official["train"]
    drawn = smiling._protocol(confounding="Smiling-Male")
    shown = images_of("avatars/Smiling", drawn).attributes["Smiling"].to_numpy()[rows]
    np.testing.assert_array_equal(biased.labels[biased.official["train"]], shown)


def test_classifiers_learn_from_faces_of_their_own(trial):
    """No face that a classifier has learnt from, with the bias or without, is one that methods see or are asked of."""
    faces = {image.tobytes() for image in trial.faces().images}
    for kind in ("confounded", "unconfounded", "ignoring", "another"):
        assert not faces & {image.tobytes() for image in trial.classifier(kind, 0).workshop.question.data.images}


# -- gates -------------------------------------------------------------------------------------------------------------


def test_ignored_attribute_flips_nothing(trial, monkeypatch):
    """do(Eyeglasses) flips no query of a classifier that looks at the mouth alone, and some of one that looks there."""
    smiling = replace(trial, planted=Planted("Eyeglasses", "Smiling"))
    rows = smiling.faces().official["test"]

    def looking_at(top, bottom):
        def network(images):
            dark = images[:, :, top:bottom].mean((1, 2, 3))
            return torch.stack([dark, torch.full_like(dark, float(level))], dim=1)

        queries = torch.from_numpy(smiling.faces().images[rows]).float() / 255
        level = queries[:, :, top:bottom].mean((1, 2, 3)).median()
        place = SimpleNamespace(device=torch.device("cpu"))
        classifier = SimpleNamespace(network=lambda: network, workshop=place)
        monkeypatch.setattr(Trial, "classifier", lambda *_: classifier)
        return smiling.gate("ignoring")["flipped"]

    height = 33
    assert not looking_at(round(0.75 * height), height).any()
    assert looking_at(round(0.3 * height), round(0.6 * height)).any()


def test_edit_is_exact_and_complete(trial):
    """Every query is edited, from without to with and from with to without, and only where the attribute is drawn."""
    before = trial.faces().images[trial.faces().official["test"]]
    after = trial.edited().tensors()["images"].numpy()
    changed = (before != after).any(1)
    assert changed.any((1, 2)).all()
    assert not changed[:, -6:].any()


def test_closed_gate_is_not_scored(trial, monkeypatch, tmp_path):
    """Where the confounded classifier has no bias no method is asked, and tables say so, beside no earlier verdict."""
    monkeypatch.setattr(gates, "BIASED_AT_LEAST", 1.1)
    monkeypatch.setattr(discovery, "_answers", lambda *_: pytest.fail("a method was asked"))
    found = discover([trial], ["null"], 1, Board())[0]
    assert not found.records
    assert "closed" in found.unasked
    verdict, other = (tmp_path / "tables" / f"bias-{name}.md" for name in (trial.planted, "Male-on-Smiling"))
    verdict.parent.mkdir()
    for path in (verdict, other):
        path.write_text("discovered", encoding="utf-8")
    told, shares = publish(trial, found, tmp_path)
    assert not verdict.exists()
    assert other.exists()
    assert "closed: the task is not scored" in told.markdown()
    assert shares.name == "frequencies-Eyeglasses-on-Young"
    assert {path.stem for path in tmp_path.glob("figures/*.png")} == {"bias-edited-Eyeglasses-on-Young"}
    assert read_outcome(str(trial.planted), "smoke", trial.protocol.runs) == found


def test_gate_asks_for_the_direction(trial, monkeypatch):
    """Flips that do not make the classifier surer of the label are noise, however many they are."""
    monkeypatch.setattr(gates, "BIASED_AT_LEAST", 0.0)
    monkeypatch.setattr(gates, "UNBIASED_AT_MOST", 1.0)
    kept = {"kept": ["Eyeglasses", "Male"], "accuracies": {}}
    for least, told in ((-1.0, True), (1.0, False)):
        monkeypatch.setattr(gates, "RAISED_ABOVE", least)
        assert gates.gates(trial, kept).data["open"] is told


def test_gate_asks_for_a_rival(trial, monkeypatch):
    """Where every attribute outside the family is dropped there is no lead, and the table says so."""
    for name, value in (("BIASED_AT_LEAST", 0.0), ("UNBIASED_AT_MOST", 1.0), ("RAISED_ABOVE", -1.0)):
        monkeypatch.setattr(gates, name, value)
    found = discovery.BiasOutcome(gates.gates(trial, {"kept": ["Eyeglasses", "Young"], "accuracies": {}}))
    assert not found.open
    assert "no attribute is left outside the planted family" in bias_tables(found)[0].markdown()


def test_changed_attributes_are_told_of_each_kind(trial, monkeypatch):
    """Of answers that flip, the planted attribute has a row for each kind of classifier, over all seeds."""
    names, flips = [f"{number} attribute" for number in range(MOST)], torch.tensor([True, True, False])

    def explained(_, case):
        glasses = torch.tensor([1.0, 0.0, 1.0]) * (case.kind == "confounded")
        columns = {name: torch.tensor([0.5, 0.25, 1.0]) for name in names} | {"Eyeglasses": glasses}
        told = {f"intervention.change_{name}": column for name, column in columns.items()}
        return [SimpleNamespace(tensors=lambda: {"intervention.flipped": flips, **told})]

    monkeypatch.setattr(Trial, "explained", explained)
    rows = [row for row in changed(trial, "any")[CHANGED].rows if row["attribute"] == "Eyeglasses"]
    found = {row["classifier"]: (row["greatest"], row["n"]) for row in rows}
    assert found == dict.fromkeys(KINDS, (0.0, 4)) | {"confounded": (0.5, 4)}


def test_methods_that_tell_no_changes_have_no_such_table(trial, monkeypatch):
    """A method whose answers tell no attributes has no table of them."""
    monkeypatch.setattr(Trial, "explained", lambda *_: [SimpleNamespace(tensors=dict)])
    assert changed(trial, "any") == {}


# -- the whole path ----------------------------------------------------------------------------------------------------


def test_failure_is_recorded_and_told(outcome):
    """A method that fails has a record that says why, and costs the others nothing."""
    status = {record.method: record.status for record in outcome.records}
    assert status == {"truth": "ok", "null": "failed", "nearest-unlike": "ok", "pixel-search": "ok"}
    failed = next(record for record in outcome.records if record.method == "null")
    assert "ZeroDivisionError" in failed.traceback
    assert any("**failed**: null" in table.markdown() for table in bias_tables(outcome))


def test_truth_discovers_nothing(outcome):
    """The truth changes the label alone, whatever the classifier: its lead is at most zero, and so no discovery."""
    truth = next(record for record in outcome.records if record.method == "truth")
    leads = {row.metric: row for row in truth.rows if row.metric.startswith("lead") and row.subset == "all"}
    assert leads["lead_confounded"].low <= 0
    assert "lead_leakage" not in leads


def test_rival_is_outside_the_family(outcome):
    """What stands as the greatest other gap is of no member of the family, also where nothing changes at all."""
    for record in outcome.records:
        if record.status == "ok":
            assert record.data["shown"]["greatest other gap"].split()[0] not in ("Eyeglasses", "Young")
            assert "-0.00" not in str(record.data["shown"])


def test_each_method_says_what_it_could_have_missed(outcome):
    """Beside its discovery stands, of every method, what size of bias it could have missed."""
    table = next(table for table in bias_tables(outcome) if table.name.startswith("bias-Eyeglasses"))
    for cells in (table.methods, table.references):
        assert all(text.startswith(("below ", "any, even of 90")) for text in cells["could have missed"])
    assert any("could have missed" in note and "80 %" in note for note in table.notes)


def test_discovery_needs_both_leads(outcome):
    """A lead whose strict reading is not above zero is said to be no strict discovery."""
    truth = next(record for record in outcome.records if record.method == "truth")
    for low, strict, told in (
        (0.1, 0.1, "yes"),
        (0.1, -0.1, "not strictly"),
        (-0.1, 0.1, "no"),
        (0.1, None, "not strictly"),
    ):
        lows = {"lead_confounded": low, "strict_lead_confounded": strict}
        rows = [row.model_copy(update={"low": lows.get(row.metric, row.low)}) for row in truth.rows]
        made = bias_tables(replace(outcome, records=[truth.model_copy(update={"rows": rows})]))[2]
        assert made.references["discovered"].tolist() == [told]


def test_tables_keep_controls_and_leakage_apart(outcome):
    """The planted bias, the controls and the leakage stand in a table each, references apart."""
    made = {table.name: table for table in bias_tables(outcome)}
    assert list(made) == [
        f"{name}-Eyeglasses-on-Young" for name in ("bias-gates", "frequencies", "bias", "bias-controls", "bias-leakage")
    ]
    assert set(made["bias-Eyeglasses-on-Young"].references["method"]) == {"truth", "nearest-unlike", "pixel-search"}


def test_edit_is_measured_towards_the_label(trial, outcome):
    """The table's probabilities are those of the queries with the attribute, as they are and drawn without it."""
    faces, rows = trial.faces(), trial.faces().official["test"]
    wearing = rows[faces.attributes["Eyeglasses"].to_numpy()[rows] == 1]
    bare = faces.exact("Eyeglasses", wearing, np.zeros(len(wearing), np.int8))
    networks = [trial.classifier("confounded", seed).network() for seed in trial.seeds]
    before, after = (
        torch.stack([network(torch.from_numpy(images).float() / 255).softmax(1)[:, 1] for network in networks]).mean(0)
        for images in (faces.images[wearing], bare)
    )
    numbers = {row.metric: row for row in outcome.gates.rows}
    raised = numbers["raised_confounded"]
    assert numbers["before_confounded"].value == pytest.approx(float(before.mean()), abs=1e-5)
    assert numbers["after_confounded"].value == pytest.approx(float(after.mean()), abs=1e-5)
    assert raised.value == pytest.approx(float((after - before).mean()), abs=1e-5)
    assert raised.high - raised.value == pytest.approx(1.96 * float((after - before).std()) / 6**0.5, rel=1e-3)
    assert raised.n == len(wearing) == 6
    cells = bias_tables(outcome)[0].methods.set_index("classifier").loc["confounded"]
    assert cells["p(Young) as they are"] == f"{numbers['before_confounded'].value:.2f}"


def test_frequencies_show_what_was_planted(outcome):
    """Eyeglasses depend on Young among the faces that teach the confounded classifier, and not among the others."""
    apart = {row["classifier"]: row["difference"] for row in outcome.gates.studies["frequencies"].rows}
    assert apart["confounded"] < -0.5
    assert abs(apart["unconfounded"]) < 0.3


def test_notes_say_who_learns_anew(outcome):
    """Methods whose generator asks no classifier keep it, the others do not, and references learn nothing."""
    good = [record for record in outcome.records if record.status == "ok"]
    names = ("vaex", "gan-search", "hybrid")
    methods = [good[0].model_copy(update={"method": name, "reference": False}) for name in names]
    notes = bias_tables(replace(outcome, records=[*methods, *good]))[-3].notes
    assert "gan-search, hybrid: one generator for all classifiers" in notes
    assert "vaex: trained anew for each classifier, on the same faces" in notes


@pytest.mark.parametrize("count", [1, 4, 6])
def test_attributes_are_named_below_every_column(trial, outcome, count):
    """The lowest panel of each column names its attributes, also where the last row is short; no other one does."""
    good = [record for record in outcome.records if record.status == "ok"]
    panels = [panel for panel in attributes_changed((2 * good)[:count], trial).axes if panel.axison]
    bold = [
        [label.get_text() for label in panel.get_xticklabels() if label.get_visible() and label.get_weight() == "bold"]
        for panel in panels
    ]
    assert bold == [["Eyeglasses"] if place + min(4, count) >= count else [] for place in range(count)]


def test_what_is_on_disk_is_not_made_again(trial, outcome, monkeypatch):
    """A second run trains nothing and asks no method."""
    monkeypatch.setattr(gates, "BIASED_AT_LEAST", 0.0)
    monkeypatch.setattr(gates, "UNBIASED_AT_MOST", 1.0)
    monkeypatch.setattr(gates, "RAISED_ABOVE", -1.0)
    before = {path: path.stat().st_mtime_ns for path in (trial.protocol.runs / "artefacts").glob("*/*.json")}
    again = discover([trial], ["truth", "nearest-unlike", "pixel-search"], 1, Board())[0]
    assert before == {path: path.stat().st_mtime_ns for path in (trial.protocol.runs / "artefacts").glob("*/*.json")}
    rows = {record.method: record.rows for record in outcome.records}
    assert all(record.rows == rows[record.method] for record in again.records)
    assert np.isfinite(next(row.value for row in again.records[0].rows if row.metric == "lead_confounded"))


def test_what_is_on_disk_is_found_if_it_still_holds(trial, outcome):
    """The outcome on disk is the one that was made; it holds for methods that had an end, and under no other seeds."""
    found = read_outcome(str(trial.planted), "smoke", trial.protocol.runs)
    assert {record.method for record in found.records} == {record.method for record in outcome.records}
    assert finished(trial, ["truth", "pixel-search"]).gates == found.gates
    assert finished(trial, ["truth", "null"]) is None  # which failed
    assert finished(replace(trial, seeds=(0,)), ["truth"]) is None
    assert read_outcome("Male-on-Smiling", "smoke", trial.protocol.runs) is None


@pytest.mark.usefixtures("outcome")
def test_outcome_of_another_version_is_none(trial, monkeypatch):
    """What another version has read of answers is asked again rather than half understood."""
    monkeypatch.setattr(discovery, "VERSION", discovery.VERSION + 1)
    assert read_outcome(str(trial.planted), "smoke", trial.protocol.runs) is None


@pytest.mark.usefixtures("outcome")
def test_page_takes_the_fuller_outcome_on_disk(trial):
    """A page that asks fewer seeds rests on all that were asked, where they begin with its own and no method failed."""
    one, other = replace(trial, seeds=(0,)), replace(trial, seeds=(1,))
    assert fuller(one, ["truth", "nearest-unlike"]) == trial
    assert fuller(one, ["truth", "null"]) == one  # null has failed
    assert fuller(other, ["truth"]) == other
    assert fuller(replace(one, planted=Planted("Male", "Smiling")), ["truth"]).seeds == (0,)


@pytest.mark.usefixtures("outcome")
def test_lead_that_was_not_held_against_the_baseline_is_not_the_end(trial, monkeypatch):
    """What was asked without the baseline is asked again beside it."""
    monkeypatch.setattr(gates, "BIASED_AT_LEAST", 0.0)
    monkeypatch.setattr(gates, "UNBIASED_AT_MOST", 1.0)
    monkeypatch.setattr(gates, "RAISED_ABOVE", -1.0)
    discover([trial], ["pixel-search"], 1, Board())
    assert finished(trial, ["pixel-search"]) is not None
    assert finished(trial, ["pixel-search", "nearest-unlike"]) is None
    discover([trial], ["pixel-search", "nearest-unlike"], 1, Board())
    assert finished(trial, ["pixel-search", "nearest-unlike"]) is not None
