"""Make every published number anew, at one commit: `python results/make.py FOLDER`.

Runs the commands of `stages` one after another, all into FOLDER; the audit has a folder of its own in it. It needs
nobody: started again, it goes on where it was stopped, and a job that fails does not end it. FOLDER/cost.csv has what
each stage took. Then `python results/publish.py FOLDER` takes the pages over. `--preset smoke` makes small ones; other
options, such as `--jobs 1`, go to every stage that computes.
"""

import argparse
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

STRANGER = "digit_recognizer"
"""A package of PyPI with a classifier that nobody here trained (`pip install digit-recognizer-py`)."""

FAILED_JOBS = 1
"""Exit code of a command that ended, and some of whose jobs failed."""


def main(folder: Path, preset: str, options: Sequence[str] = ()) -> int:
    """Run what is not done yet; 0, 1 if jobs failed, or the exit code of the command that could not run."""
    folder.mkdir(parents=True, exist_ok=True)
    worst = 0
    for name, command in stages(folder, preset, options).items():
        print(f"== {name}: benchmark {shlex.join(command)}", flush=True)
        wall, processor = time.time(), cpu_seconds()
        code = subprocess.run([sys.executable, "-m", "benchmark", *command], check=False).returncode  # noqa: S603
        note(folder / "cost.csv", name, time.time() - wall, cpu_seconds() - processor)
        if code not in (0, FAILED_JOBS):
            print(
                f"{name} ended with {code}; once the cause is mended, the same folder goes on from here",
                file=sys.stderr,
            )
            return code
        worst = max(worst, code)
    print(cost(folder / "cost.csv"))
    return worst


def stages(folder: Path, preset: str, options: Sequence[str] = ()) -> dict[str, list[str]]:
    """Stage -> the command that makes it: five seeds on digits, three on every other task."""
    size, here = ["--preset", preset], ["--results", str(folder)]
    computed = [*size, *here, *options]
    faces = "avatars/Smiling,avatars/Eyeglasses,avatars/Young"
    return {
        "digits": ["run", "--methods", "all", "--seeds", "0,1,2,3,4", *computed],
        "3 against 8": ["run", "--methods", "all", "--tasks", "mnist/3-8", "--seeds", "0,1,2", *computed],
        "faces": ["run", "--methods", "all", "--tasks", faces, "--seeds", "0,1,2", *computed],
        "papers": ["paper", "all", "--seeds", "0", *computed],
        "biases": ["bias", "--planted", "Male-on-Smiling,Eyeglasses-on-Young", *computed],
        "audit": ["audit", "--methods", "all", *stranger(), *size, "--results", str(folder / "audit"), *options],
        "tables and figures": ["report", "--format", "md,png", *size, *here],
    }


def stranger() -> list[str]:
    """The options that name the stranger's classifier of digits, and what it wants to be fed."""
    package = find_spec(STRANGER)
    if package is None or package.origin is None:
        print("the audit needs its classifier: pip install digit-recognizer-py", file=sys.stderr)
        sys.exit(2)
    weights = Path(package.origin).parent / "models" / "handwriting_model.pth"
    spec = ["--classifier", f"{STRANGER}.model:CNN", "--classifier-weights", str(weights)]
    return [*spec, "--input", "mean=.1307 std=.3081", "--features", "fc_layers.0"]


def note(file: Path, stage: str, wall: float, processor: float) -> None:
    """Add a row to the csv `file`: a stage, its hours on the clock and of processors."""
    row = pd.DataFrame([{"stage": stage, "hours": wall / 3600, "CPU hours": processor / 3600}])
    row.to_csv(file, mode="a", header=not file.exists(), index=False)


def cost(file: Path) -> str:
    """The hours of each stage, over all times that it was begun."""
    table = pd.read_csv(file).groupby("stage", sort=False).sum()
    table.loc["all"] = table.sum()
    return table.to_markdown(floatfmt=".2f")


def cpu_seconds() -> float:
    """Processor time of the programs that this one started and that ended, in seconds."""
    times = os.times()
    return times.children_user + times.children_system


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make every published number anew.", allow_abbrev=False)
    parser.add_argument("folder", type=Path, help="what is written to; the same folder goes on where it was stopped")
    parser.add_argument("--preset", default="default", choices=("smoke", "default", "paper"))
    given, others = parser.parse_known_args()
    if given.folder.exists() and not given.folder.is_dir():
        parser.error(f"{given.folder} is a file; name a folder")
    try:
        given.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"cannot write to {given.folder} ({error.strerror}); name another folder")
    sys.exit(main(given.folder, given.preset, others))
