import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from benchmark.errors import UserError
from benchmark.report.cells import COLUMNS, tidy
from benchmark.report.check import compare, describe, read_baseline


def numbers(*rows):
    """Rows of (method, seed, relaxation, metric, value, half-width)."""
    made = [
        ("mnist", method, seed, relaxation, metric, "all", value, value - half, value + half, 100)
        for method, seed, relaxation, metric, value, half in rows
    ]
    return pd.DataFrame(made, columns=COLUMNS)


def one(value, half=0.05, seed=0):
    return numbers(("vaex", seed, 0.0, "flip_rate", value, half))


def test_identical_numbers_have_not_moved(make_record):
    """A run that repeats the baseline moves nothing."""
    baseline = tidy([make_record(), make_record("null", flips=0.0)])
    moved = compare(baseline.copy(), baseline)
    assert len(moved) == 0
    assert describe(moved) == "nothing moved"


def test_order_does_not_matter(make_record):
    """Rows are found by what they are, not by where they stand."""
    baseline = tidy([make_record(), make_record("null", flips=0.0)])
    assert len(compare(baseline.iloc[::-1], baseline)) == 0


def test_file_is_as_good_as_records(tmp_path, make_record):
    """A baseline that went through a file is the same baseline."""
    now = tidy([make_record(), make_record("null")])
    now.to_csv(tmp_path / "baseline.csv", index=False)
    assert len(compare(now, read_baseline(tmp_path / "baseline.csv"))) == 0


@pytest.mark.parametrize("by", [0.5, -0.5])
def test_perturbed_number_has_moved(make_record, by):
    """A number far outside both intervals has moved, and is the only one that is named."""
    baseline = tidy([make_record()])
    now = baseline.copy()
    place = now.index[(now["metric"] == "flip_rate") & (now["relaxation"] == 0)]
    now.loc[place, ["value", "low", "high"]] += by
    moved = compare(now, baseline)
    assert moved[["task", "method", "relaxation", "metric"]].to_numpy().tolist() == [["mnist", "vaex", 0, "flip_rate"]]
    row = moved.iloc[0]
    assert (row["baseline"], row["now"]) == (0.75, pytest.approx(0.75 + by))
    assert 0 < row["tolerance"] < 0.5
    assert "1 number" in describe(moved)


@pytest.mark.parametrize("lost", ["reconstruction_flips", "flip_rate"])
def test_missing_number_has_moved(make_record, lost):
    """A number of the baseline that is not there any more has moved, with or without a relaxation."""
    baseline = tidy([make_record()])
    moved = compare(baseline[baseline["metric"] != lost], baseline)
    assert set(moved["metric"]) == {lost}
    assert moved["now"].isna().all()
    assert f"{len(moved)} of them missing" in describe(moved)


def test_undefined_number():
    """A number that was not defined and still is not has not moved; one that came or went among queries has."""
    defined, undefined = one(0.5), one(float("nan"))
    assert len(compare(undefined, undefined)) == 0
    assert len(compare(undefined, defined)) == len(compare(defined, undefined)) == 1


def test_number_of_no_query():
    """A number that no query defines is the flip rate's matter, in either run or in some seeds; a lost row moves."""
    of_none = one(float("nan"), float("nan")).assign(n=0)
    some = pd.concat([one(0.5), of_none.assign(seed=1)])
    assert len(compare(of_none, one(0.5))) == len(compare(one(0.5), of_none)) == len(compare(of_none, some)) == 0
    assert len(compare(of_none.iloc[:0], some)) == len(compare(one(0.5).iloc[:0], of_none)) == 1
    assert len(compare(one(0.9), some)) == 1


def test_undefined_seeds_do_not_narrow_the_interval():
    """The interval is that of the seeds that define a number; one that is undefined is no interval of width zero."""
    undefined = one(float("nan"), float("nan"), seed=1)
    both = pd.concat([one(0.5), undefined])
    assert compare(one(9.0), both)["tolerance"].item() == compare(one(9.0), one(0.5))["tolerance"].item()


