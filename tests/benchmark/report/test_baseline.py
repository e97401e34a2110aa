import numpy as np
import pandas as pd
import pytest

from benchmark.errors import UserError
from benchmark.report.baseline import COLUMNS, baseline_of, names_of, read_baseline, was_run, with_weights

HELD = {"vaex": {"every_r": ["flip_rate"], "once": ["mse"]}, "null": {"strongest": ["flip_rate"]}}


@pytest.fixture
def runs(make_record):
    """A run and three retrainings of it."""
    return [
        with_weights([make_record(flips=0.75 + by, weights=f"w{by}"), make_record("null", flips=0.0, weights=f"n{by}")])
        for by in (0.0, 0.01, -0.01, 0.02)
    ]


def test_baseline_is_what_is_held(runs):
    """A baseline holds the listed numbers over all queries, at each r, at the smallest alone or once, and no others."""
    table = baseline_of(runs, HELD)
    assert [*zip(table["method"], table["metric"], table["relaxation"].fillna(-1), strict=True)] == [
        ("vaex", "flip_rate", 0),
        ("vaex", "flip_rate", 1),
        ("vaex", "mse", -1),
        ("null", "flip_rate", 0),
    ]
    assert table[["value", "retrained_1", "retrained_2", "retrained_3"]].iloc[0].tolist() == [0.75, 0.76, 0.74, 0.77]


def test_baseline_survives_a_file(runs, tmp_path):
    """What is read is what was written, comments aside; a method called null is no missing value."""
    table = baseline_of(runs, HELD)
    (tmp_path / "baseline.csv").write_text("# made so\n" + table.to_csv(index=False))
    pd.testing.assert_frame_equal(read_baseline(tmp_path / "baseline.csv"), table, check_dtype=False)


def test_retraining_with_the_same_networks_is_refused(runs):
    """A run that repeats the first one's networks says nothing of retraining."""
    with pytest.raises(UserError, match="same trained networks"):
        baseline_of([*runs[:2], runs[0]], HELD)


def test_run_that_lacks_numbers_is_refused(runs):
    """Each retraining has every held number."""
    with pytest.raises(UserError, match="run 2 lacks"):
        baseline_of([*runs[:2], runs[2][runs[2]["method"] == "null"]], HELD)


def test_jobs_that_ran(runs, make_record):
    """A job that failed was run; one without a record was not, and is named."""
    table = baseline_of(runs, HELD)
    failed = make_record(status="failed", rows=[])
    assert was_run(table, [failed]).tolist() == [True, True, True, False]
    assert names_of(table[~was_run(table, [failed])]) == ["null on mnist, seed 0"]
    assert was_run(table, [make_record(seed=1)]).sum() == 0


HEADER = ",".join([*COLUMNS, "retrained_1", "retrained_2", "retrained_3"])
GOOD = "mnist,0,vaex,0.0,flip_rate,1000,w,0.9,0.9,0.91,0.92"


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "# only words\n",
        "a,b\n1,2\n",
        "task,method\n",
        '"',
        "\x00\x01",
        HEADER + "\n",
        f"{HEADER}\n{GOOD.replace('0.91', 'NaN')}\n",
        f"{HEADER}\n{GOOD.replace('0.91', 'NA')}\n",
        f"{HEADER}\n{GOOD.replace('0.91', 'inf')}\n",
        f"{HEADER}\n{GOOD.replace('0.91', '')}\n",
        f"{HEADER}\n{GOOD.replace('0.0,', 'x,')}\n",
        f"{HEADER}\n{GOOD.replace('flip_rate', 'flop_rate')}\n",
        f"{HEADER}\n{GOOD.replace('1000', 'many')}\n",
        f"{HEADER}\n{GOOD.replace('1000', '-3')}\n",
        f"{HEADER}\n{GOOD.replace('1000', '99.5')}\n",
        f"{HEADER}\n{GOOD.replace('mnist,0', 'mnist,0.5')}\n",
        f"{HEADER}\n{GOOD.replace('0.91', '7')}\n",
        f"{HEADER}\n{GOOD.replace('0.0,', '5,')}\n",
        f"{HEADER}\n{GOOD}\n{GOOD}\n",
        f"{HEADER}\n{GOOD}\na,b,c\n",
        f"{HEADER.replace('retrained_2', 'other')}\n{GOOD}\n",
        f"{HEADER.removesuffix(',retrained_2,retrained_3')}\n{GOOD.removesuffix(',0.91,0.92')}\n",
        "task,method,seed,relaxation,metric,subset,value,low,high,n\nmnist,vaex,0,0,flip_rate,all,.9,.8,1,1000\n",
    ],
)
def test_no_baseline_is_refused(tmp_path, content):
    """A baseline that is missing, empty, of another form or with a number that is none is refused, in one line."""
    path = tmp_path / "baseline.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError) as error:
        read_baseline(path)
    assert str(path) in str(error.value)


def test_the_published_baseline_can_be_read():
    """The baseline that CI holds runs against is one, of every method that is listed."""
    table = read_baseline("results/baselines/default.csv")
    assert np.isfinite(table["value"]).all()
