"""The scripts of perf/ answer --help, and a mistake is one line and exit 2, before anything is done."""

import os
import runpy
import subprocess
import sys
from pathlib import Path
from unittest.mock import MagicMock

import pytest

pytestmark = pytest.mark.slow  # they load all that the benchmark needs

PERF = Path(__file__).parents[1] / "perf"
SCRIPTS = sorted(path.stem for path in PERF.glob("*.py") if "__main__" in path.read_text(encoding="utf-8"))
ELSEWHERE = ("alibi", "alibi.explainers", "tensorflow")
"""What `alibi_answers.py` finds in an environment of its own alone."""


@pytest.fixture
def ended(monkeypatch, tmp_path, capfd):
    """Run a script in an empty folder: its exit code, and the lines of both streams."""

    def run(script, *arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.syspath_prepend(PERF)
        monkeypatch.setattr(sys, "argv", [f"{script}.py", *arguments])
        for name in ELSEWHERE if script == "alibi_answers" else ():
            monkeypatch.setitem(sys.modules, name, MagicMock())
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(PERF / f"{script}.py"), run_name="__main__")
        assert list(tmp_path.iterdir()) == []
        return ended.value.code, *(stream.splitlines() for stream in capfd.readouterr())

    return run


@pytest.mark.parametrize("script", SCRIPTS)
def test_help(ended, script):
    """It says what the script is for."""
    code, said, _ = ended(script, "--help")
    assert code == 0
    assert said[0].startswith(f"usage: {script}.py")


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_unknown_option(ended, script):
    """An option that nobody knows, or that stands where an argument is missing, is refused."""
    code, _, told = ended(script, "--nonsense")
    assert code == 2
    assert told[-1].startswith(f"{script}.py: error: ")


@pytest.mark.parametrize("script", ["retrain", "where_time_goes"])
def test_an_option_that_the_run_does_not_know(script, tmp_path):
    """The options that these scripts hand on are refused by `benchmark run`."""
    command = [sys.executable, str(PERF / f"{script}.py"), "new", "--nonsense"]
    environment = os.environ | {"PYTHONPATH": str(PERF.parent)}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith("error: No such option: --nonsense")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("script", "arguments", "told"),
    [
        ("alibi_answers", ["nowhere", "answers"], "nowhere holds no questions"),
        ("beside_alibi", ["new", "nowhere"], "nowhere is no program"),
        ("beside_alibi", ["new", sys.executable, "--count", "0"], "'0' is no whole number above 0"),
        ("beside_alibi", ["new", sys.executable], "cannot run alibi_answers.py"),
        ("check_power", ["nowhere"], "nowhere holds no records"),
        ("growth", [str(PERF)], "is not empty"),
        ("oracles", ["tset"], "tset"),
        ("oracles", ["test", "mnits"], "did you mean 'mnist'?"),
        ("page", ["nowhere/report.html"], "nowhere/report.html is no report.html"),
        ("scale", ["veax"], "did you mean 'vaex'?"),
        *((script, [__file__], "is a file") for script in ("growth", "retrain", "soak", "sweeps", "where_time_goes")),
        *((script, [], "required: ") for script in ("alibi_answers", "beside_alibi", "growth", "page", "retrain")),
        *((script, [], "required: ") for script in ("soak", "sweeps", "where_time_goes")),
    ],
)
def test_mistakes_start_nothing(ended, script, arguments, told):
    """The last line says what is wrong."""
    code, _, lines = ended(script, *arguments)
    assert code == 2
    assert lines[-1].startswith(f"{script}.py: error: ")
    assert told in lines[-1]
