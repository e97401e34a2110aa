import numpy as np
import pytest

from benchmark.errors import UserError
from benchmark.report.compare import compare, describe


def by_metric(contrasts, subset="all"):
    return {(row.metric, row.relaxation): row for row in contrasts if row.subset == subset}


# -- two methods -------------------------------------------------------------------------------------------------------


def test_difference_is_that_of_the_means(tmp_path, kept, noise):
    """The difference is the first method's mean minus the second's, at the smallest relaxation unless one is asked."""
    one, other = noise(0.3), noise(0.1)
    records = [kept("vaex", flips=90, l1=one), kept("vaex-cat", flips=70, l1=other)]
    found = by_metric(compare(("vaex", "vaex-cat"), records, tmp_path))
    assert found.keys() == {("flip_rate", 0.0), ("l1", 0.0)}
    assert found["flip_rate", 0.0].difference.value == pytest.approx(0.2)
    assert found["l1", 0.0].difference.value == pytest.approx(float((one - other).mean()))
    assert (found["flip_rate", 0.0].first, found["flip_rate", 0.0].second) == (0.9, 0.7)
    later = by_metric(compare(("vaex", "vaex-cat"), records, tmp_path, (1.0,)))
    assert later.keys() == {("flip_rate", 1.0), ("l1", 1.0)}
    assert later["l1", 1.0].difference == (0, 0, 0, 1, 100, 1)


def test_metric_of_one_method_only_is_left_out(tmp_path, kept, noise):
    """What only one of the two can report is not compared."""
    records = [kept("vaex", flips=90, mse=noise(0.1)), kept("vaex-cat", flips=70)]
    assert {row.metric for row in compare(("vaex", "vaex-cat"), records, tmp_path)} == {"flip_rate"}


def test_p_is_corrected_over_what_is_printed(tmp_path, kept, noise):
    """The more is compared, the larger each p."""
    records = [kept("vaex", flips=80, l1=noise(0)), kept("vaex-cat", flips=74, l1=noise(0))]
    pair = ("vaex", "vaex-cat")
    alone = by_metric(compare(pair, records, tmp_path, (0.0,)))["flip_rate", 0.0].difference
    among = by_metric(compare(pair, records, tmp_path, (0.0, 1.0)))["flip_rate", 0.0].difference
    assert among.p == pytest.approx(5 / 3 * alone.p)  # of five rows, L1 at r = 0 twice, instead of three
    assert among[:3] == alone[:3]


def test_seeds_are_pooled_over_images(tmp_path, kept):
    """Over two seeds on the same images the difference is the mean of the two, and n the number of images."""
    records = [
        kept(name, seed, flips=flips)
        for name, counts in (("vaex", (90, 80)), ("vaex-cat", (60, 70)))
        for seed, flips in enumerate(counts)
    ]
    (row,) = compare(("vaex", "vaex-cat"), records, tmp_path)
    assert row.difference.value == pytest.approx((0.3 + 0.1) / 2)
    assert (row.difference.n, row.difference.trainings) == (100, 2)


def test_distances_are_compared_where_both_flip_too(tmp_path, kept, noise):
    """Beside all queries stand those that both methods flip, with their n; rates are compared over all."""
    one, other = noise(0.3), noise(0.1)
    records = [kept("vaex", flips=90, l1=one), kept("vaex-cat", flips=70, l1=other)]
    found = by_metric(compare(("vaex", "vaex-cat"), records, tmp_path), "both flipped")
    assert found.keys() == {("l1", 0.0)}
    assert found["l1", 0.0].difference.n == 70
    assert found["l1", 0.0].difference.value == pytest.approx(float((one - other)[:70].mean()))


@pytest.mark.parametrize(("seeds", "better"), [(1, 0), (2, 0), (3, 1)])
def test_fewer_than_three_trainings_make_nobody_better(tmp_path, kept, seeds, better):
    """The table names a better method of three trainings and more only."""
    records = [kept(name, seed, flips=n) for name, n in (("vaex", 90), ("vaex-cat", 50)) for seed in range(seeds)]
    pair = ("vaex", "vaex-cat")
    text = describe(pair, compare(pair, records, tmp_path))
    assert text.count("| vaex ") == 1 + better


