"""One published number made again: the real command, and the verdicts on records that were changed."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
from importlib import import_module
from pathlib import Path

import pytest

from benchmark import plugins
from benchmark.cli import main
from benchmark.data.folder_config import FolderConfig
from benchmark.judges.spec import ClassifierSpec
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
    assert (found.equal, found.good, found.missing, found.added) == (True, True, 0, 0)
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
    """A metric that was added is said; published numbers that were not made again confirm nothing."""
    fewer = published.model_copy(update={"rows": [row for row in published.rows if row.metric != "mse"]})
    count = sum(row.metric == "mse" for row in published.rows)
    more, less = compare(fewer, published), compare(published, fewer)
    assert (more.good, more.missing, more.added) == (True, 0, count)
    assert "not compared" in more.text()
    assert (less.equal, less.good, less.missing, less.added) == (False, False, count, 0)
    assert less.text().startswith("not confirmed")
    assert not replace(less, same=False, held=True).good


def test_numbers_of_other_names_are_not_equal(published):
    """Where no number is in both records, nothing is equal."""
    other = published.model_copy(
        update={"rows": [row.model_copy(update={"metric": f"old_{row.metric}"}) for row in published.rows]}
    )
    found = compare(other, published)
    assert (found.equal, found.good, len(found.numbers)) == (False, False, 0)
    assert "not confirmed: 0 of" in found.text()


@pytest.mark.slow
def test_record_is_made_again(results, tmp_path):
    """A reference's record, made by the real command, is made again in another folder: equal, exit code 0."""
    run = ["run", "--preset", "smoke", "--methods", "null", "--limit", "20", "--results", str(results)]
    subprocess.run([sys.executable, "-m", "benchmark", *run], check=True, capture_output=True)
    (path,) = results.glob("runs/records/smoke/mnist/null/seed-0.json")
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


# -- code that a record names ------------------------------------------------------------------------------------------

EVIL = """
from pathlib import Path

Path(__file__).with_suffix(".ran").write_text("")
METHODS = {}
"""


