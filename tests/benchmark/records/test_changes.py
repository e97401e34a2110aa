import pytest
import torch

from benchmark.records.changes import MOST, Changes, most_changed
from methods.base import CHANGE

NAMES = ("Bald", "Eyeglasses", "Male", "Pale_Skin", "Smiling", "Young")


def artefact(values, flipped=None):
    """What an explanation keeps of answers with these changes, beside other things."""
    values = torch.tensor(values)
    columns = {f"intervention.{CHANGE}{name}": values[:, place] for place, name in enumerate(NAMES)}
    flips = torch.ones(len(values), dtype=torch.bool) if flipped is None else torch.tensor(flipped)
    return {"targets": torch.zeros(len(values)), "intervention.flipped": flips, **columns}


ONE = [0.0, 0.5, -0.25, 0.25, 0.0, 0.0]
OTHER = [0.0, 0.0, -1.0, 0.0, 0.0, 0.0]
NOTHING = [0.0] * 6


def test_changes_are_read_in_order_of_the_artefacts():
    """The parts of an explanation follow each other, with the attributes in one order."""
    changes = Changes.of([artefact([ONE, OTHER]), artefact([NOTHING], [False])])
    assert changes.names == NAMES
    assert torch.equal(changes.values, torch.tensor([ONE, OTHER, NOTHING]))
    assert changes.flipped.tolist() == [True, True, False]


def test_methods_that_tell_no_changes_have_none():
    """An explanation without attributes' changes, or no explanation at all, gives nothing."""
    assert Changes.of([{"intervention.flipped": torch.tensor([True])}]) is None
    assert Changes.of([]) is None


def test_relative_changes_share_the_sum():
    """Relative changes keep their sign and add up to 1 in size; where nothing moved all of them are 0."""
    relative = Changes.of([artefact([ONE, OTHER, NOTHING])]).relative
    torch.testing.assert_close(relative, torch.tensor([ONE, OTHER, NOTHING]))  # each row's sizes add up to 1 already
    torch.testing.assert_close(Changes.of([artefact([[2 * x for x in ONE]])]).relative, torch.tensor([ONE]))


def test_greatest_change():
    """The greatest change is that of the largest size, whatever its sign; none where nothing moved."""
    assert Changes.of([artefact([ONE, OTHER, NOTHING])]).greatest.tolist() == [1, 2, -1]


def test_words_name_what_moved():
    """At most five attributes are named, the most changed one first, and none that stayed."""
    words = Changes.of([artefact([ONE, NOTHING, [0.1] * 6])]).words()
    assert words[0].splitlines() == ["Eyeglasses +50 %", "Male -25 %", "Pale_Skin +25 %"]
    assert words[1] == ""
    assert len(words[2].splitlines()) == MOST


def test_study_of_the_most_changed():
    """Rows by direction and for all: shares of change, signed shares, and how often each is greatest."""
    changes = Changes.of([artefact([ONE, OTHER, [0.0, -0.5, *ONE[2:]], NOTHING], [True, True, True, False])])
    predicted, targets = torch.tensor([0, 0, 1, 1]), torch.tensor([1, 1, 0, 0])
    rows = most_changed(changes, predicted, targets, ("old", "young")).rows
    flipped = [row for row in rows if (row["direction"], row["answers"]) == ("all", "flipped")]
    assert [row["attribute"] for row in flipped[:3]] == ["Male", "Eyeglasses", "Pale_Skin"]
    assert flipped[0]["relative change"] == pytest.approx(1.5 / 3)
    assert flipped[1]["signed"] == pytest.approx(0)
    assert flipped[1]["greatest"] == pytest.approx(2 / 3)
    assert {row["n"] for row in rows if row["answers"] == "all"} == {4}
    there, back = ([row for row in rows if row["direction"] == way] for way in ("old → young", "young → old"))
    assert (there[0]["attribute"], there[0]["n"]) == ("Male", 2)
    assert (back[0]["attribute"], back[0]["signed"], back[0]["n"]) == ("Eyeglasses", -0.5, 1)


def test_study_without_flips():
    """Where nothing flips, or no query could, the study says so of all answers, or is empty."""
    changes = Changes.of([artefact([ONE], [False])])
    rows = most_changed(changes, torch.tensor([0]), torch.tensor([1]), ("old", "young")).rows
    assert {row["answers"] for row in rows} == {"all"}
    assert most_changed(changes, torch.tensor([0]), torch.tensor([0]), ("old", "young")).rows == []
