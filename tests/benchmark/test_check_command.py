import pandas as pd
import pytest

from benchmark.records.record import read
from benchmark.report.baseline import baseline_of, with_weights

HELD = {"vaex": {"every_r": ["flip_rate", "oracle_agreement"], "once": ["mse"]}, "null": {"every_r": ["flip_rate"]}}


@pytest.fixture
def baseline(smoke):
    """A baseline of the smoke run, and of three retrainings of it that were thought up."""
    records = [read(path) for path in (smoke / "runs" / "records" / "smoke").glob("*/*/seed-*.json")]
    run = with_weights(records)
    retrained = [run.assign(value=(run["value"] + by).clip(0, 1), weights=str(by)) for by in (0.01, -0.01, 0.02)]
    return baseline_of([run, *retrained], HELD)


@pytest.fixture
def check(cli, results, baseline, tmp_path):
    """`benchmark check` of the smoke run against a baseline, by default its own: arguments -> Outcome."""

    def run(*arguments, against=baseline):
        against.to_csv(tmp_path / "baseline.csv", index=False)
        return cli(
            "check", "--preset", "smoke", "--results", results, "--baseline", tmp_path / "baseline.csv", *arguments
        )

    return run


def test_run_repeats_its_own_numbers(check, baseline):
    """A run holds against the baseline that was written from it: exit code 0, and all numbers equal."""
    outcome = check()
    assert (outcome.code, outcome.err) == (0, "")
    assert f"mnist, seed 0: {len(baseline)} of {len(baseline)} numbers hold; {len(baseline)} come from" in outcome.out


def test_number_that_moved_is_named(check, baseline):
    """The same networks with another number are exit code 1, and a line that names the number."""
    outcome = check(against=baseline.assign(value=baseline["value"] + (baseline["metric"] == "mse") * 1e-6))
    assert outcome.code == 1
    assert f"{len(baseline) - 1} of {len(baseline)} numbers hold" in outcome.out
    assert [line for line in outcome.out.splitlines() if "| vaex" in line and "| mse" in line]


def test_networks_trained_anew_may_differ(check, baseline):
    """Other networks may differ as retraining does: exit code 0, and a table of what would be seen."""
    outcome = check(against=baseline.assign(weights="other"))
    assert outcome.code == 0
    assert f"{len(baseline)} from networks trained anew" in outcome.out
    assert "seen in 4 of 5" in outcome.out


def test_what_nobody_ran_is_named(check, baseline):
    """A job of the baseline that nobody ran is named and not held; asked for by name, its numbers are missing."""
    more = pd.concat([baseline, baseline.assign(task="mnist/3-8")], ignore_index=True)
    outcome = check(against=more)
    assert outcome.code == 0
    assert "nobody ran it: vaex on mnist/3-8, seed 0, null on mnist/3-8, seed 0" in outcome.out
    assert check("--tasks", "mnist,mnist/3-8", against=more).code == 1


def test_what_the_baseline_lacks_is_named(check):
    """What is asked for by name and the baseline does not hold is named."""
    assert "no such method: nearest-unlike" in check("--methods", "vaex,null,nearest-unlike").out
    assert "no such seed: 1" in check("--seeds", "0,1").out


def test_baseline_of_something_else_is_refused(check, baseline):
    """Nothing to hold is no success: exit code 2 and one line."""
    outcome = check(against=baseline.assign(task="mnist/3-8"))
    assert outcome.code == 2
    assert len(outcome.complaints) == 1
    assert "holds nothing of what was run" in outcome.err


def test_partial_run_is_refused(check, baseline):
    """Numbers of other queries are not compared: exit code 2 and one line."""
    outcome = check(against=baseline.assign(n=1000))
    assert outcome.code == 2
    assert len(outcome.complaints) == 1
    assert "--limit" in outcome.err


@pytest.mark.parametrize("content", [None, "", "a,b\n1,2\n"])
def test_no_baseline_is_refused(cli, results, tmp_path, content):
    """A baseline that is not there or none is refused by name: exit code 2, not the 1 of moved numbers."""
    path = tmp_path / "other.csv"
    if content is not None:
        path.write_text(content)
    outcome = cli("check", "--preset", "smoke", "--results", results, "--baseline", path)
    assert (outcome.code, len(outcome.complaints)) == (2, 1)
    assert str(path) in outcome.err


def test_preset_without_a_baseline_is_named(cli, results):
    """Where only the preset lacks a baseline, the line names the preset."""
    outcome = cli("check", "--preset", "smoke", "--results", results)
    assert (outcome.code, len(outcome.complaints)) == (2, 1)
    assert "preset smoke" in outcome.err


def test_without_records_is_refused(cli, baseline, tmp_path):
    """A check of nothing is refused: nothing having moved would be a false comfort."""
    baseline.to_csv(tmp_path / "baseline.csv", index=False)
    outcome = cli("check", "--results", tmp_path / "none", "--baseline", tmp_path / "baseline.csv")
    assert (outcome.code, len(outcome.complaints)) == (2, 1)
    assert "benchmark run" in outcome.err
