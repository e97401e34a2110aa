"""How well the classifier and the oracles read corrupted pictures: `python perf/oracles.py [SPLIT [TASK ...]]`.

Prints, for one task each, accuracy in % on the pictures of a split (validation by default), clean and under each
corruption. The panel's settings were chosen so that it loses at most two points under each.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch

from benchmark.data import Subset
from benchmark.data.tasks import check_name
from benchmark.errors import UserError
from benchmark.jobs.protocol import Job, Protocol
from benchmark.jobs.work import Work
from benchmark.judges.classifier import Network, accuracy, after
from benchmark.judges.corruptions import named

TASKS = ("mnist", "avatars/Smiling")


def main(split: str, tasks: Sequence[str]) -> None:
    """Train the judges of each task, seed 0, and print their table."""
    for task in tasks:
        check_name(task)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for task in tasks:
            print(
                f"{task}\n{table(Work(Job(task, 'null', 0), Protocol(Path(folder))), split).to_markdown()}\n",
                flush=True,
            )


def table(work: Work, split: str) -> pd.DataFrame:
    """A row a judge, a column a corruption."""
    judges = [work.classifier, *work.oracle.members, work.oracle]
    names = ["classifier", *(member.role for member in work.oracle.members), "panel"]
    seconds = [judge.made()[1].fit_seconds for judge in judges]
    subset = work.question.splits.named(split)
    found = [accuracies(judge.network(), subset) for judge in judges]
    return pd.DataFrame(found, names).round(1).assign(n=len(subset), seconds=[round(each) for each in seconds])


def accuracies(network: Network, subset: Subset) -> dict[str, float]:
    """Accuracy in % on clean pictures, and under each corruption."""
    cpu = torch.device("cpu")
    under = {name: after(corrupt, network) for name, corrupt in named(subset.shape[0]).items()}
    return {name: 100 * accuracy(seen, subset, cpu) for name, seen in {"clean": network, **under}.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("split", nargs="?", choices=("validation", "test"), default="validation")
    parser.add_argument("tasks", nargs="*", metavar="TASK", default=TASKS, help=f"by default {' and '.join(TASKS)}")
    given = parser.parse_args()
    try:
        main(given.split, given.tasks)
    except UserError as error:
        parser.error(str(error))
