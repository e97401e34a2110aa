"""`--data`: a user's own folder of pictures, through the command line and Python."""

import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import benchmark
from benchmark.records.record import read

SMOKE = ("run", "--preset", "smoke", "--jobs", "1")
METHODS = ("null", "nearest-unlike", "hybrid")


def draw(folder, count=24, size=(24, 18)):
    """Coloured squares on dark noise, whose place from left to right is the class, a sixth of them twice."""
    random = np.random.default_rng(0)
    for place, name in enumerate(("left side", "right side")):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(0, 60, (size[1], size[0], 3), dtype=np.uint8)
            top, left = random.integers(0, size[1] - 8), place * 13 + random.integers(0, 3)
            pixels[top : top + 8, left : left + 8] += random.integers(90, 190, 3, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number:02d}.png")
            if number % 6 == 0:
                shutil.copy(folder / name / f"{number:02d}.png", folder / name / f"{number:02d} copy.png")
    return folder


@pytest.fixture(scope="session")
def original(worker_folder):
    folder = worker_folder / "squares"
    return folder if folder.exists() else draw(folder)


@pytest.fixture
def squares(original, tmp_path):
    """A folder of two classes, free to break."""
    return shutil.copytree(original, tmp_path / "squares")


@pytest.fixture(scope="session")
def run_of(original, shell, worker_folder):
    """The results of one real run on a folder; not to be written to."""
    results = worker_folder / "of-a-folder"
    if not (results / "metrics.csv").exists():
        outcome = shell(*SMOKE, "--data", original, "--methods", ",".join(METHODS), "--results", results)
        assert outcome.code == 0, outcome.err
        (results / "answered").write_text(outcome.out)
    return results


def refusal(outcome):
    """The one line that a mistake is answered with."""
    assert outcome.code == 2, outcome
    (line,) = outcome.complaints
    return line.removeprefix("error: ")


@pytest.mark.slow
def test_a_run_on_a_folder(run_of):
    """All methods are asked about a task of the folder's name; its remarks stand in records and under the tables."""
    numbers = pd.read_csv(run_of / "metrics.csv", keep_default_na=False)  # a method is called null
    assert set(numbers["task"]) == {"squares"}
    assert set(numbers["method"]) == set(METHODS)
    record = read(run_of / "runs" / "records" / "smoke" / "squares" / "hybrid" / "seed-0.json")
    assert record.data["classes"] == ["left side", "right side"]
    assert record.data["shape"] == [3, 18, 24]
    remarks = record.data["remarks"]
    assert any(remark.startswith("8 pictures identical") for remark in remarks)
    summary = (run_of / "tables" / "summary.md").read_text()
    answered = (run_of / "answered").read_text().splitlines()
    assert all(f"squares: {remark}" in summary and f"squares: {remark}" in answered for remark in remarks)


@pytest.mark.slow
def test_a_moved_folder_moves_no_number(run_of, squares, shell, tmp_path):
    """The records of a folder hold wherever it lies: nothing is computed again."""
    results = shutil.copytree(run_of, tmp_path / "results")
    before = {path: path.read_bytes() for path in (results / "runs" / "records").rglob("*.json")}
    artefacts = sorted((results / "runs" / "artefacts").iterdir())
    (squares / "left side" / "00.png").touch()
    outcome = shell(*SMOKE, "--data", squares, "--methods", ",".join(METHODS), "--results", results)
    assert outcome.code == 0, outcome.err
    assert {path: path.read_bytes() for path in (results / "runs" / "records").rglob("*.json")} == before
    assert sorted((results / "runs" / "artefacts").iterdir()) == artefacts


@pytest.mark.slow
def test_commands_that_read_know_the_task(run_of, cli):
    """What only reads records takes the folder's name without the folder, and refuses one that nobody ran."""
    at = ("--preset", "smoke", "--results", run_of)
    assert cli("show", "hybrid", "--task", "squares", *at).code == 0
    assert cli("table", "--methods", "hybrid", "--metrics", "flip_rate", "--tasks", "squares", *at).code == 0
    assert cli("compare", "hybrid", "nearest-unlike", "--tasks", "squares", *at).code == 0
    assert "did you mean 'squares'" in refusal(cli("show", "hybrid", "--task", "squarse", *at))


@pytest.mark.slow
def test_from_python(run_of, original):
    """`fit` takes up what a run has fitted, `run` what it has found."""
    explainer = benchmark.fit("hybrid", data=original, preset="smoke", results=run_of)
    assert explainer.classes == ("left side", "right side")
    answers = explainer.explain(explainer.queries(2), target="left side")
    assert answers.shape == (1, 2, 3, 18, 24)
    numbers = benchmark.run("null", "squares", "smoke", data=original, results=run_of)
    assert set(numbers["task"]) == {"squares"}