def test_nothing_in_common_is_refused(tmp_path, kept):
    """Methods without a common task and seed are refused, with the command that makes one; a failure is no record."""
    lonely = [kept("vaex", 0, flips=90), kept("vaex-cat", 1, flips=90)]
    failed = [kept("vaex", 0, flips=90), kept("vaex-cat", 0, flips=90, status="failed", reason="no luck")]
    for records in (lonely, failed):
        with pytest.raises(UserError, match="benchmark run --methods vaex,vaex-cat"):
            compare(("vaex", "vaex-cat"), records, tmp_path)


@pytest.mark.parametrize(
    "changes",
    [{"limit": 7}, {"split": "validation"}, {"preset": "smoke"}, {"data": {"digest": "other"}}, {"classifier": None}],
)
def test_other_queries_are_refused(tmp_path, kept, changes):
    """Records of other limits, splits, presets, data or classifiers are refused, with what differs."""
    records = [kept("vaex", flips=90), kept("vaex-cat", flips=90, **changes)]
    with pytest.raises(UserError, match=f"{next(iter(changes))}.*same options"):
        compare(("vaex", "vaex-cat"), records, tmp_path)


def test_lost_outcomes_are_refused(tmp_path, kept, make_record):
    """A record whose outcomes are not on disk is refused, with what makes them again."""
    with pytest.raises(UserError, match=r"vaex-cat on mnist, seed 0.*again"):
        compare(("vaex", "vaex-cat"), [kept("vaex", flips=90), make_record("vaex-cat")], tmp_path)


def test_relaxation_that_was_not_asked_is_refused(tmp_path, kept):
    """A relaxation at which not both were asked is refused with those that there are."""
    records = [kept("vaex", flips=90), kept("vaex-cat", flips=90)]
    with pytest.raises(UserError, match=r"r = 0, 1: choose"):
        compare(("vaex", "vaex-cat"), records, tmp_path, (0.5,))


# -- the command -------------------------------------------------------------------------------------------------------


def test_command_prints_what_differs(cli, smoke):
    """Every metric that both have a value a query of is a row with both numbers of the tables, interval, p and n."""
    outcome = cli("compare", "nearest-unlike", "gan-search", "--preset", "smoke", "--results", smoke)
    assert (outcome.code, outcome.err) == (0, "")
    for metric in ("flip_rate ↑", "oracle_agreement ↑", "l1 ↓", "mse ↓", "reconstruction_flips ↓"):
        assert outcome.out.count(f"| {metric} ") == 1 + (metric == "l1 ↓")
    assert "fid" not in outcome.out
    assert "| 60 " in outcome.out


def test_command_compares_every_relaxation_that_is_asked(cli, smoke):
    """Several relaxations are several rows of each metric that depends on it."""
    arguments = ("compare", "vaex", "null", "--preset", "smoke", "--results", smoke, "--relaxation", "0,0.4")
    out = cli(*arguments).out
    assert (out.count("| flip_rate ↑ "), out.count("| mse ↓ ")) == (2, 1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("vaxe", "null"), ("did you mean 'vaex'",)),
        (("vaex", "vaex"), ("itself",)),
        (("vaex", "null", "--relaxation", "0.3"), ("0.2, 0.4",)),
        (("vaex", "null", "--relaxation", "much"), ("--relaxation",)),
        (("vaex", "null", "--tasks", "mnist/3-8"), ("benchmark run",)),
        (("vaex", "null", "--preset", "paper"), ("it holds smoke: mnist", "--preset smoke")),
        (("vaex",), ("'B'",)),
    ],
)
def test_mistake_is_one_line(cli, smoke, arguments, words):
    """A mistake is one line that says what to do, with exit code 2."""
    outcome = cli("compare", "--preset", "smoke", "--results", smoke, *arguments)
    assert (outcome.code, outcome.out, len(outcome.complaints)) == (2, "", 1)
    assert all(word in outcome.err for word in words)


def test_numbers_are_the_records(smoke):
    """What is compared are the numbers that stand in the records, to the digit of a double."""
    from benchmark.records.record import read  # noqa: PLC0415

    folder = smoke / "runs" / "records" / "smoke" / "mnist"
    records = [read(folder / name / "seed-0.json") for name in ("vaex", "null")]
    kept = [{(row.metric, row.relaxation): row.value for row in r.rows if row.subset == "all"} for r in records]
    for row in compare(("vaex", "null"), records, smoke / "runs", (0.0, 0.4)):
        key = (row.metric, row.relaxation)
        assert (row.first, row.second) == pytest.approx([one[key] for one in kept], rel=1e-12)
        assert row.difference.value == pytest.approx(kept[0][key] - kept[1][key], abs=1e-12)
        assert np.isfinite(row.difference).all()
