"""One published number made again: the real command, and the verdicts on records that were changed."""

import json
import subprocess
import sys

import pytest

from benchmark.records.record import read, write
from benchmark.report.baseline import baseline_of, with_weights
from benchmark.report.reproduced import compare

HELD = {"vaex": {"every_r": ["flip_rate"], "once": ["mse"]}}


@pytest.fixture
def published(smoke):
    return read(smoke / "runs" / "records" / "smoke" / "mnist" / "vaex" / "seed-0.json")


def moved(record, by, weights=None):
    rows = [row.model_copy(update={"value": row.value and min(1.0, row.value + by)}) for row in record.rows]
    return record.model_copy(update={"rows": rows, "weights": weights or record.weights})


def test_the_same_record_is_equal(published):
    """A record against itself: equal, whatever the baseline."""
    found = compare(published, published)
    assert (found.equal, found.good, found.only) == (True, True, 0)
    assert found.text().startswith("equal:")


def test_same_networks_with_other_numbers_are_not_equal(published):
    """The same networks must give the same numbers."""
    found = compare(published, moved(published, 1e-6))
    assert not found.good
    assert "though the trained networks are the same" in found.text()


def test_networks_trained_anew(published):
    """Other networks may differ as far as the baseline's retrainings do, and not by more; without one nobody knows."""
    run = with_weights([published])
    retrained = [run.assign(value=(run["value"] + by).clip(0, 1), weights=str(by)) for by in (0.01, -0.01, 0.02)]
    baseline = baseline_of([run, *retrained], HELD)
    near, far = moved(published, 0.005, "other"), moved(published, 0.6, "other")
    assert compare(published, near, baseline).text().startswith("equal within retraining")
    assert not compare(published, far, baseline).good
    assert "No baseline says" in compare(published, near).text()
    assert "No baseline says" in compare(published, near, baseline.assign(seed=1)).text()


def test_numbers_that_one_lacks_are_counted(published):
    """A metric of another version is not compared, and said."""
    fewer = published.model_copy(update={"rows": [row for row in published.rows if row.metric != "mse"]})
    found = compare(published, fewer)
    assert found.equal
    assert found.only == sum(row.metric == "mse" for row in published.rows)
    assert "not compared" in found.text()


@pytest.mark.slow
def test_record_is_made_again(tmp_path):
    """A reference's record, made by the real command, is made again in another folder: equal, exit code 0."""
    run = ["run", "--preset", "smoke", "--methods", "null", "--limit", "20", "--results", str(tmp_path / "first")]
    subprocess.run([sys.executable, "-m", "benchmark", *run], check=True, capture_output=True)
    (path,) = (tmp_path / "first").glob("runs/records/smoke/mnist/null/seed-0.json")
    again = [sys.executable, "-m", "benchmark", "reproduce", str(path), "--results", str(tmp_path / "again")]
    done = subprocess.run(again, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "equal: all" in done.stdout
    assert "--limit 20" in done.stdout


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"plugins": ["theirs.py"]}, "--trust-code"),
        ({"status": "failed", "reason": "it diverged"}, "it diverged"),
        ({"strange": 1}, "no record that this version can read"),
    ],
)
def test_what_cannot_be_made_again_is_one_line(cli, published, tmp_path, change, message):
    """Code that a record names is not run unasked; failures and other files are refused."""
    path = tmp_path / "record.json"
    path.write_text(json.dumps(published.model_dump(mode="json") | change))
    outcome = cli("reproduce", path, "--results", tmp_path / "again")
    assert (outcome.code, outcome.out, len(outcome.complaints)) == (2, "", 1)
    assert message in outcome.err
    assert not (tmp_path / "again").exists()


def test_record_is_not_compared_with_itself(cli, published, tmp_path):
    """In its own folder a record would be found on disk."""
    path = tmp_path / "runs" / "records" / "smoke" / "mnist" / "vaex" / "seed-0.json"
    write(published, path)
    outcome = cli("reproduce", path, "--results", tmp_path)
    assert (outcome.code, len(outcome.complaints)) == (2, 1)
    assert "another --results" in outcome.err
