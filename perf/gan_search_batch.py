"""What searching queries in one batch saves over a loop that searches them one by one, and whether the answers agree.

Prints the ratio of the two, measured in one process: `python perf/gan_search_batch.py` (minutes). The generator and
the classifier are trained for a moment only: what a step costs does not depend on how good they are.
"""

import argparse

import torch
from timing import timed
from torch import Tensor

from benchmark.data import Source
from benchmark.data.tasks import load_task, split
from benchmark.jobs.settings import method_config
from benchmark.judges.classifier import ClassifierConfig, train
from methods.gan_search.method import GanSearch
from methods.training import Trainer

QUERIES = 48
SHORT = {"min_steps": 300, "epochs": 1, "encoder_min_steps": 150, "encoder_epochs": 1, "bank": 500}


def main() -> None:
    """Time the batch and the loop on the same queries, and compare their answers."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    splits = split(load_task("mnist", Source()), seed=0)
    classifier = train(ClassifierConfig(epochs=2), splits.train, 10, Trainer(seed=0))
    images = splits.validation.first(QUERIES).batch(slice(None))
    for name in ("gan-search", "gan-search-bank"):
        method = GanSearch(method_config(name, "default", {name: SHORT}))
        method.fit(splits.train, classifier, trainer=Trainer(seed=0))
        compare(name, method, images, (classifier(images).argmax(1) + 1) % 10)


@torch.no_grad()
def compare(name: str, method: GanSearch, images: Tensor, target: Tensor) -> None:
    """Print the ratio of times, and how far the answers of the two are apart."""

    def answers(rows: slice) -> Tensor:
        return method.explain(images[rows], target[rows], [0.0]).images[0]

    answers(slice(1))  # warm up
    together, batched = timed(lambda: answers(slice(None)))
    alone, looped = timed(lambda: torch.cat([answers(slice(row, row + 1)) for row in range(QUERIES)]))
    apart = (together - alone).abs().flatten(1).amax(1) * 255
    print(
        f"{name}: one by one / batched = {looped / batched:.2f} on {QUERIES} queries (goal: at least 3); "
        f"{int((apart < 1).sum())} of {QUERIES} answers agree to a grey level, the median to {apart.median():.1g}"
    )


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    main()
