"""The script that makes every published number: its stages, what they cost, and what stops it."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from benchmark.cli import COMMANDS

SCRIPT = Path(__file__).parents[2] / "results" / "make.py"


@pytest.fixture
def make():
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("make_results", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_stage_is_accepted(make, cli, tmp_path):
    """The command line takes the options of each stage: it stumbles over the one that does not exist, and no other."""
    for name, command in make.stages(tmp_path, "smoke").items():
        assert command[0] in COMMANDS
        outcome = cli(*command, "--no-such-option")
        assert outcome.code == 2, name
        assert "--no-such-option" in outcome.err


@pytest.mark.parametrize(
    ("codes", "ends", "ran"),
    [((0, 0, 0), 0, 3), ((0, 1, 0), 1, 3), ((0, 2, 0), 2, 2), ((-9, 0, 0), -9, 1)],
)
def test_failed_jobs_do_not_stop_it(make, tmp_path, monkeypatch, codes, ends, ran):
    """It goes on after a failed job, and stops where a command could not run; every stage that ran has its cost."""
    monkeypatch.setattr(make, "stages", lambda *_: {f"stage {place}": [str(code)] for place, code in enumerate(codes)})
    monkeypatch.setattr(make.subprocess, "run", lambda command, check: _Ended(int(command[-1])))
    assert make.main(tmp_path, "smoke") == ends
    assert list(pd.read_csv(tmp_path / "cost.csv")["stage"]) == [f"stage {place}" for place in range(ran)]


@pytest.mark.parametrize(
    ("given", "told"),
    [((), "folder"), (("file",), "is a file"), (("file/in",), "cannot write"), (("--preset", "x", "f"), "x")],
)
def test_mistakes_start_nothing(tmp_path, given, told):
    """No folder, a file instead of one or above it, an unknown preset: one line says so, and nothing is written."""
    (tmp_path / "file").touch()
    ended = subprocess.run(
        [sys.executable, SCRIPT, *given], cwd=tmp_path, check=False, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 2
    assert told in ended.stderr.splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_missing_classifier_is_no_failed_job(make, tmp_path, monkeypatch, capsys):
    """Without the stranger's classifier nothing starts: exit code 2, and the line says what to install."""
    monkeypatch.setattr(make, "find_spec", lambda _: None)
    with pytest.raises(SystemExit) as stopped:
        make.main(tmp_path, "smoke")
    assert stopped.value.code == 2
    assert capsys.readouterr().err == "the audit needs its classifier: pip install digit-recognizer-py\n"
    assert list(tmp_path.iterdir()) == []


def test_costs_add_up(make, tmp_path):
    """What a stage took before it was stopped counts, too."""
    for wall in (1800, 1800, 3600):
        make.note(tmp_path / "cost.csv", "digits", wall, 2 * wall)
    rows = make.cost(tmp_path / "cost.csv").splitlines()
    assert [cell.strip() for cell in rows[-1].split("|")[1:4]] == ["all", "2.00", "4.00"]


class _Ended:
    def __init__(self, code):
        self.returncode = code
