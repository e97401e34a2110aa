import json
import os
import subprocess
import sys
from importlib import invalidate_caches

import numpy as np
import pytest

import methods
import metrics
from benchmark import names, plugins
from benchmark.data import Source, load
from benchmark.errors import UserError
from benchmark.records import store

METHOD = """
import torch
from methods.base import Counterfactuals
from methods.references import NullConfig, Unlearned
from shade import SHADE

class Grey(Unlearned):
    "Answers with the same grey everywhere."
    Config = NullConfig
    reference = False

    def explain(self, images, target, relaxations):
        return Counterfactuals(torch.full((len(relaxations), *images.shape), SHADE))

METHODS = {"grey": Grey}
"""
OTHERS = """
import numpy as np
from benchmark.data import ImageData
from metrics import Metric

def stripes(source):
    images = np.zeros((40, 1, 16, 16), np.uint8)
    images[::2, :, ::2] = 255
    return ImageData("stripes", images, np.arange(40) % 2, ("rows", "none"), "d")

def brightest(answers):
    from metrics.intervals import mean
    return mean(answers.flatten(1).amax(1))

DATASETS = {"stripes": stripes}
METRICS = {"brightest": Metric("others:brightest", ("answers",), "", "", (0, 1), "brightest pixel")}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a plugin `grey.py` that imports `shade.py`, and `others.py`; what a test loads is forgotten."""
    (tmp_path / "grey.py").write_text(METHOD)
    (tmp_path / "shade.py").write_text("SHADE = 0.5\n")
    (tmp_path / "others.py").write_text(OTHERS)
    for registry in (methods.OUTSIDE, metrics.OUTSIDE, names.OUTSIDE_DATASETS, plugins.origins):
        for name in list(registry):  # of packages that happen to be installed
            monkeypatch.delitem(registry, name)
    monkeypatch.setattr(plugins, "_files", [])
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    invalidate_caches()
    yield tmp_path
    for registry in (methods.OUTSIDE, metrics.OUTSIDE, names.OUTSIDE_DATASETS, plugins.origins):
        registry.clear()
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    store.code_of.cache_clear()


def test_entries_of_a_file_stand_behind_ours(folder):
    """A file's methods, data sets and metrics are in the registries, last, with the file that they come from."""
    plugins.load([folder / "grey.py", folder / "others.py"])
    assert list(methods.METHODS)[-1] == "grey"
    assert methods.METHODS["grey"].load().__name__ == "Grey"
    assert methods.METHODS["grey"].meaning == "Answers with the same grey everywhere."
    assert list(metrics.METRICS)[-1] == "brightest"
    assert load("stripes", Source()).shape == (1, 16, 16)
    assert plugins.origins["methods", "grey"] == str(folder / "grey.py")
    assert np.isclose(metrics.METRICS["brightest"].load()(load("stripes", Source()).batch(slice(0, 2))).value, 0.5)


def test_loading_twice_is_loading_once(folder):
    """A file that is named twice, in one process, is no clash with itself."""
    plugins.load([folder / "grey.py"])
    plugins.load([str(folder / "grey.py"), folder / "." / "grey.py"])
    assert plugins.loaded() == (folder / "grey.py",)


DERIVED = "from methods.base import Method as Mine\n"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("clash", f"{DERIVED}METHODS = {{'vaex': Mine}}", ("'vaex'", "this benchmark", "rename")),
        ("clash", "DATASETS = {'mnist': 'clash:load'}", ("'mnist'", "this benchmark")),
        ("clash", "METRICS = {'l1': None}", ("'l1'", "this benchmark")),
        ("odd", f"{DERIVED}METHODS = {{'a,b': Mine}}", ("'a,b'", "another name")),
        ("odd", f"{DERIVED}METHODS = {{'all': Mine}}", ("'all'", "another name")),
        ("odd", "METHODS = {'mine': 3}", ("'mine'", "no method")),
        ("odd", "METHODS = {'mine': type('M', (), {})}", ("'mine'", "derive from methods.base.Method")),
        ("odd", "METHODS = [1]", ("METHODS",)),
        ("empty", "x = 1", ("METHODS",)),
        ("broken", "x = (", ("broken.py", "SyntaxError")),
        ("broken", "raise SystemExit(0)", ("broken.py", "sys.exit")),
        ("broken", "import no_such_module", ("broken.py", "no_such_module")),
        ("json", "METHODS = {}", ("another module called 'json'", "rename")),
        ("my-file", "METHODS = {}", ("letters",)),
    ],
)
def test_bad_files_are_refused(folder, name, text, words):
    """What cannot be entered is refused in words, and nothing of the file is entered."""
    (folder / f"{name}.py").write_text(text)
    with pytest.raises(UserError) as error:
        plugins.load([folder / f"{name}.py"])
    assert all(word in str(error.value) for word in words), error.value
    assert not methods.OUTSIDE
    assert not names.OUTSIDE_DATASETS
    assert not metrics.OUTSIDE


