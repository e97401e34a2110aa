"""Memory does not grow with the number of queries and pictures: what is read, asked and scored goes by in batches."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "wait4"), reason="the system tells no peak")]

TIMES = 8
GROWTH = 1.15
"""Of the peak, when pictures and queries are `TIMES` as many; 1.08 was measured at three times these sizes."""


def write_pictures(folder, count):
    """Two classes of so many noisy pictures, 48 pixels a side."""
    random = np.random.default_rng(0)
    for name, channel in (("blue", 2), ("red", 0)):
        (folder / name).mkdir(parents=True)
        for place in range(count):
            pixels = random.integers(0, 128, (48, 48, 3), dtype=np.uint8)
            pixels[..., channel] += 100
            Image.fromarray(pixels).save(folder / name / f"{place}.png", compress_level=1)
    return folder


def peak(*arguments):
    """The most memory that a command takes, in KiB on Linux."""
    command = [sys.executable, "-m", "benchmark", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss


def test_memory_does_not_grow_with_queries_and_pictures(tmp_path):
    """Eight times the pictures and queries take hardly more memory, to run and to report."""
    peaks = {"run": [], "report": []}
    for times in (1, TIMES):
        data, results = write_pictures(tmp_path / f"of {times}", 60 * times), tmp_path / f"results {times}"
        asked = ("--methods", "null", "--jobs", "1", "--data", data, "--set", f"data.queries={15 * times}")
        peaks["run"].append(peak("run", "--preset", "smoke", "--results", results, *asked))
        peaks["report"].append(peak("report", "--preset", "smoke", "--results", results))
    assert all(many < GROWTH * few for few, many in peaks.values()), peaks
