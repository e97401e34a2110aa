import importlib.util
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import benchmark
from benchmark import UserError
from benchmark.records.record import read
from benchmark.records.store import find
from benchmark.report.cells import COLUMNS

README = Path(__file__).parents[2] / "README.md"


def written(folder, methods=None):
    """The rows of metrics.csv, in its order."""
    numbers = pd.read_csv(folder / "metrics.csv", keep_default_na=False, na_values=[""])
    return numbers if methods is None else numbers[numbers["method"].isin(methods)].reset_index(drop=True)


def same(numbers, expected):
    pd.testing.assert_frame_equal(numbers.reset_index(drop=True), expected, check_exact=True, check_dtype=False)


@pytest.fixture(scope="session")
def kept(smoke):
    """What the run answered with vaex: tensors by name."""
    record = read(smoke / "runs" / "records" / "smoke" / "mnist" / "vaex" / "seed-0.json")
    return record.relaxations, find(smoke / "runs", record.artefacts["explain"])[0]


@pytest.fixture
def explainer(results):
    return benchmark.fit("vaex", preset="smoke", results=results)


# -- numbers -----------------------------------------------------------------------------------------------------------


def test_run_gives_the_numbers_of_the_command(results, stamps):
    """A run from Python gives the command's numbers to the last digit, and makes nothing again that is there."""
    before = stamps(results / "runs" / "artefacts")
    numbers = benchmark.run("null,vaex", preset="smoke", jobs=1, results=results)
    assert list(numbers) == COLUMNS
    same(numbers, written(results, {"vaex", "null"}))
    same(benchmark.run(["vaex", "null"], ["mnist"], "smoke", [0], jobs=1, results=str(results)), numbers)
    assert stamps(results / "runs" / "artefacts") == before


def test_read_gives_what_is_on_disk(smoke):
    """The records of a run hold the numbers of its metrics.csv."""
    same(benchmark.read(smoke, "smoke"), written(smoke))
    same(benchmark.read(smoke, "smoke", methods="dvae", seeds=0), written(smoke, {"dvae"}))


def test_failed_job_is_named(results, caplog):
    """A job that fails has no row and is named in a warning; if all fail there is no frame."""
    diverge = {"preset": "smoke", "jobs": 1, "results": results, "settings": ["vaex.learning_rate=1e30"]}
    numbers = benchmark.run("vaex,null", **diverge)
    assert set(numbers["method"]) == {"null"}
    assert "vaex on mnist, seed 0" in caplog.text
    with pytest.raises(UserError, match=r"vaex on mnist, seed 0: .*learning_rate"):
        benchmark.run("vaex", **diverge)


def test_score_of_a_runs_own_pictures(smoke, kept, tmp_path):
    """The answers of a run, handed in as arrays, have the run's numbers."""
    relaxations, tensors = kept
    np.save(tmp_path / "queries.npy", tensors["queries"].numpy())
    answers = tmp_path / "answers"
    answers.mkdir()
    for r, images in zip(relaxations, tensors["images"], strict=True):
        np.save(answers / f"r={r:g}.npy", images.numpy())
    targets = [f"{place},{target}" for place, target in enumerate(tensors["targets"])]
    (tmp_path / "targets.csv").write_text("\n".join(["name,target", *targets]) + "\n")
    numbers = benchmark.score(
        tmp_path / "queries.npy", answers, "mnist", tmp_path / "targets.csv", name="mine", preset="smoke", results=smoke
    )
    assert set(numbers["method"]) == {"mine"}
    expected = written(smoke, {"vaex"})
    for metric in ("flip_rate", "oracle_agreement", "l1"):
        mine, runs = (part[(part["metric"] == metric) & (part["subset"] == "all")] for part in (numbers, expected))
        assert len(mine) == len(relaxations)
        assert mine["value"].tolist() == runs["value"].tolist()


# -- answers -----------------------------------------------------------------------------------------------------------


def test_explainer_answers_as_the_run_did(results, explainer, kept, stamps):
    """A method taken from a run's folder is not fitted again, and gives the run's answers to the run's questions."""
    relaxations, tensors = kept
    before = stamps(results / "runs" / "artefacts")
    answers = explainer.explain(explainer.queries(60), tensors["targets"], relaxations)
    assert torch.equal((answers * 255).round().to(torch.uint8), tensors["images"])
    assert stamps(results / "runs" / "artefacts") == before


def test_explainer_leaves_random_numbers_alone(explainer):
    """The same question has the same answer, and draws nothing from the caller's stream."""
    images = explainer.queries(3)
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    first = explainer.explain(images, 3, [0.5])
    assert torch.equal(torch.rand(2), expected)
    assert torch.equal(explainer.explain(images, 3, [0.5]), first)