@pytest.mark.slow
def test_scoring_answers_to_a_folder(run_of, original, tmp_path):
    """Answers of another program to the user's own pictures are judged by the networks that a run has trained."""
    for name, label in (("queries", "left side"), ("answers", "right side")):
        (tmp_path / name).mkdir()
        for number in range(1, 6):
            shutil.copy(original / label / f"{number:02d}.png", tmp_path / name)
    results = shutil.copytree(run_of, tmp_path / "results")
    numbers = benchmark.score(
        tmp_path / "queries", tmp_path / "answers", data=original, preset="smoke", results=results
    ).set_index("metric")
    assert set(numbers["task"]) == {"squares"}
    assert numbers.loc["flip_rate", "n"].max() == 5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--image-size", "8"), "--image-size takes pixels from 16"),
        (("--channels", "2"), "--channels takes 1 (grey) or 3 (colour), not 2"),
        (("--tasks", "squares/left side-up"), "does not name two classes"),
        (("--tasks", "sqaures"), "did you mean 'squares'"),
    ],
)
def test_mistakes_are_refused(cli, squares, tmp_path, options, words):
    """Each is one line and exit code 2, before anything is written but the cache."""
    outcome = cli(*SMOKE, "--data", squares, "--results", tmp_path / "results", *options)
    assert words in refusal(outcome)
    assert not (tmp_path / "results" / "runs" / "records").exists()


def test_broken_pictures_are_refused(cli, squares, tmp_path):
    """All of them in one line, before any training."""
    for name in ("a.png", "b.jpg"):
        (squares / "left side" / name).write_bytes(b"no picture")
    line = refusal(cli(*SMOKE, "--data", squares, "--results", tmp_path / "results"))
    assert line.startswith("2 broken pictures")
    assert "--skip-broken" in line


def test_settings_without_a_folder_are_refused(cli, tmp_path):
    """They would be silently ignored."""
    assert "--data" in refusal(cli(*SMOKE, "--image-size", "64", "--results", tmp_path))


def test_one_class_is_refused(cli, squares, tmp_path):
    """Before any training."""
    shutil.rmtree(squares / "right side")
    assert "one class only" in refusal(cli(*SMOKE, "--data", squares, "--results", tmp_path / "results"))


def test_score_needs_a_task_or_a_folder(cli, squares, tmp_path):
    """Without either nobody knows who judges; with the folder, pictures of another size are refused."""
    picture = Image.new("RGB", (9, 9))
    (tmp_path / "some").mkdir()
    picture.save(tmp_path / "some" / "a.png")
    arguments = ("score", "--queries", tmp_path / "some", "--counterfactuals", tmp_path / "some")
    asked = (*arguments, "--results", tmp_path / "results", "--preset", "smoke")
    assert "--task says whose" in refusal(cli(*asked))
    assert "24 × 18 pixels and 3 channel(s)" in refusal(cli(*asked, "--data", squares))


@pytest.mark.slow
def test_attributes_are_screened(squares, cli, tmp_path):
    """Attributes of labels.csv: methods that take them are asked, and page and table say which move with flips.

    Brightness goes with the class in the data, but an attribute that is drawn by lot has no oracle, and is dropped.
    """
    random, lines = np.random.default_rng(1), ["file,label,bright,lot"]
    for path in sorted(squares.rglob("*.png")):
        bright = int((path.parent.name == "right side") == (random.random() < 0.8))
        pixels = np.asarray(Image.open(path)) // 2 + 120 * bright
        Image.fromarray(pixels.astype(np.uint8)).save(path)
        lines.append(f"{path.relative_to(squares)},{path.parent.name},{bright},{random.integers(2)}")
    (squares / "labels.csv").write_text("\n".join(lines))
    asked = ("--set", "attributes.min_steps=100", "--results", tmp_path / "results", "--limit", "8")
    outcome = cli(*SMOKE, "--data", squares, "--methods", "nearest-unlike,attribute-search", *asked)
    assert outcome.code == 0, outcome.err
    records = tmp_path / "results" / "runs" / "records" / "smoke" / "squares"
    changes = read(records / "nearest-unlike" / "seed-0.json").studies["attributes"]
    assert [row["attribute"] for row in changes.rows] == ["bright"]
    assert any("lot" in note for note in changes.notes)
    (row,) = read(records / "nearest-unlike" / "seed-0.json").studies["attribute-screen"].rows
    assert (row["attribute"], row["towards"]) == ("bright", "right side")
    assert 0.4 < row["in the data"] < 0.8
    assert "Which attributes change with flips" in (tmp_path / "results" / "report.html").read_text()
    assert (records / "attribute-search" / "seed-0.json").exists()
