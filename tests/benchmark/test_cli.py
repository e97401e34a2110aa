import re
import shutil
import subprocess
import sys
from dataclasses import replace
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import benchmark
from benchmark.arguments import methods_of
from benchmark.cli import COMMANDS
from benchmark.data import celeba
from benchmark.jobs.protocol import Job
from benchmark.names import EXAMPLES, PRESETS, Preset
from benchmark.papers import PAPERS
from benchmark.records.record import read, write
from methods import METHODS
from methods.base import Study
from metrics import METRICS

ASKED = tuple(name for name in METHODS if Job("mnist", name, 0).answerable)
"""Nobody knows exact counterfactuals or attributes of digits."""
SMOKE = ("--preset", "smoke", "--jobs", "1")


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def one_line(outcome, *words):
    """The one complaint about a user's mistake: exit code 2, no traceback, no answer."""
    assert outcome.code == 2, outcome
    assert len(outcome.complaints) == 1, outcome.err
    assert outcome.err.startswith("error: ")
    assert outcome.out == ""
    for word in words:
        assert word in outcome.err
    return outcome.err


# -- help --------------------------------------------------------------------------------------------------------------


def test_no_arguments_print_help(shell):
    """Without arguments the help is printed, with the commands that a newcomer starts from, and that is no error."""
    outcome = shell()
    assert (outcome.code, outcome.err) == (0, "")
    for command in ("run", "paper", "list", "report", "compare", "score", "check", "benchmark run --preset smoke"):
        assert command in outcome.out
    assert shell("--help") == outcome


@pytest.mark.parametrize("argument", ["--help", "--version", "list"])
def test_answers_at_once(argument):
    """Help, version and names are there at once: nothing that takes seconds is imported for them."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "benchmark", argument], capture_output=True, text=True, check=True
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "benchmark.cli" in imported
    assert not imported & {"torch", "numpy", "pandas", "sklearn", "matplotlib", "scipy", "joblib"}


def test_version(cli):
    """The version is the package's."""
    assert cli("--version").out == f"{benchmark.__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_have_help(cli, command):
    """Every command explains itself, with the line that stands in the list of all."""
    outcome = cli(command, "--help")
    assert outcome.code == 0
    assert command in outcome.out
    assert COMMANDS[command] in " ".join(outcome.out.split())
    assert COMMANDS[command][:40] in cli("--help").out


def test_presets_are_the_choices():
    """What can be chosen as a preset is what is listed, in the same order."""
    assert get_args(Preset) == tuple(PRESETS)


def test_one_method_leads_each_family():
    """`--methods families`: one method of each family, its first, and every reference, in the order of the tables."""
    named = methods_of("families")
    asked = [METHODS[name].family for name in named if not METHODS[name].reference]
    assert asked == list(dict.fromkeys(entry.family for entry in METHODS.values() if not entry.reference))
    assert named == [name for name, entry in METHODS.items() if entry.reference or name in named]


def test_list_names_everything(cli):
    """Every method, task, metric and preset is listed."""
    outcome = cli("list")
    assert outcome.code == 0
    lines = {line.split()[0] for line in outcome.out.splitlines() if line.strip()}
    assert {*METHODS, *METRICS, *PRESETS, *EXAMPLES} <= lines


# -- a run -------------------------------------------------------------------------------------------------------------


def test_run_leaves_tables(smoke):
    """A run leaves its page, the tidy file, timings, and the pivoted tables as Markdown; no picture unless asked."""
    told = {"answered", "answered.lock", "complaints"}  # by the fixture
    assert {path.name for path in smoke.iterdir()} - told == {
        "report.html",
        "metrics.csv",
        "timings.csv",
        "tables",
        "runs",
    }
    names = set(files(smoke / "tables"))
    assert {"summary.md", "flip-rate-mnist.md"} <= names
    assert {f"paper-{name}.md" for name in PAPERS} == {name for name in names if re.fullmatch("paper-.*md", name)}
    assert all(name.endswith(".md") for name in names)
    numbers = pd.read_csv(smoke / "metrics.csv", keep_default_na=False)
    assert set(numbers["method"]) == set(ASKED)


def test_records_of_a_run_can_be_drawn(smoke, draw, tmp_path):
    """Curves, the picture that compares, and a grid a method are made of what a run leaves on disk."""
    drawn = {path.name for path in draw(smoke, tmp_path)}
    assert {"flip-rate-mnist.png", "all-methods-mnist.png"} <= drawn
    assert {f"counterfactuals-mnist-{name}.png" for name in ASKED} <= drawn