def test_targets_by_number_and_name(explainer):
    """A class may be named, numbered, and given for all images or for each."""
    images = explainer.queries(2)
    expected = explainer.explain(images, 3)
    assert expected.shape == (1, 2, *explainer.shape)
    for target in ("3", [3, "3"], torch.tensor([3, 3])):
        assert torch.equal(explainer.explain(images, target), expected)
    assert explainer.explain(images[:0], 3).shape == (1, 0, *explainer.shape)


@pytest.mark.parametrize(
    ("change", "target", "words"),
    [
        (lambda images: images[0], 3, "shape"),
        (lambda images: images[..., 1:], 3, "shape"),
        (lambda images: images + 1, 3, r"\[0, 1\]"),
        (lambda images: images * float("nan"), 3, r"\[0, 1\]"),
        (lambda images: (images * 255).byte(), 3, "uint8"),
        (lambda images: images, 10, "unknown class of mnist '10'"),
        (lambda images: images, "three", "known: 0, 1"),
        (lambda images: images, [3], "1 targets for 2 images"),
    ],
)
def test_wrong_question_is_told(explainer, change, target, words):
    """Images and targets that do not fit the task are the user's to mend."""
    with pytest.raises(UserError, match=words):
        explainer.explain(change(explainer.queries(2)), target)


def test_show_draws_every_answer(explainer):
    """The figure has a caption a picture: the class that the classifier sees in it."""
    figure = explainer.show(explainer.queries(2), 3, [0, 1])
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert sum("%" in text for text in texts) == 2 * 3
    assert {"query", "r = 0", "r = 1"} <= set(texts)


# -- mistakes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "typed"),
    [
        ({"methods": "vaxe"}, ("--methods", "vaxe")),
        ({"methods": []}, ("--methods", "")),
        ({"task": "mnits"}, ("--tasks", "mnits")),
        ({"seeds": (0, 1.5)}, ("--seeds", "0,1.5")),
        ({"seeds": -1}, ("--seeds", "-1")),
        ({"relaxations": [0, 1.5]}, ("--relaxations", "0,1.5")),
        ({"settings": ["vaex.epoch=3"]}, ("--set", "vaex.epoch=3")),
        ({"fid": "inceptoin"}, ("--fid", "inceptoin")),
        ({"task": "celeba/Male"}, ("--tasks", "celeba/Male")),
        ({"inception_weights": "/nowhere"}, ("--inception-weights", "/nowhere")),
    ],
)
def test_mistake_has_the_words_of_the_command_line(cli, tmp_path, arguments, typed):
    """A mistake is told in the same words from Python, and nothing is written."""
    with pytest.raises(UserError) as error:
        benchmark.run(preset="smoke", jobs=1, results=tmp_path / "results", **arguments)
    outcome = cli("run", "--preset", "smoke", "--jobs", "1", "--results", tmp_path / "results", *typed)
    assert outcome.err == f"error: {error.value}\n"
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"preset": "smok"}, "unknown preset 'smok'; did you mean 'smoke'"),
        ({"split": "tests"}, "did you mean 'test'"),
        ({"precision": "bf16"}, "bf16-mixed"),
        ({"accelerator": "gpu"}, "cuda"),
        ({"limit": 0}, "--limit"),
        ({"jobs": 0}, "--jobs"),
        ({"devices": 0}, "--devices"),
    ],
)
def test_choice_is_refused_with_the_known_ones(tmp_path, arguments, words):
    """A choice or number that there is not is refused with what there is."""
    with pytest.raises(UserError, match=words):
        benchmark.run(**{"preset": "smoke", "results": tmp_path / "results"} | arguments)
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("arguments", [{"task": "mnist,mnist/3-8"}, {"seed": "0,1"}, {"method": "all"}])
def test_fit_takes_one_of_each(tmp_path, arguments):
    """One method on one task under one seed is fitted."""
    with pytest.raises(UserError):
        benchmark.fit(**{"method": "null", "preset": "smoke", "results": tmp_path} | arguments)


def test_names_are_free():
    """No function of the package has the name of a part of it, which would take its place once imported."""
    assert not [name for name in benchmark.__all__ if importlib.util.find_spec(f"benchmark.{name}")]
    with pytest.raises(AttributeError, match="nothing"):
        _ = benchmark.nothing


def test_readme_example_runs(results, monkeypatch):
    """The lines under "From Python" in the README run as they stand there."""
    _, _, section = README.read_text(encoding="utf-8").partition("## From Python\n")
    code = re.search(r"```python\n(.*?)```", section, re.DOTALL)[1]
    monkeypatch.chdir(results.parent)
    (results / "local").symlink_to(results)  # its default folder
    names = {}
    exec(compile(code, str(README), "exec"), names)
    assert names["answers"].shape == (2, 8, 1, 28, 28)
    assert Path("answers.png").stat().st_size > 1000
