"""The test of a training that failed: its output says next to nothing of the classifier's classes."""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from methods.base import Study

LEAST_KAPPA = 0.2
"""A training whose κ is smaller has collapsed: an agreement that Landis and Koch (1977) call slight, or none.

It is no higher, because a classifier that misreads blur sees other classes in pictures that are right.
"""
ATTEMPTS = 2
"""Trainings of one part, at most: a collapsed one is followed by another, with other random numbers."""
Part = Literal["dvae", "generator"]
PARTS: Mapping[Part, str] = {"dvae": "discrete latent: f_K(φ')", "generator": "generator: f(g(φ'))"}
"""Trained part -> what it makes of a query, whose class its κ compares with the query's, f_K(φ)."""


def kappa(first: Tensor, second: Tensor) -> float:
    """Cohen's κ of two classifications (N,) of the same images, in [-1, 1]: 1 if they agree, 0 as by chance.

    Dead latents give every image one class and κ = 0. It is 1 if both know one class only, the same one.

    References
    ----------
    Cohen, A coefficient of agreement for nominal scales, 1960.

    """
    classes = int(torch.cat([first, second]).max()) + 1
    shares = [part.bincount(minlength=classes) / len(part) for part in (first, second)]
    chance, agreed = float(shares[0] @ shares[1]), float((first == second).double().mean())
    return 1.0 if chance == 1 else (agreed - chance) / (1 - chance)


def restart(module: nn.Module, seed: int) -> None:
    """Draw the weights of all layers of `module` anew, under a seed of their own."""
    torch.manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            layer.reset_parameters()


def told(attempts: Mapping[Part, Sequence[float]]) -> Study:
    """The table of the trainings; `attempts`: part -> κ of each of its trainings, in order."""
    rows: list[dict[str, str | int | float]] = [
        {
            "training": PARTS[part],
            "attempt": attempt,
            "kappa": found,
            "collapsed": "yes" if found < LEAST_KAPPA else "no",
        }
        for part, kappas in attempts.items()
        for attempt, found in enumerate(kappas, 1)
    ]
    return Study(
        title="trainings, tested for collapse",
        rows=rows,
        notes=(
            "kappa: Cohen's κ, how far the class of this is that of the image itself; 1: always, 0: as by chance",
            f"a training with κ below {LEAST_KAPPA:g} has collapsed and is made once more, from other random numbers; "
            "the last attempt answers, collapsed or not",
        ),
    )
