"""What an answer costs beside alibi's Counterfactual, and what it is worth: `python perf/beside_alibi.py FOLDER ALIBI`.

ALIBI is the Python of an environment in which `perf/alibi_answers.py` runs. FOLDER is a results folder of its own; what
is trained there is used again, and training is not in the times. All answer the same exported questions on one thread,
in one run of this script; alibi's go the way of any program's, through `benchmark export` and `benchmark score`. Takes
minutes, and the trainings.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import torch
from arguments import positive, writable
from timing import timed

import benchmark

ANSWERS = Path(__file__).with_name("alibi_answers.py")
METHODS = ("pixel-search", "gan-search", "vaex", "hybrid", "dvae", "leap", "fastdime", "patch-swap")
NUMBERS = ("flip_rate", "oracle_aware_flips", "l1", "mse")
NAME = "alibi-counterfactual"


def main(folder: Path, alibi: str, count: int) -> None:
    """Print a row a method: CPU seconds an answer, alibi's as a multiple of it, and what the judges say at r = 0."""
    torch.set_num_threads(1)
    questions, answers = folder / "questions", folder / "answers"
    asked = ["--limit", str(count), "--results", str(folder)]
    command("run", "--methods", ",".join(METHODS), "--jobs", "1", *asked)
    if not questions.exists():
        command("export", "--task", "mnist", "--out", str(questions), *asked)
    targets = pd.read_csv(questions / "targets.csv", dtype=str).target.tolist()
    taken = {name: seconds(name, folder, targets) for name in METHODS}
    shutil.rmtree(answers, ignore_errors=True)
    done = subprocess.run([alibi, ANSWERS, questions, answers], check=True, stdout=subprocess.PIPE, text=True)
    taken[NAME] = float(done.stdout.split()[-1])
    command("score", str(questions), str(answers), "--name", NAME, "--results", str(folder))
    rows = benchmark.read(folder)
    whole = (rows.relaxation == 0) | (rows.metric == "mse")  # reconstructions have no r
    judged = rows[whole & (rows.subset == "all") & rows.metric.isin(NUMBERS)]
    table = judged.pivot_table("value", "method", "metric")[list(NUMBERS)]
    table.insert(0, "CPU seconds an answer", pd.Series(taken))
    table.insert(1, "alibi / this", taken[NAME] / table["CPU seconds an answer"])
    print(table.sort_values("CPU seconds an answer").to_markdown(floatfmt=".3g"))


def command(*arguments: str) -> None:
    """The real command line; what it prints is not wanted here."""
    subprocess.run([sys.executable, "-m", "benchmark", *arguments], check=True, stdout=subprocess.DEVNULL)


def seconds(name: str, folder: Path, targets: list[str]) -> float:
    """CPU seconds of one answer at r = 0, mean over the questions."""
    explainer = benchmark.fit(name, "mnist", results=folder)
    queries = explainer.queries(len(targets))
    explainer.explain(queries[:1], targets[:1])  # warm up
    return timed(lambda: explainer.explain(queries, targets))[1] / len(targets)


def why_not(alibi: str) -> str:
    """Why this Python cannot run `alibi_answers.py`, in a line; empty if it can."""
    tried = subprocess.run([alibi, ANSWERS, "--help"], check=False, capture_output=True, text=True)
    return (tried.stderr.splitlines() or [f"exit code {tried.returncode}"])[-1] if tried.returncode else ""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=writable, help="results folder of its own")
    parser.add_argument("alibi", help="the Python of an environment with alibi")
    parser.add_argument("--count", type=positive, default=20, help="questions")
    given = parser.parse_args()
    if shutil.which(given.alibi) is None:
        parser.error(f"{given.alibi} is no program; name the Python of an environment with alibi")
    if reason := why_not(given.alibi):
        parser.error(f"{given.alibi} cannot run {ANSWERS.name} ({reason}); name one of an environment with alibi")
    main(given.folder, given.alibi, given.count)
