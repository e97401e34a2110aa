"""Two results folders side by side."""

import shutil

import pytest

from benchmark.errors import UserError
from benchmark.report.page.moved import Side, moved, row, said, write_compared


@pytest.fixture
def side(make_results):
    """One of two folders, by what its methods can."""

    def make(name, **options):
        folder = make_results(name=name, n=200, **options)
        return Side(folder.page.parent, folder.records)

    return make


def test_nothing_moves_between_equals(side):
    """The same numbers twice: every difference is 0, and none is more than chance."""
    found = moved(side("one"), side("other"))
    assert len(found) == 3 * 3 * 3  # methods, metrics, relaxations
    assert {one.difference.value for one in found} == {0}
    assert said(found) == "None of 27 numbers moved by more than chance."


def test_what_moved_is_told_first(side):
    """Methods that convince less in the second folder have moved for the worse, by the difference of their rates."""
    found = moved(side("one"), side("other", strength=0.4))
    surely = [one for one in found if one.surely]
    assert found[: len(surely)] == surely
    assert {(one.metric, one.relaxation) for one in surely} >= {("flip_rate", 0.0), ("oracle_aware_flips", 0.0)}
    assert all(one.second < one.first and row(one)["verdict"] == "moved: worse" for one in surely if one.metric != "l1")
    assert all(one.difference.value == pytest.approx(one.second - one.first) for one in found)
    assert "numbers moved by more than chance, of " in said(found)


def test_other_queries_are_not_compared(side, make_results):
    """Folders whose jobs were asked something else have nothing in common."""
    few = make_results(name="few", n=20)
    with pytest.raises(UserError, match="no job in common"):
        moved(side("one"), Side(few.page.parent, few.records))


def test_the_page_names_what_was_asked_otherwise(side, make_results, tmp_path):
    """A job of both folders that has other queries in one of them is told by name, and the others are compared."""
    one, few = side("one"), make_results(name="few", n=20)
    same = side("same", methods=("vaex",))
    merged = {(record.method, record.seed): record for record in [*few.records, *same.records]}
    for artefact in (same.runs / "artefacts").iterdir():
        shutil.copytree(artefact, few.page.parent / "runs" / "artefacts" / artefact.name, dirs_exist_ok=True)
    path, found = write_compared(one, Side(few.page.parent, list(merged.values())), tmp_path)
    text = path.read_text(encoding="utf-8")
    assert {shown.method for shown in found} == {"vaex"}
    assert "asked otherwise, or answers are gone: 2 jobs, not compared" in text


def test_the_page_names_what_only_one_has(side, tmp_path):
    """Jobs without a partner are listed, and every number has its line."""
    path, found = write_compared(side("one"), side("other", methods=("vaex",)), tmp_path)
    text = path.read_text(encoding="utf-8")
    assert "dvae on mnist, seed 0" in text
    assert text.count("<tr>") == 1 + len(found)
    assert "<script" not in text
