"""What `export` writes can be answered by any program, and its answers stand beside the methods of a run."""

import csv
import importlib.util
import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from benchmark.jobs.protocol import Job, Protocol
from benchmark.jobs.work import Work
from benchmark.records.record import read
from benchmark.with_records import read_records
from metrics import METRICS

ANSWERED = "nearest-unlike"
TOLD = {"sample_oracle_features", "reconstructions", "reconstruction_classes", "reconstruction_oracle_features"}
TOLD |= {"null_edits", "answer_undone", "answer_draws", "answer_nudged"}
"""Evidence that only the method itself can give."""


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def exported(smoke, shell, tmp_path_factory):
    """The questions of the smoke run, and the answers that one method has on record."""
    folder = tmp_path_factory.mktemp("export") / "questions"
    done = shell("export", "--preset", "smoke", "--results", smoke, "--out", folder, "--methods", ANSWERED)
    assert (done.code, done.err) == (0, "")
    return folder


@pytest.fixture
def score(exported, results, cli):
    """The command on answers to the exported questions: (answers, options) -> Outcome."""

    def run(answers, *options, folder=exported):
        return cli("score", folder, answers, "--results", results, *options)

    return run


def record_of(results, method):
    return read(results / "runs" / "records" / "smoke" / "mnist" / method / "seed-0.json")


# -- what is exported --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_questions_are_those_of_a_run(exported, smoke):
    """Queries and targets are those that every method of a run was asked, in their order."""
    record = record_of(smoke, ANSWERED)
    targets = rows(exported / "targets.csv")
    assert len(targets) == record.data["queries"] == len(list((exported / "queries").iterdir()))
    answers = rows(exported / "answers" / f"{ANSWERED}.csv")
    at_0 = {row["name"]: row["target"] for row in answers if float(row["relaxation"]) == 0}
    assert {row["name"]: row["target"] for row in targets} == at_0