@pytest.fixture
def evil(tmp_path, monkeypatch):
    """A file of code that leaves a mark where it is run, and a classifier; the folder of both is where one works."""
    (tmp_path / "evil.py").write_text(EVIL)
    (tmp_path / "net.onnx").write_bytes(b"")
    (tmp_path / "classes.txt").write_text("blue\nred\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "evil.ran"


@pytest.fixture
def whole(evil, make_record, make_row):
    """A record that fills every field by which it is made again: own pictures, own classifier, settings."""
    assert not evil.exists()
    spec = ClassifierSpec(source="net.onnx", output="probabilities", columns=(0, 1), classes_file=Path("classes.txt"))
    folder = FolderConfig(path=Path("colours"), size=(20, 16), resize="fit", channels=1, skip_broken=True).said()
    record = make_record(
        task="colours",
        method="nearest-unlike",
        preset="smoke",
        split="validation",
        limit=4,
        config={"layer": "pixels"},
        data={
            "classes": ["blue", "red"],
            "shape": [1, 16, 20],
            "folder": folder,
            "overrides": {"data": {"queries": 9}},
        },
        rows=[make_row("mse", 0.1)],
        timings=[],
    )
    config = spec.model_dump(mode="json")
    return record.model_copy(update={"classifier": record.classifier.model_copy(update={"config": config})})


@pytest.fixture
def told(monkeypatch):
    """The command that reproduce starts is read in this process, and its plugins and its classifier's code are run."""
    asked = []

    def run_records(*_, plugins: object = (), classifier=None, **__):
        asked.append((plugins, classifier))
        import_module("benchmark.plugins").load(plugins)
        if classifier is not None and classifier.runs_code:
            exec(classifier.code.read_text(), {"__file__": str(classifier.code)})
        return []

    def run(command, **_):
        monkeypatch.setattr(import_module("benchmark.cli.commands.run"), "run_records", run_records)
        with pytest.raises(SystemExit) as stopped:
            main(command[3:])
        return subprocess.CompletedProcess(command, int(stopped.value.code or 0))

    monkeypatch.setattr("benchmark.cli.commands.reproduce.subprocess.run", run)
    monkeypatch.setattr(plugins, "_files", [])
    return asked


def places(value, here=()):
    """Where text stands in a record: the way to each value and each key."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield (*here, key), True
            yield from places(part, (*here, key))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from places(part, (*here, number))
    elif isinstance(value, str):
        yield here, False


def injected(record, way, text, *, is_key):
    """The record with `text` in that place."""
    found = json.loads(json.dumps(record))
    holder = reduce(lambda part, step: part[step], way[:-1], found)
    if is_key:
        holder[text] = holder.pop(way[-1])
    else:
        holder[way[-1]] = text
    return found


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize(
    "text", ["--plugin {}", "--plugin={}", "{old} --plugin {}", "{old},--plugin,{}", "{}:build", "{}"]
)
def test_no_field_of_a_record_runs_code(cli, whole, evil, told, text, own):
    """Whatever any text of a record is turned into, keys too, no file of code is run unless the user trusts it."""
    record = whole.model_dump(mode="json") | ({} if own else {"classifier": None})
    for way, is_key in places(record):
        changed = injected(record, way, text.format("evil.py", old=way[-1] if is_key else "mnist"), is_key=is_key)
        Path("record.json").write_text(json.dumps(changed))
        outcome = cli("reproduce", "record.json", "--results", "again")
        assert outcome.code == 2, (way, outcome)
        assert "Traceback" not in outcome.err, way
        assert not evil.exists(), way
    assert told
    assert not any(files for files, _ in told)


@pytest.mark.parametrize(
    "data",
    [
        {"folder": 3},
        {"folder": ["--data"]},
        {"folder": {"--data": 3}},
        {"folder": {"--data": "mnist2", "--skip-broken": "--plugin=evil.py"}},
        {"folder": {"--resize": "fit"}},
        {"overrides": [1]},
        {"overrides": {"data": 1}},
        {"overrides": {"data": {"no_such": 1}}},
        {"overrides": {"no_such": {"queries": 1}}},
        {"shape": 3},
    ],
)
def test_settings_of_another_form_are_one_line(cli, whole, told, data):
    """Settings that no run has written are refused by a line, before anything is started or written."""
    Path("record.json").write_text(json.dumps(whole.model_dump(mode="json") | {"data": data, "task": "mnist"}))
    outcome = cli("reproduce", "record.json", "--results", "again")
    assert (outcome.code, len(outcome.complaints), told) == (2, 1, []), outcome.err
    assert not Path("again").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"task": "mnist --plugin evil.py"},
        {"data": {"folder": {"--plugin": "evil.py"}}},
        {"data": {"folder": {"--classifier": "evil.py:build"}}},
    ],
)
def test_records_start_nothing_of_their_own(shell, make_record, evil, change):
    """The real command refuses a record that was edited to name code, in one line."""
    path = evil.with_name("record.json")
    path.write_text(json.dumps(make_record("null", preset="smoke").model_dump(mode="json") | change))
    outcome = shell("reproduce", path, "--results", evil.with_name("again"))
    assert (outcome.code, len(outcome.complaints), evil.exists()) == (2, 1, False), outcome


def test_a_record_is_asked_as_it_was(cli, whole, told):
    """An ONNX file runs no Python, so that it needs no trust; pictures, settings and classifier are handed on."""
    Path("record.json").write_text(whole.model_dump_json())
    outcome = cli("reproduce", "record.json", "--results", "again")
    assert "could not be made again" in outcome.err
    ((files, classifier),) = told
    assert not files
    assert (classifier.source, classifier.output, classifier.columns) == ("net.onnx", "probabilities", (0, 1))


@pytest.mark.usefixtures("evil")
@pytest.mark.parametrize("change", [{"method": "mine"}, {"split": "given"}])
def test_answers_of_another_program_are_not_run(cli, make_record, told, change):
    """What `score` has kept is no method's, and the line says how it is scored again."""
    Path("record.json").write_text(json.dumps(make_record(preset="smoke").model_dump(mode="json") | change))
    outcome = cli("reproduce", "record.json", "--results", "again")
    assert (outcome.code, len(outcome.complaints), told) == (2, 1, [])
    assert "answers of another program" in outcome.err
    assert "benchmark score" in outcome.err
