import pytest
import torch
from torchmetrics.classification import MulticlassAUROC

from benchmark.papers.experiments import ROWS, Asked
from benchmark.papers.leap import (
    APART,
    AUC,
    FLIPS,
    LANDED,
    MORPHOMETRICS,
    OWN,
    SEPARATED,
    WHOLE,
    leaps,
    one_against_all,
    shapes,
)
from methods.leap.method import Leap, LeapConfig
from tests.methods.thirds import CLASSES, Pictures, Places

SHAPE, COUNT = (1, 16, 16), 12
QUERIES = Pictures(COUNT, SHAPE).batch(slice(None))
PREDICTED = Places()(QUERIES).argmax(1)


def asked(queries=QUERIES):
    return Asked(queries, (PREDICTED + 1) % CLASSES, PREDICTED, {}, Places(), Places())


def untrained(**settings):
    method = Leap(LeapConfig(encoder=(4, 8), decoder=(8, 4), flow_widths=(8,), **settings))
    torch.manual_seed(0)
    method.prepare(SHAPE, Places()).eval()
    return method


@torch.no_grad()
def test_answers_that_change_nothing():
    """A method that answers with its reconstruction changes no measure, and the study says so with n."""
    rows = {row["quantity"]: row for row in shapes(untrained(step_size=0.0), asked()).studies[MORPHOMETRICS].rows}
    assert rows.pop(FLIPS)["n"] == COUNT
    assert rows.keys() == {"area", "length", "thickness", "slant", "width", "height"}
    assert all(row["value"] == 0 for row in rows.values())


@torch.no_grad()
def test_leaps_stand_beside_one_whole_leap():
    """All ways are measured and compared on the same queries, and the figure shows the first with their answers."""
    outcome = leaps(untrained(), asked())
    values = {(row["answers"], row["quantity"]): row["value"] for row in outcome.studies[MORPHOMETRICS].rows}
    assert {answers for answers, _ in values} == {OWN, LANDED, WHOLE}
    for row in outcome.studies[APART].rows:
        way, quantity = row["answers"], row["quantity"]
        assert row["difference"] == pytest.approx(values[way, quantity] - values[OWN, quantity], abs=1e-6)
    assert all(0 <= row[AUC] <= 1 for row in outcome.studies[SEPARATED].rows)
    shown = outcome.illustrations["examples"]
    assert shown.images.shape == (ROWS, len(shown.headings), *SHAPE)
    assert torch.equal(shown.images[:, 0], QUERIES[:ROWS])


@pytest.mark.parametrize("experiment", [leaps, shapes])
def test_colour_has_no_such_shape(experiment):
    """Of faces nothing is measured."""
    outcome = experiment(untrained(), asked(QUERIES.expand(-1, 3, -1, -1)))
    assert not outcome.studies
    assert not outcome.illustrations


def test_one_against_all():
    """The area is torchmetrics' macro average, 1 where probabilities tell the target; a class never asked is out."""
    torch.manual_seed(0)
    seen, targets = torch.randn(60, CLASSES).softmax(1), torch.arange(60) % CLASSES
    expected = MulticlassAUROC(CLASSES)(seen, targets)
    assert one_against_all(seen, targets) == pytest.approx(float(expected), abs=1e-6)
    assert one_against_all(torch.eye(CLASSES)[targets], targets) == 1
    assert one_against_all(torch.eye(CLASSES)[targets % 2], targets % 2) == 1
