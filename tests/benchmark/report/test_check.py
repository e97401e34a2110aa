import numpy as np
import pandas as pd
import pytest

from benchmark.errors import UserError
from benchmark.report.baseline import COLUMNS, KEY, values_of
from benchmark.report.check import findings_of, findings_text, would_see

METHODS = ("vaex", "hybrid", "dvae", "gan-search")
CENTRES = {0.0: 0.99, 0.4: 0.7, 0.8: 0.2}


def trained(rng, count, spread=0.01):
    """Trainings of all methods: a row a number, a column each training."""
    rows = []
    for method in METHODS:
        for r, centre in CENTRES.items():
            angles = np.arcsin(centre**0.5) + rng.normal(0, spread, count)
            rows.append(("mnist", 0, method, r, "flip_rate", 1000, "w", *np.sin(angles) ** 2))
        rows.append(("mnist", 0, method, np.nan, "mse", 1000, "w", *0.003 * np.exp(rng.normal(0, 0.03, count))))
    columns = [*COLUMNS, *(f"retrained_{place}" for place in range(1, count))]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture
def baseline(rng):
    """A baseline of seven trainings."""
    return trained(rng, 7)


def run_of(baseline, column="value", weights="other"):
    """A run whose numbers are those of one of the baseline's columns."""
    keys = baseline[[*KEY, "n"]]
    return keys.assign(value=baseline[column], weights=weights, subset="all")


def moved(run, by, where):
    """A run in which the numbers at `where` are `by` higher, or `by` times as high if that is text."""
    value = run["value"] * float(by) if isinstance(by, str) else run["value"] + by
    return run.assign(value=run["value"].mask(where, value))


def test_the_same_networks_repeat_their_numbers(baseline):
    """The run that the baseline was written from holds, and is told to come from the same networks."""
    found = findings_of(run_of(baseline, weights="w"), baseline)
    assert found.holds
    assert found.numbers["same"].all()
    assert "16 of 16 numbers hold; 16 come from the baseline's own networks" in findings_text(found, baseline)


def test_the_same_networks_have_no_tolerance(baseline):
    """One query of a thousand more is a movement where the networks are the same, and none where they are not."""
    one = baseline.index == 1
    assert findings_of(moved(run_of(baseline, weights="w"), 0.001, one), baseline).moved.index.tolist() == [1]
    assert findings_of(moved(run_of(baseline), 0.001, one), baseline).holds


def test_order_does_not_matter(baseline):
    """Rows are found by what they are, not by where they stand."""
    assert findings_of(run_of(baseline, weights="w").iloc[::-1], baseline).holds


def test_lost_number_has_moved(baseline):
    """A number of the baseline that is not there any more has moved, with or without a relaxation."""
    run = run_of(baseline)
    for lost in (run["relaxation"] == 0.4, run["metric"] == "mse"):
        found = findings_of(run[~lost], baseline)
        assert found.moved.index.tolist() == run.index[lost].tolist()
        assert not found.holds


def test_undefined_number_has_moved(baseline):
    """A number that is not defined any more has moved."""
    run = run_of(baseline)
    assert findings_of(run.assign(value=run["value"].mask(run.index == 2)), baseline).moved.index.tolist() == [2]


def test_new_numbers_are_not_compared(baseline):
    """What the baseline does not hold is new, and moves nothing; nor does what rests on the flipped queries."""
    run = run_of(baseline)
    more = [run, run.assign(method="novel"), run.assign(seed=1), run.assign(subset="flipped", value=9.0)]
    assert findings_of(pd.concat(more), baseline).holds


def test_other_queries_are_refused(baseline):
    """A partial run is not held against a whole one."""
    with pytest.raises(UserError, match="50 queries, the baseline on 1000"):
        findings_of(run_of(baseline).assign(n=50), baseline)


def test_retraining_alone_seldom_alarms(rng):
    """Of networks that were only trained anew one in a hundred is found to have moved, whatever the spreads are."""
    alarms = 0
    for _ in range(100):
        drawn = trained(rng, 8, spread=rng.choice([0.003, 0.03]))
        alarms += not findings_of(run_of(drawn, "retrained_7"), drawn.drop(columns="retrained_7")).holds
    assert alarms <= 4


def test_one_flip_rate_that_falls_is_seen(rng):
    """8 points of one flip rate are seen, and 2 points of one near 100 %, where retraining moves it by a point."""
    found = []
    for _ in range(10):
        drawn = trained(rng, 8)
        baseline, run = drawn.drop(columns="retrained_7"), run_of(drawn, "retrained_7")
        for r, by in ((0.0, -0.02), (0.4, -0.08), (0.8, -0.08)):
            fallen = moved(run, by, (run["method"] == "dvae") & (run["relaxation"] == r))
            found.append(not findings_of(fallen, baseline).holds)
    assert np.mean(found) >= 0.8


def test_what_shifts_everywhere_a_little_is_seen(rng):
    """All flip rates 3 points lower are seen together, where half of them are not seen by themselves."""
    drawn = trained(rng, 8, spread=0.02)
    baseline, run = drawn.drop(columns="retrained_7"), run_of(drawn, "retrained_7")
    found = findings_of(moved(run, -0.03, run["metric"] == "flip_rate"), baseline)
    assert not found.together.set_index("metric")["holds"]["flip_rate"]
    assert found.together.set_index("metric")["holds"]["mse"]
    assert (found.numbers["metric"] == "flip_rate").sum() > 2 * len(found.moved)
    assert "shifted together" in findings_text(found, baseline)


@pytest.mark.parametrize("metric", ["flip_rate", "mse"])
def test_a_change_that_would_be_seen_is(baseline, metric):
    """A number that is off by what is said to be seen is found, either metric, each number."""
    changes = would_see(baseline)
    for place in baseline.index[baseline["metric"] == metric]:
        change, value = changes["change"][place], changes["value"][place]
        now = value * change if metric == "mse" else value + change
        run = run_of(baseline)
        found = findings_of(run.assign(value=run["value"].mask(run.index == place, now)), baseline)
        assert found.moved.index.tolist() == [place]


def test_more_retrainings_see_more(rng):
    """The more retrainings a baseline has, the smaller a change is seen."""
    drawn = trained(rng, 30)
    few, many = (would_see(drawn[[*COLUMNS, *values_of(drawn)[1:count]]]) for count in (4, 30))
    assert many["change"][:3].abs().mean() < few["change"][:3].abs().mean()


def test_verdict_names_what_moved(baseline):
    """A verdict counts the numbers, names the one that moved, and says what would be seen of each method."""
    run = run_of(baseline)
    found = findings_of(moved(run, -0.3, run.index == 1), baseline)
    text = findings_text(found, baseline)
    assert "mnist, seed 0: 15 of 16 numbers hold" in text
    assert all(method in text for method in METHODS)
    assert "moved:" in text
