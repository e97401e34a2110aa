"""What scoring 1,000 queries at 6 relaxations costs on one thread: `python perf/scoring.py` (half a minute).

Prints the CPU seconds of all metrics as a share of their goal, and which metrics and networks they go to. Random images
and untrained networks of the default sizes cost what real ones do.
"""

import argparse
import time
from collections import Counter

import torch
from threadpoolctl import threadpool_limits

import metrics
from benchmark.jobs import evidence, measure
from benchmark.jobs.evidence import Answers, Networks, Reals
from benchmark.jobs.settings import ORACLES
from benchmark.judges.autoencoders import AutoencoderConfig, Autoencoders
from benchmark.judges.classifier import ClassifierConfig, ConvClassifier
from benchmark.judges.features import penultimate
from benchmark.judges.panel import Panel

GOAL = 40.0
"""Seconds, without Inception."""
QUERIES, RELAXATIONS, REALS, SHAPE, CLASSES = 1000, 6, 500, (1, 28, 28), 10
EVIDENCE = (
    (measure, "once"),
    (evidence, "_answer_evidence"),
    (evidence, "_path_evidence"),
    (evidence, "_restored_evidence"),
)


def pictures(*count):
    """Random 8-bit images."""
    return torch.randint(256, (*count, *SHAPE), dtype=torch.uint8)


def answers():
    """Answers of the default run's size."""
    probes = {"null_edits": pictures(100), "undone": pictures(100), "draws": pictures(100, 2)}
    return Answers(
        queries=pictures(QUERIES),
        targets=torch.randint(CLASSES, (QUERIES,)),
        images=pictures(RELAXATIONS, QUERIES),
        reconstructions=pictures(QUERIES),
        relaxations=[r / 5 for r in range(RELAXATIONS)],
        diagnostics={"nll": torch.randn(QUERIES), "kl": torch.randn(QUERIES)},
        samples=pictures(REALS),
        probes=probes,
    )


def networks():
    """Untrained networks of the default sizes."""
    classifier = ConvClassifier(ClassifierConfig(), SHAPE, CLASSES).eval()
    members = [ConvClassifier(section.resolved("default", {}), SHAPE, CLASSES) for section in ORACLES.values()]
    panel = Panel(members).eval()
    parts = list(Autoencoders(AutoencoderConfig(), SHAPE, CLASSES).eval().parts)
    return Networks(classifier, panel.each, {"oracle": penultimate(panel)}, torch.device("cpu"), parts)


def timed(spent, name, function):
    """`function`, with the seconds that it takes added to `spent[name]`."""

    def call(*arguments, **options):
        started = time.process_time()
        try:
            return function(*arguments, **options)
        finally:
            spent[name] += time.process_time() - started

    return call


def main():
    """Print a share of the goal, then what took how long."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    spent = Counter()
    for module, name in EVIDENCE:
        setattr(module, name, timed(spent, f"networks: {name.strip('_').replace('_', ' ')}", getattr(module, name)))
    load = metrics.Metric.load
    metrics.Metric.load = lambda metric: timed(spent, metric.function.split(":")[1], load(metric))
    with threadpool_limits(1):
        started = time.process_time()
        measure.measure(answers(), Reals(pictures(REALS)), networks())
        seconds = time.process_time() - started
    print(f"all metrics: {seconds:.1f} s, {seconds / GOAL:.2f} of the goal of {GOAL:g} s")
    for name, part in spent.most_common():
        print(f"  {part:6.2f} s  {name}")


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    main()