# -- mistakes in arguments ---------------------------------------------------------------------------------------------

MISTAKES = [
    (("--methods", "vaxe"), ("did you mean 'vaex'", "known", "vaex-cat")),
    (("--methods", "vaex,null,nul"), ("'nul'", "did you mean 'null'")),
    (("--methods", ""), ("--methods",)),
    (("--methods", ","), ("--methods",)),
    (("--tasks", "mnits"), ("did you mean 'mnist'", "celeba")),
    (("--tasks", "mnist,fashon-mnist"), ("did you mean 'fashion-mnist'",)),
    (("--tasks", "/3-8"), ("data set",)),
    (("--tasks", "mnist/"), ("names no class or attribute of mnist",)),
    (("--preset", "smok"), ("--preset", "'smok'", "'smoke'", "'default'", "'paper'")),
    (("--split", "tests"), ("--split", "'tests'", "'test'", "'validation'")),
    (("--fid", "inceptoin"), ("did you mean 'inception'", "oracle")),
    (("--accelerator", "gpu"), ("--accelerator", "'gpu'", "'auto'", "'cuda'")),
    (("--precision", "bf16"), ("--precision", "'bf16'", "'bf16-mixed'", "'32-true'")),
    (("--set", "vaex.epoch=3"), ("did you mean 'epochs'",)),
    (("--set", "vaxe.epochs=3"), ("did you mean 'vaex'",)),
    (("--set", "vaex.epochs=lots"), ("epochs", "lots")),
    (("--set", "vaex.epochs=1.5"), ("epochs",)),
    (("--set", "classifier.epochs=-1"), ("classifier", "epochs")),
    (("--set", "vaex.epochs=" + 20_000 * "["), ("epochs",)),
    (("--set", "epochs=3"), ("section.field=value",)),
    (("--methods", "null", "--set", "vaex.epochs=3"), ("--set vaex.epochs", "--methods")),
    (("--relaxations", "0,1.5"), ("0,1.5", "from 0 to 1")),
    (("--relaxations", "-0.1"), ("from 0 to 1",)),
    (("--relaxations", "0,half"), ("from 0 to 1",)),
    (("--relaxations", "nan"), ("from 0 to 1",)),
    (("--relaxations", "inf"), ("from 0 to 1",)),
    (("--relaxations", ""), ("--relaxations",)),
    (("--seeds", "-1"), ("--seeds",)),
    (("--seeds", "0,1.5"), ("--seeds",)),
    (("--seeds", "one"), ("--seeds",)),
    (("--seeds", ""), ("--seeds",)),
    (("--seeds", "9" * 5000), ("--seeds",)),
    (("--limit", "0"), ("limit",)),
    (("--limit", "many"), ("limit",)),
    (("--jobs", "0"), ("jobs",)),
    (("--inception-weights", "/nowhere/weights.pth"), ("/nowhere/weights.pth",)),
    (("--mehtods", "vaex"), ("--mehtods",)),
    (("everything",), ("everything",)),
]


@pytest.mark.parametrize(("arguments", "words"), MISTAKES, ids=[" ".join(a)[:40] for a, _ in MISTAKES])
def test_mistake_in_arguments_writes_nothing(cli, tmp_path, arguments, words):
    """A mistake in the arguments is one line that tells what is known, exit code 2, and nothing is written."""
    one_line(cli("run", *SMOKE, "--results", tmp_path / "results", *arguments), *words)
    assert not (tmp_path / "results").exists()


def test_attributes_that_nobody_knows(cli, tmp_path):
    """A method that learns from attributes is refused by name where the data know none, before anything is computed."""
    outcome = cli("run", *SMOKE, "--results", tmp_path, "--methods", "attribute-search", "--tasks", "mnist")
    one_line(outcome, "nobody knows attributes of mnist", "avatars/Smiling")


@pytest.mark.parametrize(
    "command", ["rnu", "report --preset smok", "check --methods vaxe", "report --seeds x", "list x"]
)
def test_mistakes_in_other_commands(cli, command):
    """Other commands refuse mistakes in the same way."""
    one_line(cli(*command.split()))