SETS = """
import sys
import numpy as np
from benchmark.data import ImageData
from benchmark.errors import UserError

IMAGES, LABELS = np.zeros((40, 1, 16, 16), np.uint8), np.arange(40) % 2

def refuse():
    raise UserError("put the files there")

def made(images=IMAGES, labels=LABELS):
    return ImageData("mine", images, labels, ("a", "b"), "d")

DATASETS = {"mine": lambda source: ANSWER}
"""


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("3", "returns int, not a benchmark.data.ImageData"),
        ("None", "returns NoneType"),
        ("1 / 0", "cannot be loaded: ZeroDivisionError"),
        ("sys.exit(0)", "cannot be loaded: its code ends the program"),
        ("refuse()", "put the files there"),
        ("made(images=IMAGES / 255)", "uint8"),
        ("made(images=IMAGES[:, 0])", "(N, 1 or 3, H, W)"),
        ("made(labels=None)", "neither labels nor attributes"),
        ("made(labels=LABELS[1:])", "labels"),
        ("made(labels=LABELS + 1)", "labels"),
        ("made(labels=LABELS / 2)", "labels"),
    ],
)
def test_a_data_set_that_is_none_is_one_line(cli, folder, tmp_path, answer, words):
    """Whatever a plugin's function returns or raises instead of pictures is one line, before any job."""
    (folder / "mine.py").write_text(SETS.replace("ANSWER", answer))
    own = ("--task", "mine", "--plugin", folder / "mine.py", "--results", tmp_path / "results", "--jobs", "1")
    outcome = cli("run", "--methods", "null", "--preset", "smoke", *own)
    assert (outcome.code, len(outcome.complaints)) == (2, 1), outcome.err
    assert words in outcome.err
    assert answer == "refuse()" or "mine.py" in outcome.err
    assert not list(tmp_path.glob("results/runs/artefacts/*"))


def test_a_nameless_function_is_a_data_set(folder):
    """A lambda is found as any function is, with its pictures as they are."""
    (folder / "mine.py").write_text(SETS.replace("ANSWER", "made()"))
    plugins.load([folder / "mine.py"])
    assert load("mine", Source()).shape == (1, 16, 16)


def test_a_method_that_ends_the_program_fails(cli, folder):
    """`check-method` says of it that it breaks a law, and what ends elsewhere is a mistake: never a silent success."""
    text = METHOD.replace("        return Counter", "        raise SystemExit(0)\n        return Counter")
    (folder / "grey.py").write_text(text)
    outcome = cli("check-method", "grey", "--plugin", folder / "grey.py")
    assert outcome.code == 1, outcome
    assert "its code ends the program" in outcome.out


def test_whatever_ends_a_command_is_a_mistake(cli, monkeypatch):
    """An end of the program that nobody foresaw is one line and exit code 2, not a success."""
    monkeypatch.setattr("benchmark.cli.commands.list.load", lambda _: sys.exit(0))
    outcome = cli("list")
    assert (outcome.code, len(outcome.complaints)) == (2, 1)
    assert "sys.exit" in outcome.err


def test_missing_file_is_refused(folder):
    """A file that is not there is refused by name."""
    with pytest.raises(UserError, match=r"no Python file .*nowhere\.py"):
        plugins.load([folder / "nowhere.py"])


def test_two_files_with_one_name_clash(folder):
    """The second file that brings a name is refused, with the first one's path."""
    (folder / "second.py").write_text(METHOD)
    plugins.load([folder / "grey.py"])
    with pytest.raises(UserError, match=r"'grey' .*second\.py has the name of one of .*grey\.py"):
        plugins.load([folder / "second.py"])


def test_code_of_a_plugin_is_also_what_lies_beside_it(folder):
    """A plugin's hash follows its own code and that of the file beside it that it imports, and of no other."""
    plugins.load([folder / "grey.py"])
    hashes = set()
    for name, text in (("shade", "SHADE = 0.5"), ("shade", "SHADE = 0.6"), ("others", "x = 1"), ("grey", "x = 2")):
        (folder / f"{name}.py").write_text(text if name == "grey" else text + "\n")
        store.code_of.cache_clear()
        hashes.add(store.code_of("grey"))
    assert len(hashes) == 3


