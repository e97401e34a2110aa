"""How often intervals hold the truth, and stars are false, in simulated tables: `python perf/calibration.py`.

Trainings differ by `spread`, in standard deviations of single queries. A rate p has the same spread in units of
√(p (1 − p)): the rates of trainings come from a beta distribution. Takes some minutes on a core.
"""

import argparse
import math
from collections.abc import Callable

import numpy as np
from tabulate import tabulate

from benchmark.report.paired import paired
from metrics.intervals import Z
from metrics.trainings import over_trainings, share_over_trainings

TRAININGS = (3, 5, 10)
SPREADS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.6)
RATES = (0.5, 0.9, 0.98, 0.995)
QUERIES = 500
SHARED = 0.2
"""Share of a seed's test pictures that another seed tests too, where a data set has no official test split."""
NEW, OLD = "over trainings", "mean of the seeds' intervals"


def coverage(trainings, spread, rate=None, *, tables=2000, rule=NEW, queries=QUERIES, own=0.0, again=False, seed=0):
    """The share of simulated tables whose interval holds the truth, and its standard error.

    `rate` is the true share of successes; None simulates a mean of normal values whose truth is 0. With `own` all seeds
    test the same pictures, and this share of the variance of a query is the picture's own, in every training. With
    `again` it is not the truth that is to be held, but the mean of as many other seeds.
    """
    random = np.random.default_rng(seed)
    held = 0
    for _ in range(tables):
        low, high = _interval(_means(random, trainings, spread, rate, queries, own), rate, rule, queries)
        wanted = _means(random, trainings, spread, rate, queries, own).mean() if again else rate or 0
        held += low <= wanted <= high
    return held / tables, math.sqrt(0.05 * 0.95 / tables)


def _means(random, trainings, spread, rate, queries, own):
    """What the queries of each training give."""
    if rate is None:
        common = random.normal(0, math.sqrt(own / queries))
        return common + random.normal(0, math.sqrt(spread**2 + (1 - own) / queries), trainings)
    return random.binomial(queries, _rates(random, rate, spread, trainings)) / queries


def _interval(means, rate, rule, queries):
    """The interval that tables show, or showed."""
    errors = np.sqrt((np.ones_like(means) if rate is None else means * (1 - means)) / queries)
    if rule == OLD:
        return means.mean() - Z * errors.mean(), means.mean() + Z * errors.mean()
    return over_trainings(means, errors) if rate is None else share_over_trainings(means, [queries] * len(means))


def _rates(random, rate, spread, trainings):
    if not spread:
        return np.full(trainings, rate)
    concentration = 1 / spread**2 - 1
    return random.beta(rate * concentration, (1 - rate) * concentration, trainings)


def false_stars(trainings, spread, rate=None, *, comparisons=1000, shared=SHARED, queries=200, seed=0):
    """The share of comparisons of two equal methods that come out as more than chance, and its standard error.

    `spread` is of the difference between trainings of the two. Two seeds have the share `shared` of their pictures in
    common; half of the variance of a difference is the picture's own. With a `rate` the answers of both methods flip or
    do not, independently given their trainings' rates, which have that spread.
    """
    random = np.random.default_rng(seed)
    images = _images(random, trainings, queries, shared)
    seeds = np.repeat(np.arange(trainings), queries)
    if rate is None:
        of_image = random.normal(0, 1, (images.max() + 1, comparisons))[images]
        own = random.normal(0, 1, (len(images), comparisons))
        apart = random.normal(0, spread, (trainings, comparisons))
        differences = apart[seeds] + math.sqrt(0.5) * (of_image + own)
    else:
        flips = [
            random.random((len(images), comparisons)) < _rates(random, rate, spread, (trainings, comparisons))[seeds]
            for _ in range(2)
        ]
        differences = flips[0].astype(float) - flips[1]
    found = [row for part in np.array_split(differences, 10, axis=1) for row in paired(part, images, seeds)]
    stars = np.array([row.p < 0.05 if trainings < 3 else row.sure for row in found])
    return float(stars.mean()), math.sqrt(0.05 * 0.95 / comparisons)


def _images(random, trainings, queries, shared):
    """Which picture each query of each seed is: each seed draws its own from so many that `shared` of them recur."""
    total = max(queries, round(queries / shared)) if shared else trainings * queries
    if not shared:
        return np.arange(trainings * queries)
    return np.concatenate([random.choice(total, queries, replace=False) for _ in range(trainings)])


def table(rows: list[tuple], value: Callable[..., tuple[float, float]], **how) -> str:
    """A row each of `rows`, (words, arguments), a column each spread."""
    made = [
        [words, *(f"{100 * value(*arguments[:1], spread, *arguments[1:], **how)[0]:.1f}" for spread in SPREADS)]
        for words, arguments in rows
    ]
    return tabulate(
        made, headers=["", *(f"{spread:g}" for spread in SPREADS)], tablefmt="github", disable_numparse=True
    )


def main() -> None:
    """Print all tables, by spread."""
    kinds = [("a mean", None), *((f"a rate of {100 * rate:g} %", rate) for rate in RATES)]
    rows = [(f"{name}, {count} seeds", (count, rate)) for name, rate in kinds for count in TRAININGS]
    print(f"The interval holds the mean over trainings and queries, % of 2,000 tables, {QUERIES} queries:\n")
    print(table(rows, coverage), flush=True)
    same = [(f"a mean, {count} seeds", (count, None)) for count in TRAININGS]
    print("\nThe same where all seeds test the same pictures, and 30 % of a query's variance is the picture's own:\n")
    print(table(same, coverage, own=0.3))
    print("\nThe interval holds the mean of as many other seeds:\n")
    print(table(rows[:9], coverage, again=True), flush=True)
    print(f"\nThe {OLD}, which stood in tables before, hold the truth:\n")
    print(table(rows[:3], coverage, rule=OLD), flush=True)
    print("\nTwo equal methods differ by p < .05 (of 3 seeds and more: a star), % of 1,000 comparisons, 200 queries:\n")
    stars = [(f"{name}, {count} seeds", (count, rate)) for name, rate in kinds[:3] for count in (1, 2, 3, 5)]
    print(table(stars, false_stars), flush=True)
    print("\nThe same where all seeds test the same pictures:\n")
    print(table(same[:2], false_stars, shared=1.0))


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    main()