@pytest.mark.slow
def test_mistake_in_a_real_process(shell, tmp_path):
    """Seen from outside, too, a mistake is one line and exit code 2, with nothing of a library's around it."""
    outcome = shell("run", *SMOKE, "--results", tmp_path / "results", "--set", "vaex.epoch=3")
    assert outcome.out == "getting ready ...\n"
    one_line(replace(outcome, out=""), "did you mean 'epochs'")
    assert not (tmp_path / "results").exists()


def test_question_that_names_no_classes(cli, tmp_path):
    """A task that asks for classes which the data has not got is refused before anything is computed."""
    one_line(
        cli("run", *SMOKE, "--results", tmp_path, "--tasks", "mnist/3-x", "--methods", "vaex,null"), "3-x", "known"
    )
    assert files(tmp_path) == {}


def test_settings_that_do_not_fit_the_data(cli, tmp_path):
    """Settings that the data refuses are one line before anything is computed, not a failure after an hour."""
    arguments = ("--methods", "gan-search", "--set", "gan-search.generator=[8,8,8,8,8,8]")
    one_line(cli("run", *SMOKE, "--results", tmp_path, *arguments), "gan-search", "halved")
    assert files(tmp_path) == {}


# -- data that is not there --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """A folder with CelebA's very layout: 48 generated JPEGs, darker where nobody smiles."""
    folder = tmp_path_factory.mktemp("faces") / "celeba"
    (folder / celeba.IMAGES).mkdir(parents=True)
    rng = np.random.default_rng(0)
    names = [f"{number:06d}.jpg" for number in range(1, 49)]
    for index, name in enumerate(names):
        pixels = rng.integers(0, 120, (218, 178, 3)) + 130 * (index % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / celeba.IMAGES / name)
    rows = [f"{name} {2 * (index % 2) - 1} {2 * (index % 3 == 0) - 1}" for index, name in enumerate(names)]
    (folder / celeba.ATTRIBUTES).write_text("\n".join(["48", "Smiling Male", *rows]) + "\n")
    parts = [f"{name} {(index >= 24) + (index >= 32)}" for index, name in enumerate(names)]
    (folder / celeba.PARTITION).write_text("\n".join(parts) + "\n")
    return folder.parent


@pytest.fixture
def root(faces, tmp_path):
    """A copy of the faces, free to break."""
    return shutil.copytree(faces, tmp_path / "data")


@pytest.mark.parametrize("task", ["celeba/Male", "mnist-full", "fashion-mnist"])
@pytest.mark.parametrize("given", ["missing", "empty"])
def test_missing_data_is_refused(cli, tmp_path, monkeypatch, task, given):
    """Data that is not there is one line for all jobs, with the files, the folder and where they come from."""
    from benchmark.data import idx  # noqa: PLC0415

    monkeypatch.setattr(idx, "FASHION_MNIST", idx.Edition(**{**vars(idx.FASHION_MNIST), "installed": ()}))
    root = tmp_path / "data"
    if given == "empty":
        root.mkdir()
    arguments = ("--tasks", task, "--methods", "vaex,vaex-cat,null", "--data-root", root)
    line = one_line(cli("run", *SMOKE, "--results", tmp_path / "results", *arguments), str(root), "https://")
    assert "list_attr_celeba.txt" in line or "train-images-idx3-ubyte" in line
    assert files(tmp_path) == {}


def test_no_data_root_is_refused(cli, tmp_path):
    """Data that is not embedded needs --data-root, and the refusal says so."""
    one_line(cli("run", *SMOKE, "--results", tmp_path, "--tasks", "celeba/Male"), "--data-root")
    assert files(tmp_path) == {}


@pytest.mark.parametrize("lost", [celeba.ATTRIBUTES, celeba.PARTITION, celeba.IMAGES])
def test_incomplete_data_is_refused(cli, tmp_path, root, lost):
    """Of an incomplete folder the missing file is named."""
    path = root / "celeba" / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    outcome = cli("run", *SMOKE, "--results", tmp_path / "results", "--tasks", "celeba/Male", "--data-root", root)
    one_line(outcome, lost, str(root))
    assert not (tmp_path / "results" / "tables").exists()


def test_unknown_attribute_is_refused(cli, tmp_path, root):
    """An attribute that does not exist is refused with the nearest spelling and the known ones."""
    outcome = cli("run", *SMOKE, "--results", tmp_path / "results", "--tasks", "celeba/Smilling", "--data-root", root)
    one_line(outcome, "did you mean 'Smiling'", "Male")
    assert not (tmp_path / "results" / "tables").exists()