@pytest.mark.parametrize("n", [1, 4])
def test_single_query_has_the_interval_of_the_other_run(n):
    """A mean over one query knows no interval: the tolerance is as if it had the other's at that n, either way."""
    known, single = one(0.0, 0.05).assign(n=16), one(9.0, float("nan")).assign(value=9.0, n=n)
    as_wide = one(9.0, 0.05 * (16 / n) ** 0.5).assign(n=n)
    expected = compare(as_wide, known)["tolerance"].item()
    assert compare(single, known)["tolerance"].item() == pytest.approx(expected)
    assert compare(known, single)["tolerance"].item() == pytest.approx(expected)


def test_single_query_against_a_single_query():
    """Two means over one query each tell nothing of chance and are not held, unless lost, undefined, or of seeds."""
    single, other = (one(value, float("nan")).assign(value=value, n=1) for value in (0.5, 9.0))
    assert len(compare(other, single)) == 0
    assert len(compare(other.iloc[:0], single)) == 1
    seeds = pd.concat([single, single.assign(seed=1, value=0.51)])
    assert len(compare(other, seeds)) == 1


def test_new_numbers_are_not_compared(make_record):
    """A method, a task or a metric that the baseline does not know is new, and moves nothing."""
    baseline = tidy([make_record()])
    now = tidy([make_record(), make_record("vaex-cat"), make_record(task="mnist/3-8")])
    assert len(compare(pd.concat([now, numbers(("vaex", 0, None, "novelty", 1.0, 0.1))]), baseline)) == 0


def test_exact_numbers_are_held_exactly():
    """A number without interval and without spread has no tolerance but rounding."""
    assert len(compare(one(0.5, half=0), one(0.5 + 1e-14, half=0))) == 0
    assert len(compare(one(0.5, half=0), one(0.5001, half=0))) == 1


def test_tolerance_grows_with_the_spread_of_seeds():
    """What differs between the baseline's seeds may differ again."""
    tight = pd.concat([one(0.5 + by, seed=seed) for seed, by in enumerate((-0.001, 0, 0.001))])
    wide = pd.concat([one(0.5 + by, seed=seed) for seed, by in enumerate((-0.2, 0, 0.2))])
    now = one(0.7)
    assert len(compare(now, tight)) == 1
    assert len(compare(now, wide)) == 0


def test_tolerance_grows_with_the_interval():
    """The wider either interval, the larger the difference that chance explains."""

    def tolerance(half, half_now):
        return compare(one(9.0, half_now), one(0.0, half))["tolerance"].item()

    assert tolerance(0.1, 0.1) < tolerance(0.2, 0.1) < tolerance(0.2, 0.2)
    assert tolerance(0.2, 0.1) == pytest.approx(tolerance(0.1, 0.2))


def test_tolerance_grows_with_the_number_of_comparisons():
    """Among many numbers a single one has to stand out further before it counts."""
    many = numbers(*[("vaex", 0, r / 100, "flip_rate", 0.5, 0.05) for r in range(100)])
    far = many.assign(value=many["value"] + 9)
    alone = compare(one(9.5), one(0.5))["tolerance"].item()
    assert (compare(far, many)["tolerance"] > alone).all()


shares = st.floats(0, 1)
halves = st.floats(0.001, 0.5)


@given(shares, halves, halves, st.floats(-1, 1))
@settings(max_examples=25, deadline=None)
def test_difference_inside_an_interval_never_moves(value, half, half_now, part):
    """A difference that is inside either interval is never taken for a movement."""
    assert len(compare(one(value + part * max(half, half_now), half_now), one(value, half))) == 0


@given(shares, halves, halves, st.floats(-5, 5))
@settings(max_examples=25, deadline=None)
def test_movement_has_no_direction(value, half, half_now, difference):
    """Whether a number has moved does not depend on which of the two runs came first."""
    assume(abs(abs(difference) - compare(one(99, half_now), one(0, half))["tolerance"].item()) > 1e-6)
    there = compare(one(value + difference, half_now), one(value, half))
    back = compare(one(value, half), one(value + difference, half_now))
    assert len(there) == len(back)


@pytest.mark.parametrize("content", [None, "", "a,b\n1,2\n", "task,method\n", '"', "\x00\x01"])
def test_no_baseline_is_refused(tmp_path, content):
    """A baseline that is missing, empty or of another form is refused by name."""
    path = tmp_path / "baseline.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError) as error:
        read_baseline(path)
    assert str(path) in str(error.value)
