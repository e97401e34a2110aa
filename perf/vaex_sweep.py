"""What the six-point sweep of `vaex` costs beside one encoding and six decodings of the bare network.

Prints the ratio of medians, measured alternately in this one process: `python perf/vaex_sweep.py`.
"""

import argparse
from statistics import median

import torch
from timing import timed

from benchmark.jobs.settings import method_config
from methods.vaex.method import Vaex
from methods.vaex.model import centred

RELAXATIONS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
ROUNDS = 7


class Bare(torch.nn.Module):
    """A classifier that costs nothing: the sweep asks it no question."""

    class_count = 10


def main() -> None:
    """Time the sweep and its bare parts in turns."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    method = Vaex(method_config("vaex", "default", {}))
    network = method.prepare((1, 28, 28), Bare())
    network.eval()
    images = torch.rand(250, 1, 28, 28)
    target = torch.randint(10, (250,))
    xi = centred(torch.softmax(torch.randn(250, 10), 1))

    def sweep() -> None:
        method.explain(images, target, RELAXATIONS)

    def bare() -> None:
        features, noise = network.bottom_up(images, xi), network.noise(len(images))
        for _ in RELAXATIONS:
            network.top_down(features, xi, noise)

    with torch.no_grad():
        sweep()  # warm up
        bare()
        times = [(timed(sweep)[1], timed(bare)[1]) for _ in range(ROUNDS)]
    ratio = median(swept for swept, _ in times) / median(done for _, done in times)
    print(f"six-point sweep / (one encoding + six decodings) = {ratio:.3f}   (goal: at most 1.1)")


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    main()
