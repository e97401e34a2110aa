"""perf/soak.py: a small part of it, what it refuses, and that it leaves no process behind."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).parents[2] / "perf" / "soak.py"
ROWS = ["kill -9", "disk full", "a file swapped"]


@pytest.mark.slow
def test_a_small_soak(results, tmp_path):
    """A killed command, a full disk, a swapped file: each row happens, and is all zeros."""
    for made in ("runs/records", "tables"):  # of other methods, too
        shutil.rmtree(results / made)
    results.rename(tmp_path / "run")  # judges and trainings are those of the smoke run
    options = ["--commands", "run", "--scale", "0.01", "--only", ",".join(ROWS)]
    command = [sys.executable, str(SOAK), str(tmp_path), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1200)
    assert done.returncode == 0, done.stderr
    _, _, *rows = [line.strip("| ").split("|") for line in done.stdout.splitlines() if line.startswith("|")]
    found = {name.strip(): [int(count) for count in counts] for name, *counts in rows}
    expected = [name for name in ROWS if name != "disk full" or os.geteuid() == 0]
    assert found == {name: [1, 0, 0, 0, 0] for name in expected}, done.stdout


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("file",), "is a file"),
        (("file/in",), "cannot write"),
        (("new", "--only", "kill"), "no such row: kill;"),
        (("new", "--commands", "walk"), "no such command: walk;"),
        (("new", "--scale", "0"), "above 0"),
        (("new", "--scale", "nan"), "above 0"),
    ],
)
def test_mistakes_start_nothing(tmp_path, given, told):
    """One line says what is wrong, and nothing is written."""
    (tmp_path / "file").touch()
    command = [sys.executable, str(SOAK), *given]
    ended = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert told in ended.stderr.splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


INTERRUPTED = """
from pathlib import Path
from soak import Case
print(Case("run", ("run", "--preset", "smoke"), Path("run")).start(Path("run"), 1).pid, flush=True)
raise KeyboardInterrupt
"""


def test_an_interrupted_soak_leaves_no_command(tmp_path):
    """Ctrl-C ends the command, too, which has a process group of its own."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(SOAK.parent), str(SOAK.parents[1])])}
    command = [sys.executable, "-c", INTERRUPTED]
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True, timeout=60
    )
    assert "KeyboardInterrupt" in ended.stderr
    with pytest.raises(ProcessLookupError):
        os.killpg(int(ended.stdout), 0)
