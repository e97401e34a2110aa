"""How often `benchmark bias` would find a bias, by queries and seeds: `python perf/bias_power.py`.

Two methods are simulated, in the form of `benchmark.bias.power`. The quiet one changes 5 % of the attributes by chance,
and its trainings tilt each attribute's score by .02; the loud one 20 % and .1. Biased classifiers follow the planted
attribute in 74 % of the queries, since the exact edit flips 48 % of them (docs/bias.md). A minute on a core.
"""

import argparse

import torch
from tabulate import tabulate

from benchmark.bias.power import Planted, Unbiased, power

METHODS = {"quiet": (0.05, 0.02), "loud": (0.2, 0.1)}
"""Name -> share of attributes that change by chance, standard deviation of trainings' tilts."""
SEEDS, QUERIES, PUSHES = (3, 5, 10), (160, 240, 320, 640), (0.1, 0.3, 0.5)
TRAININGS, POOL, ATTRIBUTES, FOLLOWS = 40, 2000, 12, 0.74
PLANTED = Planted(torch.tensor([-1, *[0] * (ATTRIBUTES - 1)]), 0, torch.tensor([False, *[True] * (ATTRIBUTES - 1)]))


def simulated(noise, tilt):
    """Answers of many trainings without the bias, and targets of biased classifiers."""
    random = torch.Generator().manual_seed(1)

    def below(share, *shape):
        return torch.rand(*shape, generator=random) < share

    before = below(0.5, POOL, ATTRIBUTES).expand(TRAININGS, -1, -1)
    target = below(0.5, TRAININGS, POOL).long()
    tilts = tilt * torch.randn(TRAININGS, 1, ATTRIBUTES, generator=random)
    after = torch.where(below(noise, TRAININGS, POOL, ATTRIBUTES), ~before, before)
    wanted = torch.where(tilts > 0, target[..., None], 1 - target[..., None]).bool()
    after = torch.where(below(tilts.abs(), TRAININGS, POOL, ATTRIBUTES), wanted, after)
    has = before[0, :, 0]
    asked = torch.where(below(FOLLOWS, TRAININGS, POOL), has, ~has).long()
    valid = torch.ones(TRAININGS, POOL, dtype=torch.bool)
    return Unbiased(before, after.long() - before.long(), target, valid), asked


def main():
    """Print the power of each method, in %."""
    rows = []
    for name, (noise, tilt) in METHODS.items():
        unbiased, asked = simulated(noise, tilt)
        for seeds in SEEDS:
            for queries in QUERIES:
                found = [power(unbiased, asked, PLANTED, push, (seeds, queries), count=100) for push in PUSHES]
                rows.append([name, seeds, queries, *(f"{100 * share:.0f}" for share in found)])
    headers = ["method", "seeds", "queries", *(f"push of {100 * push:.0f} points, found %" for push in PUSHES)]
    print(tabulate(rows, headers=headers, tablefmt="github"))


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    main()
