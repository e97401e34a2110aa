"""Where results lie: out of git's way unless a folder is named."""

import subprocess
from inspect import signature
from pathlib import Path

import pytest

import benchmark
from benchmark.cli import COMMANDS
from benchmark.names import RESULTS

ROOT = Path(benchmark.__file__).parents[1]


KEEP_NOTHING = {"list", "demo", "classifier", "check-method"}
"""Commands that keep no results."""


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - KEEP_NOTHING - {"audit"}))
def test_commands_write_where_git_does_not_look(cli, name):
    """Every command that writes or reads results has the ignored folder as its default, and its help says so."""
    assert f"[default: {RESULTS}" in " ".join(cli(name, "--help").out.split())


@pytest.mark.parametrize("function", [benchmark.run, benchmark.fit, benchmark.score, benchmark.read])
def test_python_writes_to_the_same_place(function):
    """The functions have the default of the commands."""
    assert signature(function).parameters["results"].default == RESULTS


def test_working_tree_stays_clean(smoke, tmp_path):
    """What a run leaves in the default folder is no change to git."""
    (tmp_path / ".gitignore").write_bytes((ROOT / ".gitignore").read_bytes())
    for command in (["init", "-q"], ["add", ".gitignore"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    before = status(tmp_path)
    for path in (path for path in smoke.rglob("*") if path.is_file()):
        copy = tmp_path / RESULTS / path.relative_to(smoke)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.touch()
    assert (tmp_path / RESULTS / "metrics.csv").exists()
    assert status(tmp_path) == before


def status(folder):
    done = subprocess.run(["git", "status", "--porcelain"], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout
