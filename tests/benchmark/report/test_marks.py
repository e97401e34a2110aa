from itertools import chain

import pytest
import torch

from benchmark.report.marks import best, competes

SEEDS = range(3)


@pytest.fixture
def of_seeds(kept):
    """Makes the records of three seeds of each method: method -> what each seed keeps."""

    def make(methods, seeds=SEEDS, **changes):
        made = [
            [kept(method, seed, **{name: _of(value) for name, value in values.items()}, **changes) for seed in seeds]
            for method, values in methods.items()
        ]
        return list(chain(*made))

    def _of(value):
        return value() if callable(value) else value

    return make


def test_best_is_the_one_that_beats_all(tmp_path, of_seeds, noise):
    """Marked is what beats every other method, by the direction of the metric, and nothing else."""
    records = of_seeds(
        {
            "vaex": {"flips": 95, "l1": lambda: noise(0.5)},
            "vaex-cat": {"flips": 80, "l1": lambda: noise(0.1)},
            "gan-search": {"flips": 60, "l1": lambda: noise(0.9)},
        }
    )
    assert best(records, tmp_path).best == {("mnist", "vaex", "flip_rate"), ("mnist", "vaex-cat", "l1")}


@pytest.mark.parametrize("seeds", [1, 2])
def test_fewer_than_three_seeds_mark_nothing(tmp_path, of_seeds, seeds):
    """One training or two mark nothing, however far methods are apart, and a note says why."""
    marks = best(of_seeds({"vaex": {"flips": 99}, "vaex-cat": {"flips": 60}}, range(seeds)), tmp_path)
    assert marks.best == set()
    assert ["fewer than 3 seeds" in note for note in marks.notes] == [True]


def test_ties_are_not_marked(tmp_path, of_seeds, noise):
    """Where two methods are equally good, or differ by chance, neither is marked."""
    equal = {"flips": 90, "l1": lambda: noise(0.1)}
    records = of_seeds({"vaex": equal, "vaex-cat": equal, "gan-search": {"flips": 60, "l1": lambda: noise(0.9)}})
    assert best(records, tmp_path).best == set()


def test_best_is_best_under_each_seed(tmp_path, kept, noise):
    """One bad training of another method does not make a method best that loses under another seed."""

    def of(*levels):
        return [
            kept(method, seed, flips=90, l1=noise(level))
            for seed, pair in enumerate(levels)
            for method, level in zip(("vaex", "vaex-cat"), pair, strict=True)
        ]

    assert best(of((0.1, 0.4), (0.1, 0.5), (0.1, 0.4)), tmp_path).best == {("mnist", "vaex", "l1")}
    (tmp_path / "artefacts").rename(tmp_path / "before")
    assert best(of((0.1, 0.9), (0.1, 0.9), (0.3, 0.1)), tmp_path).best == set()


def test_trainings_that_differ_much_mark_nothing(tmp_path, kept, noise):
    """A lead that is different under each seed is no lead of the method, however many queries say so."""
    records = [
        kept(method, seed, flips=90, l1=noise(level))
        for seed, lead in enumerate((0.9, 0.1, 0.1))
        for method, level in (("vaex", 0.1), ("vaex-cat", 0.1 + lead))
    ]
    assert best(records, tmp_path).best == set()


def test_references_do_not_compete(tmp_path, of_seeds):
    """A reference is never marked, and keeps no method from being so."""
    records = of_seeds({"vaex": {"flips": 90}, "vaex-cat": {"flips": 60}, "nearest-unlike": {"flips": 100}})
    assert best(records, tmp_path).best == {("mnist", "vaex", "flip_rate")}
    assert best(records[:3] + records[6:], tmp_path) == (set(), ())


def test_what_does_not_flip_does_not_compete(tmp_path, of_seeds, noise):
    """A method that hardly changes a picture, and flips few, is not marked, and keeps no other from it."""
    records = of_seeds(
        {
            "gan-search": {"flips": 30, "l1": lambda: noise(0.0)},
            "vaex": {"flips": 90, "l1": lambda: noise(0.3)},
            "vaex-cat": {"flips": 90, "l1": lambda: noise(0.6)},
        }
    )
    assert best(records, tmp_path).best == {("mnist", "vaex", "l1")}


def test_distances_are_compared_where_both_flip(tmp_path, of_seeds, noise):
    """A method that is near only where it does not flip is not marked as near."""
    near = torch.where(torch.arange(100) < 60, 0.5, 0.0).double()
    records = of_seeds(
        {"vaex": {"flips": 60, "l1": lambda: near + noise(0)}, "vaex-cat": {"flips": 60, "l1": lambda: noise(0.45)}}
    )
    assert best(records, tmp_path).best == set()


@pytest.mark.parametrize(
    ("flips", "own", "expected"), [(0.9, 0.1, True), (0.4, 0.0, False), (0.9, 0.6, False), (0.5, 0.25, True)]
)
def test_competing_takes_flips_of_its_own(flips, own, expected):
    """A method competes that flips half of the queries, at most half of them by its reconstruction."""
    assert competes(*((torch.arange(100) < 100 * share).double().numpy() for share in (flips, own))) is expected
    assert competes(None, None) is False


def test_nothing_is_best_beside_what_cannot_be_compared(tmp_path, of_seeds, noise):
    """A metric of which one method has a number, but not a value of every query, marks none of the others."""
    records = of_seeds(
        {
            "vaex": {"flips": 95, "l1": lambda: noise(0.1)},
            "vaex-cat": {"flips": 60, "l1": lambda: noise(0.9)},
            "gan-search": {"flips": 55},  # its record has an L1
        }
    )
    assert best(records, tmp_path).best == {("mnist", "vaex", "flip_rate")}


@pytest.mark.parametrize("changes", [{"limit": 7}, {"seeds": (0, 1, 3)}])
def test_best_of_other_queries_is_not_told(tmp_path, of_seeds, changes):
    """Where methods were not all asked the same, nothing is marked, and a note says so."""
    records = of_seeds({"vaex": {"flips": 90}}) + of_seeds({"vaex-cat": {"flips": 60}}, **changes)
    marks = best(records, tmp_path)
    assert marks.best == set()
    assert all("no mark" in note for note in marks.notes)
    assert len(marks.notes) == 1


def test_best_without_outcomes_is_not_told(tmp_path, kept, make_record):
    """Where outcomes of single queries are gone, nothing is marked, and a note says so."""
    marks = best([kept("vaex", flips=90), make_record("vaex-cat")], tmp_path)
    assert marks.best == set()
    assert [note.startswith("mnist: no mark") for note in marks.notes] == [True]


def test_each_task_has_its_best(tmp_path, of_seeds):
    """What is best on one task says nothing about another."""
    records = of_seeds({"vaex": {"flips": 90}, "vaex-cat": {"flips": 60}})
    records += of_seeds({"vaex": {"flips": 60}, "vaex-cat": {"flips": 90}}, task="mnist/3-8")
    assert best(records, tmp_path).best == {("mnist", "vaex", "flip_rate"), ("mnist/3-8", "vaex-cat", "flip_rate")}