@pytest.mark.parametrize("content", [b"", b"no JPEG", None])
def test_corrupt_image_is_named(cli, tmp_path, root, content):
    """A corrupt image is named in one line, and no half-decoded cache, record or table is left."""
    path = root / "celeba" / celeba.IMAGES / "000007.jpg"
    path.write_bytes(path.read_bytes()[:3000] if content is None else content)
    results = tmp_path / "results"
    arguments = ("--tasks", "celeba/Smiling", "--data-root", root, "--methods", "vaex,null")
    one_line(cli("run", *SMOKE, "--results", results, *arguments), str(path))
    assert not [name for name in files(results) if not name.endswith(".lease")]


@pytest.mark.slow
def test_celeba_from_end_to_end(cli, draw, tmp_path, faces):
    """On a folder of JPEGs in CelebA's layout a run goes through, with the official splits."""
    arguments = ("--tasks", "celeba/Smiling", "--data-root", faces, "--methods", "vaex,null", "--relaxations", "0,1")
    outcome = cli("run", *SMOKE, "--results", tmp_path, *arguments)
    assert outcome.code == 0, outcome.err
    numbers = pd.read_csv(tmp_path / "metrics.csv", keep_default_na=False)
    assert set(numbers["task"]) == {"celeba/Smiling"}
    assert set(numbers[numbers["metric"] == "classifier_accuracy"]["n"]) == {16}
    drawn = draw(tmp_path, tmp_path / "figures")
    assert tmp_path / "figures" / "counterfactuals-celeba_Smiling-vaex.png" in drawn


# -- results that cannot be written ------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_unwritable_results_are_refused(cli, tmp_path, place):
    """A results folder that cannot be written to is refused by name, before anything is computed."""
    (tmp_path / "file").touch()
    one_line(cli("run", *SMOKE, "--methods", "null", "--results", tmp_path / place), str(tmp_path / place), "--results")


@pytest.mark.parametrize("part", ["runs", "tables"])
def test_results_with_an_unwritable_part_are_refused(cli, tmp_path, part):
    """Also where only a part of the results cannot be written, that is said before anything is computed."""
    (tmp_path / part).touch()
    one_line(cli("run", *SMOKE, "--methods", "null", "--results", tmp_path), str(tmp_path / part))
    assert not list(tmp_path.rglob("*.safetensors"))


def test_report_to_an_unwritable_folder(cli, results):
    """Tables that cannot be written are the user's to mend, too."""
    shutil.rmtree(results / "tables")
    (results / "tables").touch()
    one_line(cli("report", "--preset", "smoke", "--results", results), str(results / "tables"))


# -- training that diverges --------------------------------------------------------------------------------------------

DIVERGE = ("--set", "vaex.learning_rate=1e30")


def test_divergence_names_the_step(cli, results):
    """Training that comes to NaN is a line a job that names the step and the remedy; other jobs come to their end."""
    also = ("--set", "vaex-cat.learning_rate=1e30")
    outcome = cli("run", *SMOKE, "--results", results, "--methods", "vaex,vaex-cat,null", *DIVERGE, *also)
    assert outcome.code == 2
    assert len(outcome.complaints) == 2, outcome.err
    for line, method in zip(outcome.complaints, ("vaex", "vaex-cat"), strict=True):
        assert re.match(rf"error: {method} on mnist, seed 0: .*step \d+.*{method}\.learning_rate", line)
    null = read(results / "runs" / "records" / "smoke" / "mnist" / "null" / "seed-0.json")
    assert null is not None
    assert null.status == "ok"


def test_divergence_loses_nothing(cli, results, stamps):
    """After a run that failed, the one before it is still there: nothing is trained again, and tables are the same."""
    tables = files(results / "tables") | {"metrics.csv": (results / "metrics.csv").read_bytes()}
    artefacts = stamps(results / "runs" / "artefacts")
    assert cli("run", *SMOKE, "--results", results, "--methods", "vaex", *DIVERGE).code == 2
    assert cli("run", *SMOKE, "--results", results, "--methods", "all").code == 0
    after = stamps(results / "runs" / "artefacts")
    assert {path: after.get(path) for path in artefacts} == artefacts
    found = files(results / "tables") | {"metrics.csv": (results / "metrics.csv").read_bytes()}
    assert {name: found[name] for name in tables} == tables


