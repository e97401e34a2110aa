import pytest

from benchmark.report.marks import best


def test_best_is_the_one_that_beats_all(tmp_path, kept, noise):
    """Marked is what beats every other method, by the direction of the metric, and nothing else."""
    records = [
        kept("vaex", flips=90, l1=noise(0.5)),
        kept("vaex-cat", flips=60, l1=noise(0.1)),
        kept("gan-search", flips=30, l1=noise(0.9)),
    ]
    assert best(records, tmp_path).best == {("mnist", "vaex", "flip_rate"), ("mnist", "vaex-cat", "l1")}


def test_ties_are_not_marked(tmp_path, kept, noise):
    """Where two methods are equally good, or differ by chance, neither is marked."""
    records = [kept("vaex", flips=90, l1=noise(0.1)), kept("vaex-cat", flips=90, l1=noise(0.1))]
    records += [kept("gan-search", flips=10, l1=noise(0.9))]
    assert best(records, tmp_path).best == set()


def test_best_is_best_under_each_seed(tmp_path, kept, noise):
    """One bad training of another method does not make a method best that loses under the other seed."""

    def of(*levels):
        return [
            kept(method, seed, l1=noise(level))
            for seed, pair in enumerate(levels)
            for method, level in zip(("vaex", "vaex-cat"), pair, strict=True)
        ]

    assert best(of((0.1, 0.9), (0.1, 0.3)), tmp_path).best == {("mnist", "vaex", "l1")}
    (tmp_path / "artefacts").rename(tmp_path / "before")
    assert best(of((0.1, 0.9), (0.3, 0.1)), tmp_path).best == set()


def test_references_do_not_compete(tmp_path, kept):
    """A reference is never marked, and keeps no method from being so."""
    records = [kept("vaex", flips=60), kept("vaex-cat", flips=20), kept("nearest-unlike", flips=100)]
    assert best(records, tmp_path).best == {("mnist", "vaex", "flip_rate")}
    assert best([records[0], records[2]], tmp_path) == (set(), ())


def test_nothing_is_best_beside_what_cannot_be_compared(tmp_path, kept, noise):
    """A metric of which one method has a number, but not a value of every query, marks none of the others."""
    records = [kept("vaex", flips=90, l1=noise(0.1)), kept("vaex-cat", flips=20, l1=noise(0.9))]
    records += [kept("gan-search", flips=10)]  # its record has an L1
    assert best(records, tmp_path).best == {("mnist", "vaex", "flip_rate")}


@pytest.mark.parametrize("changes", [{"limit": 7}, {"seed": 1}])
def test_best_of_other_queries_is_not_told(tmp_path, kept, changes):
    """Where methods were not all asked the same, nothing is marked, and a note says so."""
    marks = best([kept("vaex", flips=90), kept("vaex-cat", flips=10, **changes)], tmp_path)
    assert marks.best == set()
    assert all("no mark" in note for note in marks.notes)
    assert len(marks.notes) == 1


def test_best_without_outcomes_is_not_told(tmp_path, kept, make_record):
    """Where outcomes of single queries are gone, nothing is marked, and a note says so."""
    marks = best([kept("vaex", flips=90), make_record("vaex-cat")], tmp_path)
    assert marks.best == set()
    assert [note.startswith("mnist: no mark") for note in marks.notes] == [True]


def test_each_task_has_its_best(tmp_path, kept):
    """What is best on one task says nothing about another."""
    records = [kept("vaex", flips=90), kept("vaex-cat", flips=20)]
    records += [kept("vaex", flips=20, task="mnist/3-8"), kept("vaex-cat", flips=90, task="mnist/3-8")]
    assert best(records, tmp_path).best == {("mnist", "vaex", "flip_rate"), ("mnist/3-8", "vaex-cat", "flip_rate")}
