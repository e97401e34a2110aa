"""A small part of perf/soak.py: a killed command, a full disk and a swapped file cost nothing and change no number."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SOAK = Path(__file__).parents[2] / "perf" / "soak.py"
ROWS = ["kill -9", "disk full", "a file swapped"]


def test_a_small_soak(results, tmp_path):
    """Each row happens, and is all zeros: nothing lost, half-written or different, and no traceback."""
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