def test_code_of_a_package_follows_relative_imports(folder):
    """The hash of a module in a package follows what it imports from the package by dots."""
    (folder / "pack").mkdir()
    for name, text in (("__init__", ""), ("a", "from .b import x\n"), ("b", "x = 1\n")):
        (folder / "pack" / f"{name}.py").write_text(text)
    sys.path.append(str(folder))
    before = store.code_of("pack.a")
    (folder / "pack" / "b.py").write_text("x = 2\n")
    store.code_of.cache_clear()
    assert store.code_of("pack.a") != before


# -- the command line --------------------------------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path):
    """A folder that holds an installed package, called painter, with an entry point of each kind."""
    place = tmp_path / "site"
    facts = place / "painter-1.2.dist-info"
    facts.mkdir(parents=True)
    facts.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: painter\nVersion: 1.2\nSummary: It paints.\n")
    group = "visual_counterfactuals"
    points = {"methods": "grey = painter:Grey", "datasets": "stripes = painter_data:stripes"}
    points["metrics"] = "brightest = painter_metrics:BRIGHTEST"
    text = "".join(f"[{group}.{kind}]\n{point}\n" for kind, point in points.items())
    facts.joinpath("entry_points.txt").write_text(text)
    place.joinpath("painter.py").write_text(METHOD.replace("from shade import SHADE", "SHADE = 0.5"))
    line = 'Metric("others:brightest", ("answers",), "", "", (0, 1), "brightest pixel")'
    place.joinpath("painter_metrics.py").write_text(f"from metrics import Metric\nBRIGHTEST = {line}\n")
    return place


def python(*arguments, path):
    known = os.pathsep.join([str(path), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": known, "COLUMNS": "500"}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment, check=False)


@pytest.mark.slow
def test_installed_packages_are_listed_at_once(package):
    """`list` names what an installed package brings, and the package, without importing the method or torch."""
    done = python("-X", "importtime", "-m", "benchmark", "list", path=package)
    lines = [line for line in done.stdout.splitlines() if "painter 1.2" in line]
    assert [line.split()[0] for line in lines] == ["grey", "stripes", "brightest"]
    assert "It paints." in lines[0]
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "benchmark.cli" in imported
    assert not imported & {"torch", "numpy"}


@pytest.mark.slow
def test_packages_that_clash_are_refused(package):
    """A package that brings a name of ours is refused by its own name, in one line."""
    points = package / "painter-1.2.dist-info" / "entry_points.txt"
    points.write_text(points.read_text().replace("grey =", "vaex ="))
    done = python("-m", "benchmark", "list", path=package)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "'vaex' of painter 1.2" in done.stderr


@pytest.mark.slow
def test_a_package_without_its_data_is_one_line(package, tmp_path):
    """A data set whose package cannot be imported is refused by the package's name when it is asked for."""
    asked = (
        "--task",
        "stripes",
        "--methods",
        "null",
        "--preset",
        "smoke",
        "--quiet",
        "--results",
        tmp_path / "results",
    )
    done = python("-m", "benchmark", "run", *map(str, asked), path=package)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert "painter 1.2: ModuleNotFoundError" in done.stderr


def test_a_plugin_runs_in_workers_and_again_when_it_changes(results, folder, shell):
    """A run in two processes asks a plugin's method; on disk it holds until the plugin's code changes."""
    asked = ("run", "--preset", "smoke", "--results", results, "--methods", "grey,null")
    asked += ("--plugin", folder / "grey.py")
    first = shell(*asked, "--jobs", "2")
    assert first.code == 0, first.err
    assert "grey on mnist, seed 0" in first.out
    record = results / "runs" / "records" / "smoke" / "mnist" / "grey" / "seed-0.json"
    assert json.loads(record.read_text())["status"] == "ok"
    assert "grey on mnist" not in shell(*asked).out
    (folder / "shade.py").write_text("SHADE = 0.25\n")
    assert "grey on mnist, seed 0" in shell(*asked).out
    compared = shell("compare", "grey", "nearest-unlike", "--preset", "smoke", "--results", results)
    assert (compared.code, "oracle_agreement" in compared.out) == (0, True), compared.err


def test_a_plugin_metric_and_data_set_are_used(folder, shell, tmp_path):
    """A run on a plugin's data set has a number of a plugin's metric."""
    asked = ("--preset", "smoke", "--results", tmp_path / "results", "--methods", "null", "--jobs", "1")
    done = shell("run", *asked, "--task", "stripes", "--plugin", folder / "others.py")
    assert done.code == 0, done.err
    assert "stripes,null,0,0.0,brightest,all,0.5," in (tmp_path / "results" / "metrics.csv").read_text()
