"""What the probe's estimate of the Fisher information saves over its exact forms, and how near it comes to them.

Prints ratios of processor time and cosines, measured in one process: `python perf/fisher.py` (a minute). Classifier,
DVAE and generator are trained for a moment only: what a derivative costs does not depend on how good they are.
"""

import argparse
from functools import partial

import torch
from timing import timed

from benchmark.data import Source
from benchmark.data.tasks import load_task, split
from benchmark.jobs.settings import method_config
from benchmark.judges.classifier import ClassifierConfig, train
from methods.dvae.method import Dvae
from methods.training import Trainer
from metrics.fisher import fisher_information, shared_information

QUERIES = 64
SHORT = {"min_steps": 300, "epochs": 1, "generator_min_steps": 100, "generator_epochs": 1, "regulariser": "none"}
EXACT = (("coordinate", 3), ("joint", 32))
PROBES = (1, 8, 32)


@torch.no_grad()
def main() -> None:
    """Time all forms around φ' of the same queries, and compare them."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with torch.enable_grad():
        splits = split(load_task("mnist", Source()), seed=0)
        classifier = train(ClassifierConfig(epochs=2), splits.train, 10, Trainer(seed=0))
        method = Dvae(method_config("dvae", "default", {"dvae": SHORT}))
        method.fit(splits.train, classifier, trainer=Trainer(seed=0))
    dvae = method.network.dvae
    own = dvae.decode(dvae.encode(classifier.features(splits.validation.first(QUERIES).batch(slice(None)))))
    information = partial(fisher_information, partial(method.network.log_pixels, "plain"), own)
    estimates = {draws: warm(information, "probe", draws) for draws in PROBES}
    for form, draws in EXACT:
        exact, slow = warm(information, form, draws)
        for probes, (estimate, fast) in estimates.items():
            cosine = shared_information(estimate, exact).mean()
            print(
                f"{form}, {draws} draws / probe, {probes} draws = {slow / fast:.0f} (goal: at least 50); "
                f"cosine of the two {cosine:.3f} (goal: at least .98), mean of {QUERIES} queries"
            )


def warm(information, form, draws):
    """The information in one form, and its processor time in seconds."""
    information(form, 1)  # warm up
    return timed(partial(information, form, draws))


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    main()
