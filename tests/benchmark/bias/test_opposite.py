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


def answered(signs, target):
    """What is kept of answers whose second attribute changes by `signs` towards class 1; the first never does."""
    signs, target = torch.tensor(signs, dtype=torch.int8), torch.tensor(target)
    raw = signs * (2 * target.to(torch.int8) - 1)
    changes, before = torch.stack([0 * signs, signs], dim=1), torch.stack([raw < 0, raw < 0], dim=1)
    return {"changes": changes, "before": before, "target": target, "valid": torch.ones(len(signs), dtype=torch.bool)}


def test_directions_are_counted():
    """Answers in which the attribute appears and vanishes are counted by classifier and target, and contrasted."""
    target = [1, 1, 1, 1, 0, 0]
    answers = {LACKING: answered([-1, -1, 0, 1, -1, -1], target), HAVING: answered([1, 1, 1, 1, 1, 1], target)}
    rows = majorities(answers, MALE, place=1).rows
    assert [(row["classifier"], row["towards"], row["n"]) for row in rows] == [
        ("mostly not Male", "Smiling", 4),
        ("mostly not Male", "not Smiling", 2),
        ("mostly Male", "Smiling", 4),
        ("mostly Male", "not Smiling", 2),
        (DIFFERENCE, "both", 6),
    ]
    assert [(row["appears"], row["vanishes"]) for row in rows[:4]] == [(0.25, 0.5), (1, 0), (1, 0), (0, 1)]
    assert [(row["Male in x̃"], row["Male in x'"]) for row in rows[:4]] == [(0.5, 0.25), (0, 1), (0, 1), (1, 0)]
    assert rows[-1]["signed change"] == pytest.approx((6 - -3) / 6)


def test_one_and_the_same_classifier_has_no_opposite():
    """Equal answers differ by nothing, and a target that nobody had has no row."""
    same = answered([1, -1, 0], [1, 1, 1])
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
