from dataclasses import replace

import pytest
import torch

from benchmark.bias import opposite
from benchmark.bias.gates import blank
from benchmark.bias.opposite import DIFFERENCE, OPPOSITE, majorities, majority_names, oppose, read_opposite
from benchmark.bias.tables import side_by_side
from benchmark.bias.trial import MAJORITIES, Planted
from benchmark.jobs.progress import Board
from benchmark.jobs.protocol import images_of
from metrics.bias import signed_changes

LACKING, HAVING = MAJORITIES
MALE = Planted.parse("Male-on-Smiling")


# -- the classifiers ---------------------------------------------------------------------------------------------------


def test_opposite_classifiers_differ_by_strength_alone(trial):
    """All settings of both are the same but for the strengths of the bias, which add up to one."""
    lacking, having = (trial.protocol_of(kind) for kind in MAJORITIES)
    strengths = [protocol.overrides["avatars"]["strength"] for protocol in (lacking, having)]
    assert sum(strengths) == pytest.approx(1)
    avatars = {**having.overrides["avatars"], "strength": strengths[0]}
    assert lacking == replace(having, overrides={**having.overrides, "avatars": avatars})
    one, other = (trial.classifier(kind, 0) for kind in MAJORITIES)
    assert (one.config, one.workshop.question.seed) == (other.config, other.workshop.question.seed)


def test_opposite_faces_have_opposite_majorities(trial):
    """Of the faces with the label the stated share is without the attribute; nothing that causes neither differs."""
    smiling = replace(trial, planted=MALE)
    seen = {kind: images_of(smiling.task, smiling.protocol_of(kind)).attributes for kind in MAJORITIES}
    for kind, share in MAJORITIES.items():
        women = 1 - seen[kind]["Male"][seen[kind]["Smiling"] == 1]
        assert women.mean() == pytest.approx(share, abs=3 * (0.21 / len(women)) ** 0.5)
    assert seen[LACKING].drop(columns="Smiling").equals(seen[HAVING].drop(columns="Smiling"))


def test_kinds_of_discovery_keep_their_strength(trial):
    """The classifiers that discovery asks learn from faces of the strength that the user sets."""
    for kind in ("unconfounded", "confounded", "ignoring", "another"):
        assert trial.protocol_of(kind).overrides["avatars"]["strength"] == trial.drawn.strength


# -- the table ---------------------------------------------------------------------------------------------------------


def answered(before, after, target):
    """What is kept of valid answers whose second attribute is so before and after; the first never changes."""
    before, after, target = (torch.tensor(part, dtype=torch.bool)[:, None] for part in (before, after, target))
    before, after = torch.cat([before, before], dim=1), torch.cat([before, after], dim=1)
    changes = signed_changes(before, after, target[:, 0].int())
    valid = torch.ones(len(target), dtype=torch.bool)
    return {"changes": changes, "before": before, "target": target[:, 0].int(), "valid": valid}


TARGET = [1, 1, 0, 0] * 5
BEFORE = [1, 0, 1, 0] * 5


def test_directions_are_counted():
    """Answers in which the attribute appears and vanishes are counted by classifier and target."""
    answers = {LACKING: answered(BEFORE, [0, 0, 1, 0] * 5, TARGET), HAVING: answered(BEFORE, [1, 1, 0, 1] * 5, TARGET)}
    rows = majorities(answers, MALE, place=1).rows
    assert [(row["classifier"], row["towards"], row["n"]) for row in rows] == [
        ("mostly not Male", "Smiling", 10),
        ("mostly not Male", "not Smiling", 10),
        ("mostly Male", "Smiling", 10),
        ("mostly Male", "not Smiling", 10),
        (DIFFERENCE, "both", 20),
    ]
    assert [(row["appears"], row["vanishes"]) for row in rows[:4]] == [(0, 0.5), (0, 0), (0.5, 0), (0.5, 0.5)]
    assert [(row["Male in x̃"], row["Male in x'"]) for row in rows[:4]] == [(0.5, 0), (0.5, 0.5), (0.5, 1), (0.5, 0.5)]
    assert [row["signed change"] for row in rows[:4]] == [-0.5, 0, 0.5, 0]


