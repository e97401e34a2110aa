"""What a six-point sweep costs beside its bare networks: `python perf/sweeps.py FOLDER`.

Of the families that answer by evaluating networks, without a search along gradients. (`vaex_sweep.py` compares `vaex`
with its bare encoding and decodings.) Asks the fitted methods of the results folder FOLDER, fits those that are not
there, and counts the CPU seconds inside the layers of the generator and of the classifier. A sweep that took nothing
else would cost 1.00. What is no layer, such as a sum, counts as the sweep's own, so no ratio is too small. Takes half a
minute, once everything is fitted.
"""

import argparse
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from arguments import writable
from timing import timed
from torch import nn

from benchmark.arguments import protocol_of
from benchmark.errors import UserError
from benchmark.jobs.fit import fit, fitted
from benchmark.jobs.protocol import Job
from benchmark.jobs.work import Work
from methods.base import Method

METHODS = ("hybrid", "dvae", "leap")
RELAXATIONS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
QUERIES = 250
GOAL = 1.1


def main(folder: Path) -> None:
    """Print the ratio of each family."""
    torch.set_num_threads(1)
    for name in METHODS:
        work = Work(Job("mnist", name, 0), protocol_of(folder, "default"))
        method = fitted(work, fit(work))
        images = work.question.queries.batch(slice(0, QUERIES))
        targets = (work.question.queries.labels[:QUERIES] + 1) % work.question.class_count
        swept(method, images, targets)  # warm up
        with inside_layers(method) as layers:
            whole = swept(method, images, targets)
        ratio = whole / sum(layers)
        print(f"{name}: six points / layers = {whole:.2f} s / {sum(layers):.2f} s = {ratio:.2f} (goal: at most {GOAL})")


def swept(method: Method, images: torch.Tensor, targets: torch.Tensor) -> float:
    """CPU seconds of a sweep."""
    torch.manual_seed(0)
    with torch.no_grad():
        return timed(lambda: method.explain(images, targets, RELAXATIONS))[1]


@contextmanager
def inside_layers(method: Method) -> Iterator[list[float]]:
    """A list that grows by the CPU seconds of every call of a layer of the method's networks and of its classifier."""
    seconds, started = [], []
    networks = [network for network in vars(method).values() if isinstance(network, nn.Module)]
    layers = {layer for network in networks for layer in network.modules() if not [*layer.children()]}
    with ExitStack() as hooks:
        for layer in layers:
            before = layer.register_forward_pre_hook(lambda *_: started.append(time.process_time()))
            after = layer.register_forward_hook(lambda *_: seconds.append(time.process_time() - started.pop()))
            hooks.callback(before.remove)
            hooks.callback(after.remove)
        yield seconds


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=writable, help="a results folder")
    try:
        main(parser.parse_args().folder)
    except UserError as error:
        parser.error(str(error))
