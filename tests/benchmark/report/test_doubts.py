"""Numbers that rest on an oracle which cannot judge are marked where they stand."""

import pytest

from benchmark.report.doubts import DOUBTED, doubted, weak
from benchmark.report.page.data import collect
from benchmark.report.tables import tables
from metrics import METRICS


@pytest.fixture
def record(make_record):
    """A record whose oracle is right on a share of so many test pictures: (share, count) -> Record."""

    def make(share, count=100):
        known = make_record()
        return known.model_copy(
            update={"oracle": known.oracle.model_copy(update={"test_accuracy": share, "test_n": count})}
        )

    return make


def test_an_oracle_is_doubted_by_all_of_its_interval(record):
    """The same share is doubted of many pictures, and not of few, where it may be chance."""
    assert weak(record(0.95)) is None
    assert weak(record(0.85, 20)) is None
    assert weak(record(0.85, 2000)).value == pytest.approx(0.85)
    assert weak(record(0.5).model_copy(update={"oracle": None})) is None


def test_what_the_oracle_says_is_doubted(record):
    """Its classes and its features are; what the classifier sees and distances of pixels are not."""
    names = doubted([record(0.95), record(0.6)])
    assert {"oracle_agreement", "oracle_aware_flips", "adversarial_flips", "fid_oracle"} <= names
    assert not {"flip_rate", "l1", "mse", "fid_inception", "kid_inception"} & names
    assert doubted([record(0.95)]) == set()


def test_tables_mark_what_is_doubted(record):
    """Every table with such a column marks its heading and says why; where the oracle reads well, none does."""
    for table in tables([record(0.6)]):
        heading = table.markdown()
        assert heading.count("is right on 60.0%") == 1 == len([line for line in table.notes if "is right on" in line])
    (summary, *_) = tables([record(0.6)])
    marked = {name for name in summary.methods.columns if DOUBTED in name}
    assert METRICS["oracle_agreement"].title in {name.removesuffix(f" {DOUBTED}") for name in marked}
    assert METRICS["flip_rate"].title in summary.methods.columns
    assert not any(DOUBTED in table.markdown() for table in tables([record(0.95)]))


def test_the_page_knows_what_is_doubted(record, tmp_path):
    """Of each task the columns that are marked; they and the warning on top name one accuracy."""
    (task,) = collect([record(0.6)], tmp_path)["tasks"]
    assert "oracle_aware_flips" in task["doubted"]
    assert "flip_rate" not in task["doubted"]
    (warning,) = task["warnings"]
    assert DOUBTED in warning
    assert all("nobody can say" in first for sentences in task["said"].values() for first, *_ in sentences)
    assert collect([record(0.95)], tmp_path)["tasks"][0]["doubted"] == []