def test_run_without_any_result_keeps_the_tables(cli, results):
    """A run of which every job fails leaves the tables of earlier runs as they were."""
    before = files(results / "tables")
    assert cli("run", *SMOKE, "--results", results, "--methods", "vaex", *DIVERGE).code == 2
    assert files(results / "tables") == before


@pytest.mark.slow
def test_divergence_of_the_classifier_names_the_classifier(cli, tmp_path):
    """Where the classifier's training diverges, the advice is about the classifier, not about a method."""
    arguments = ("--methods", "null", "--set", "classifier.learning_rate=1e30")
    line = one_line(cli("run", *SMOKE, "--results", tmp_path, *arguments), "step", "classifier.learning_rate")
    assert "null.learning_rate" not in line


@pytest.mark.slow
def test_debug_shows_a_traceback(shell, results):
    """With --debug the first error comes with its traceback."""
    outcome = shell("run", *SMOKE, "--results", results, "--methods", "vaex", *DIVERGE, "--debug")
    assert outcome.code != 0
    assert "Traceback (most recent call last)" in outcome.err
    assert "DivergedError" in outcome.err


# -- report and check --------------------------------------------------------------------------------------------------


def test_report_makes_tables_again(cli, results, stamps):
    """Tables and figures that were deleted come back byte for byte from the records, and nothing is computed."""
    before, artefacts = files(results / "tables"), stamps(results / "runs" / "artefacts")
    shutil.rmtree(results / "tables")
    outcome = cli("report", "--preset", "smoke", "--results", results)
    assert (outcome.code, outcome.err) == (0, "")
    assert files(results / "tables") == before
    assert stamps(results / "runs" / "artefacts") == artefacts
    # Nothing is shown only by the second report because the first one drew it too late.
    assert cli("report", "--preset", "smoke", "--results", results).code == 0
    assert files(results / "tables") == before


def test_report_chooses(cli, results):
    """A report over some methods holds these only."""
    assert cli("report", "--preset", "smoke", "--results", results, "--methods", "vaex-cat,null").code == 0
    numbers = pd.read_csv(results / "metrics.csv", keep_default_na=False)
    assert set(numbers["method"]) == {"vaex-cat", "null"}


def test_tables_hold_the_methods_of_all_papers(cli, results):
    """A table that methods of several papers have a part in is not cut down to one paper's by its page."""
    names = ["vaex", "gan-search", "hybrid", "dvae", "null"]
    for name in names:
        path = results / "runs" / "records" / "smoke" / "mnist" / name / "seed-0.json"
        study = Study(title="what is seen", rows=[{"seen": name}])
        record = read(path)
        write(record.model_copy(update={"studies": {**record.studies, "seen": study}}), path)
    assert cli("report", "--preset", "smoke", "--results", results, "--format", "md,csv").code == 0
    assert pd.read_csv(results / "tables" / "seen-mnist.csv", keep_default_na=False)["method"].tolist() == names


def test_what_has_no_record_is_told(cli, results, caplog):
    """A method that was named and not run is named in a warning; the others are shown."""
    shutil.rmtree(results / "runs" / "records" / "smoke" / "mnist" / "leap")
    outcome = cli("table", "--methods", "vaex,leap", "--preset", "smoke", "--metrics", "l1", "--results", results)
    assert (outcome.code, "vaex" in outcome.out) == (0, True)
    assert "no record here of method leap: left out" in caplog.text
    refused = cli("show", "leap", "--preset", "smoke", "--results", results)
    assert (refused.code, len(refused.complaints)) == (2, 1)
    assert "holds no records of leap; at --preset smoke it has ace, " in refused.err


def test_damaged_record_is_told(cli, results, caplog):
    """A report leaves out a record that cannot be read, and names it with the command that makes it again."""
    path = results / "runs" / "records" / "smoke" / "mnist" / "null" / "seed-0.json"
    path.write_text("{")
    outcome = cli("report", "--preset", "smoke", "--methods", "null,vaex", "--results", results)
    assert outcome.code == 0
    assert f"{path} is damaged" in caplog.text
    assert "benchmark run" in caplog.text


def test_report_without_records_is_refused(cli, tmp_path):
    """A report of nothing is refused with the command that makes something, and writes nothing."""
    one_line(cli("report", "--results", tmp_path), "benchmark run", str(tmp_path))
    assert list(tmp_path.iterdir()) == []
