"""How many times as fast FastDiME is as DiME: from full depth, over the default sweep, and at DiME's own step counts.

Prints ratios of processor time, measured in one process: `python perf/fastdime.py` (a minute or two). The network and
the classifier are not trained: what a step costs does not depend on how good they are. One scale of guidance each.
"""

import time

import torch

from benchmark.jobs.settings import CLASSIFIER, method_config
from benchmark.judges.classifier import ConvClassifier
from methods.diffusion.dime import Dime

SHAPE = (1, 28, 28)
SWEEP = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
QUERIES = 16
GOAL = 8


def main() -> None:
    """Time both on the same queries."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    classifier = ConvClassifier(CLASSIFIER.resolved("default", {}, 1), SHAPE, 10).eval().requires_grad_(False)
    compare("full depth, default", classifier, QUERIES, (0.0,), {})
    compare("sweep, default", classifier, QUERIES, SWEEP, {})
    compare("full depth, 60 of 200 steps", classifier, 4, (0.0,), {"steps": 200, "depth": 0.3})


@torch.no_grad()
def compare(
    what: str, classifier: ConvClassifier, count: int, relaxations: tuple[float, ...], settings: dict[str, object]
) -> None:
    """Print milliseconds a query of both, and their ratio."""
    images, target = torch.rand(count, *SHAPE), torch.arange(count) % 10
    taken = {}
    for name in ("fastdime", "dime"):
        method = Dime(method_config(name, "default", {name: {"scales": (8.0,), **settings}}))
        method.prepare(SHAPE, classifier).eval()
        method.explain(images[:1], target[:1], (0.8,))  # warm up
        started = time.process_time()
        method.explain(images, target, relaxations)
        taken[name] = 1000 * (time.process_time() - started) / count
    ratio = taken["dime"] / taken["fastdime"]
    told = ", ".join(f"{name} {value:.0f} ms" for name, value in taken.items())
    print(f"{what}: {told} a query; DiME / FastDiME = {ratio:.1f} (goal: at least {GOAL})")


if __name__ == "__main__":
    main()