@pytest.mark.slow
def test_exported_code_builds_the_classifier(exported, smoke):
    """The exported Python file, which imports nothing of ours, gives the logits of the run's classifier."""
    code = (exported / "classifier.py").read_text()
    assert not any(f"{word} {package}" in code for word in ("import", "from") for package in ("benchmark", "methods"))
    spec = importlib.util.spec_from_file_location("exported", exported / "classifier.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    work = Work(Job("mnist", ANSWERED, 0), Protocol(smoke, preset="smoke"))
    images = work.question.queries.batch(slice(0, 20))
    assert torch.allclose(module.build()(images), work.classifier.network()(images), atol=1e-5)
    assert module.classes() == list(work.question.data.class_names)


@pytest.mark.slow
def test_onnx_is_the_same_network(exported):
    """The ONNX file answers what the Python file answers, for any number of pictures."""
    runtime = pytest.importorskip("onnxruntime")
    spec = importlib.util.spec_from_file_location("exported", exported / "classifier.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    session = runtime.InferenceSession(str(exported / "classifier.onnx"))
    for count in (1, 7):
        pixels = np.stack([np.asarray(Image.open(exported / "queries" / f"{k:04d}.png")) for k in range(count)])
        images = (pixels[:, None] / 255).astype(np.float32)
        (logits,) = session.run(None, {"images": images})
        assert np.allclose(logits, module.build()(torch.from_numpy(images)).numpy(), atol=1e-4)


@pytest.mark.slow
def test_a_folder_with_something_in_it_is_refused(cli, smoke, tmp_path):
    """Nothing is written over."""
    (tmp_path / "mine.txt").touch()
    done = cli("export", "--preset", "smoke", "--results", smoke, "--out", tmp_path)
    assert (done.code, [path.name for path in tmp_path.iterdir()]) == (2, ["mine.txt"])
    assert "not empty" in done.err


# -- what is answered --------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("error:.*not writable")
def test_exported_answers_have_the_numbers_of_the_run(score, exported, results):
    """A method's answers, exported and scored under another name, have its numbers, and differ from it in nothing."""
    outcome = score(exported / "answers" / ANSWERED, "--name", "again")
    assert (outcome.code, outcome.err) == (0, "")
    told = {name for name, metric in METRICS.items() if TOLD & set(metric.needs)} | {"classifier_calls"}
    own, other = (
        [row for row in record_of(results, name).rows if row.metric not in told] for name in (ANSWERED, "again")
    )
    assert own == other
    table = pd.read_csv(results / "outside" / "mnist" / "again" / "seed-0" / "pictures.csv", dtype=str)
    assert table.equals(pd.read_csv(exported / "answers" / f"{ANSWERED}.csv", dtype=str))


def test_scored_answers_stand_beside_the_methods(score, exported, results, cli):
    """Answers on record are in tables and picture, and are compared with a method, query by query, with a p."""
    assert score(exported / "answers" / ANSWERED / "r=0", "--name", "mine").code == 0
    compared = cli("compare", "mine", "null", "--preset", "smoke", "--results", results, "--tasks", "mnist")
    assert (compared.code, compared.err) == (0, "")
    assert "oracle_agreement" in compared.out
    assert cli("report", "--preset", "smoke", "--results", results).code == 0
    assert "| mine " in (results / "tables" / "summary.md").read_text()
    assert "mine" in {record.method for record in read_records(results, "smoke", "all", "all", "all")}


def test_queries_without_an_answer_are_failures(score, exported, results, tmp_path):
    """What is not answered is named in a csv and fails in every rate, whose n stays."""
    answers = shutil.copytree(exported / "answers" / ANSWERED / "r=0", tmp_path / "answers")
    flips = {row.metric: row for row in record_of(results, ANSWERED).rows if row.relaxation == 0}["flip_rate"]
    gone = sorted(path.stem for path in answers.iterdir())[::2]
    for name in gone:
        (answers / f"{name}.png").unlink()
    assert score(answers, "--name", "half").code == 0
    folder = results / "outside" / "mnist" / "half" / "seed-0"
    assert [row["name"] for row in rows(folder / "unanswered.csv")] == gone
    table = pd.read_csv(folder / "pictures.csv", dtype={"name": str})
    assert table[table["name"].isin(gone)][["predicted", "oracle", "l1"]].isna().all(axis=None)
    found = {(row.metric, row.subset): row for row in record_of(results, "half").rows}["flip_rate", "all"]
    assert found.n == flips.n
    assert found.value * found.n == pytest.approx(table["flipped"].sum())
    assert found.value < flips.value
    assert any(f"{len(gone)} of {flips.n} answers are missing" in text for text in record_of(results, "half").remarks)


@pytest.mark.parametrize(
    ("options", "change", "words"),
    [
        (("--name", "vaex"), None, ("'vaex'", "--name")),
        (("--name", "a/b"), None, ("--name",)),
        (("--task", "mnist"), None, ("DIR and ANSWERS",)),
        (("--seed", "3"), None, ("leave --seed out",)),
        (("--preset", "paper"), None, ("leave --preset out",)),
        ((), {"classifier": "other"}, ("another classifier",)),
        ((), {"extra": 1}, ("benchmark export",)),
    ],
)
def test_mistakes_are_one_line(score, exported, tmp_path, options, change, words):
    """What cannot be scored is one line that says what to do."""
    folder = tmp_path / "questions"
    folder.mkdir()
    facts = json.loads((exported / "benchmark.json").read_text()) | (change or {})
    (folder / "benchmark.json").write_text(json.dumps(facts))
    outcome = score(exported / "answers" / ANSWERED, *options, folder=folder)
    assert (outcome.code, len(outcome.complaints)) == (2, 1), outcome
    assert all(word in outcome.err for word in words)


@pytest.fixture
def copied(exported, tmp_path):
    """The exported questions, free to break."""
    return shutil.copytree(exported, tmp_path / "copied")


def edit_target(folder):
    lines = (folder / "targets.csv").read_text().splitlines()
    name, target = lines[1].split(",")
    (folder / "targets.csv").write_text("\n".join([lines[0], f"{name},{(int(target) + 1) % 10}", *lines[2:]]))


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (edit_target, "targets.csv names other targets"),
        (lambda folder: (folder / "targets.csv").unlink(), "targets.csv is gone"),
        (lambda folder: (folder / "queries" / "0003.png").unlink(), "0003.png is gone"),
        (
            lambda folder: shutil.copy(folder / "queries" / "0001.png", folder / "queries" / "0002.png"),
            "0002.png is gone",
        ),
    ],
)
def test_edited_questions_are_refused(score, exported, copied, results, harm, told):
    """Answers to other questions than a run was asked are no answers of it: one line, and no record."""
    harm(copied)
    outcome = score(exported / "answers" / ANSWERED, "--name", "edited", folder=copied)
    assert (outcome.code, len(outcome.complaints)) == (2, 1)
    assert told in outcome.err
    assert record_of(results, "edited") is None


def test_questions_about_own_pictures(score, exported, copied):
    """Who leaves out the pictures that an export was about hears what to say again."""
    facts = json.loads((copied / "benchmark.json").read_text()) | {"task": "shapes"}
    (copied / "benchmark.json").write_text(json.dumps(facts))
    outcome = score(exported / "answers" / ANSWERED, folder=copied)
    assert (outcome.code, len(outcome.complaints)) == (2, 1)
    assert "asks about pictures of yours, 'shapes': say --data and --classifier as at export" in outcome.err


def test_an_answer_to_no_query_is_refused(score, exported, tmp_path):
    """A picture whose name is no query's is refused by its name."""
    answers = shutil.copytree(exported / "answers" / ANSWERED / "r=0", tmp_path / "answers")
    (answers / "0000.png").rename(answers / "first.png")
    outcome = score(answers)
    assert outcome.code == 2
    assert "'first'" in outcome.err
