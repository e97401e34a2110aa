"""How long a newcomer waits: the default run from nothing, the same again, and the smoke run.

Prints each as a share of its goal: `python perf/run_times.py` (ten minutes on two cores).
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

GOALS = {"default, from nothing": 480.0, "default, everything on disk": 10.0, "smoke, from nothing": 60.0}
"""Seconds on two CPU cores."""


def main() -> None:
    """Run the real command line in a folder that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        for name, goal in GOALS.items():
            preset = name.partition(",")[0]
            taken = seconds("--preset", preset, "--results", str(Path(folder) / preset))
            print(f"{name}: {taken:.1f} s = {taken / goal:.2f} of its goal of {goal:.0f} s", flush=True)


def seconds(*arguments: str) -> float:
    """Wall-clock time of ``benchmark run --methods all`` with `arguments`."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "benchmark", "run", "--methods", "all", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
