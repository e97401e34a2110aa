"""The screen of attributes: what moves with flips, towards which class, beside how it goes with the label."""

import numpy as np
import pandas as pd
import pytest
import torch

from benchmark.data import ImageData, Subset
from benchmark.jobs.evidence import Answers, AttributeNetwork
from benchmark.jobs.screen import association, attribute_screen
from benchmark.judges.attributes import AttributeOracles, AttributesConfig, balanced_accuracies
from benchmark.records.screens import SCREEN


@pytest.fixture
def data():
    """Eight pictures of two classes; "hat" is the second class's alone, "scarf" is anywhere."""
    labels = np.arange(8) // 4
    table = pd.DataFrame({"hat": labels, "scarf": np.arange(8) % 2, "rare": np.zeros(8, int)})
    return ImageData("animals", np.zeros((8, 1, 4, 4), np.uint8), labels, ("cat", "dog"), "d", table)


def screened(data, before, after, targets, reached, kept=("hat", "scarf")):
    """The rows of a screen: attributes (N, 3) before and after, targets and whether each was reached."""
    predicted, targets = 1 - torch.tensor(targets), torch.tensor(targets)
    outcomes = {
        "answer_classes": torch.where(torch.tensor(reached), targets, predicted)[None],
        "predicted": predicted,
        "reconstruction_attributes": torch.tensor(before).bool(),
        "answer_attributes": torch.tensor(after).bool()[None],
    }
    pictures = torch.zeros(len(targets), 1, 4, 4, dtype=torch.uint8)
    answers = Answers(pictures, targets, pictures[None], pictures, (0.0,), {})
    oracles = AttributeNetwork(torch.nn.Identity(), {"hat": 1.0, "scarf": 0.95, "rare": 0.5}, kept, "")
    return attribute_screen(outcomes, answers, oracles, data)


def test_what_follows_the_class_adds_up(data):
    """A hat that appears towards dog and vanishes towards cat moves by 1; a scarf that appears either way by 0."""
    before, after = [[0, 0, 0], [1, 0, 0]] * 2, [[1, 1, 0], [0, 1, 0]] * 2
    rows = {row["attribute"]: row for row in screened(data, before, after, [1, 0] * 2, [True] * 4)[SCREEN].rows}
    assert {name: (row["towards"], row["with flips"], row["n"]) for name, row in rows.items()} == {
        "hat": ("dog", 1, 4),
        "scarf": ("dog", 0, 4),
    }
    assert (rows["hat"]["in the data"], rows["scarf"]["in the data"]) == (1, 0)


def test_answers_that_do_not_flip_are_left_out(data):
    """Only flips are counted; without any there is no table, and neither without oracles."""
    before, after = [[0, 0, 0]] * 4, [[1, 0, 0]] * 4
    (row, _) = screened(data, before, after, [1] * 4, [True, True, True, False])[SCREEN].rows
    assert row["n"] == 3
    assert screened(data, before, after, [1] * 4, [False] * 4) == {}
    assert screened(data, before, after, [1] * 4, [True] * 4, kept=()) == {}


def test_association_is_a_difference_of_shares(data):
    """It is 1 for an attribute of a class alone, its negative for the other class, and 0 where it is anywhere."""
    assert association(data, "hat", 1) == -association(data, "hat", 0) == 1
    assert association(data, "scarf", 1) == association(data, "rare", 0) == 0


def test_saying_the_same_of_all_is_no_skill(data):
    """An oracle that sees an attribute everywhere is right half the time, however rare it is; 0 where it never is."""
    network = AttributeOracles(AttributesConfig(channels=(2,), features=2), data.shape, 3).eval()
    torch.nn.init.zeros_(network.layers[-1].weight)
    torch.nn.init.ones_(network.layers[-1].bias)
    found = balanced_accuracies(network, Subset(data, np.array([0, 1, 2, 7])), torch.device("cpu"))
    assert found == {"hat": 0.5, "scarf": 0.5, "rare": 0.0}