def test_opposite_answers_differ_most():
    """Answers that lack the attribute where they have the label, against answers that have both or neither."""
    answers = {kind: answered(BEFORE, after, TARGET) for kind, after in ((LACKING, [0, 0, 1, 1] * 5), (HAVING, TARGET))}
    last = majorities(answers, MALE, place=1).rows[-1]
    assert last["signed change"] == pytest.approx(1)
    assert last["low"] > 0
    swapped = dict(zip(answers, reversed(answers.values()), strict=True))
    assert majorities(swapped, MALE, place=1).rows[-1]["signed change"] == pytest.approx(-1)


@pytest.mark.parametrize("share", [0, 1, 3])
def test_changes_whatever_the_target_are_no_difference(share):
    """A method that always draws men shows nothing, whichever targets a classifier that goes by sex sends them to."""
    opposite = {LACKING: [1, 0] * 10, HAVING: [0, 1] * 10}  # men are asked to smile, or not to
    target = {kind: [*whole[: 20 - 4 * share], *[1, 1, 0, 0] * share] for kind, whole in opposite.items()}
    answers = {kind: answered([1, 0] * 10, [1] * 20, target[kind]) for kind in MAJORITIES}
    assert majorities(answers, MALE, place=1).rows[-1]["signed change"] == pytest.approx(0, abs=1e-6)


def test_target_that_nobody_had_has_no_row():
    """Where one target was never asked for there is no share of it, and equal answers do not differ."""
    same = answered([1, 0, 1], [0, 0, 1], [1, 1, 1])
    rows = majorities({LACKING: same, HAVING: same}, MALE, place=1).rows
    assert [row["towards"] for row in rows] == ["Smiling", "Smiling", "both"]
    assert (rows[-1]["signed change"], rows[-1]["low"], rows[-1]["high"]) == (0, 0, 0)


# -- the whole path ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def opposed(trial):
    """What nearest images show of both classifiers."""
    return oppose(trial, "nearest-unlike", 1, Board())


def test_what_was_asked_is_not_asked_again(trial, opposed, monkeypatch):
    """A second time it is read, beside the gates of the same classifiers and of no others."""
    monkeypatch.setattr(opposite, "in_parallel", lambda *_: pytest.fail("a method was asked"))
    assert oppose(trial, "nearest-unlike", 1, Board()) == opposed
    gates = blank(trial).model_copy(update={"key": trial.key()})
    assert read_opposite(gates, "nearest-unlike", trial.protocol.runs) == opposed
    assert read_opposite(gates.model_copy(update={"key": "other"}), "nearest-unlike", trial.protocol.runs) is None
    assert read_opposite(gates, "null", trial.protocol.runs) is None


def test_both_are_asked_of_the_same_queries(trial, opposed):
    """Every query counts once for each classifier, and once in the contrast."""
    rows, queries = opposed.studies[OPPOSITE].rows, len(trial.having())
    counts = {name: sum(row["n"] for row in rows if row["classifier"] == name) for name in (*names(trial), DIFFERENCE)}
    assert counts == dict.fromkeys(counts, queries)


def test_figure_has_a_row_a_query(trial, opposed, monkeypatch):
    """The first two queries of each cell have a row, in which stand two pictures for each classifier."""
    drawn = {}
    keys = ("queries", "answers", "captions", "headings", "title")
    monkeypatch.setattr("benchmark.bias.tables.grid", lambda *parts: drawn.update(zip(keys, parts, strict=True)))
    side_by_side(opposed, trial, majority_names(trial.planted))
    assert drawn["queries"].shape == (8, 3, 33, 33)
    assert drawn["answers"].shape == (4, 8, 3, 33, 33)
    assert [len(row) for row in drawn["captions"]] == [5] * 8
    assert drawn["headings"] == ["query", "x̃", "x' mostly not Eyeglasses", "x̃", "x' mostly Eyeglasses"]


def names(trial):
    """What both classifiers are called."""
    return majority_names(trial.planted).values()
