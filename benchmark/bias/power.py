"""What size of bias could have been missed: known biases are put into a method's own unbiased answers.

"Not discovered" says little without it. A simulated experiment draws trainings and queries from those in which there is
no bias, gives them the targets of the biased classifiers, and lets a share of the answers, the push, end with the
planted attribute as the bias wants it. Whatever a method changes by chance, and however much its trainings differ,
stays as it was measured.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from metrics.bias import Side, bias, standardised

PUSHES = (0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
"""Shares of answers that are pushed."""
FOUND = 0.8
"""The share of experiments in which a push has to be discovered, not to be called missed; by convention."""
EXPERIMENTS, REPLICATES = 40, 200
"""Simulated experiments of each push, and replicates of their bootstraps: the power is known to 6 points at 80 %."""


class Unbiased(NamedTuple):
    """Answers to P classifiers without the bias: N queries, K attributes."""

    before: Tensor
    """(P, N, K) bool: the attributes of the reconstructions."""
    changes: Tensor
    """(P, N, K) of -1, 0 and 1: whether an attribute appears or vanishes in the answer, whatever the target."""
    target: Tensor
    """(P, N) of 0 and 1."""
    valid: Tensor
    """(P, N) bool: whether the answer has the target class."""

    def drawn(self, trainings: Tensor, queries: Tensor) -> "Unbiased":
        """Those of some trainings and queries."""
        return Unbiased(*(part[trainings][:, queries] for part in self))

    @property
    def strict(self) -> Side:
        """The sides that the strict lead contrasts, of signed changes."""
        return standardised(self.all, self.before, self.target)

    @property
    def all(self) -> Side:
        """The sides that the lead contrasts, of signed changes."""
        return Side(self.changes * (2 * self.target - 1)[..., None], self.valid).all


class Planted(NamedTuple):
    """What a bias would move."""

    directions: Tensor
    """(K,) of -1, 0 and 1: of the planted family."""
    place: int
    """The planted attribute's."""
    outside: Tensor
    """(K,) bool: the attributes that it competes with."""

    @property
    def alone(self) -> Tensor:
        """The direction of the attribute itself, 0 for its family."""
        return self.directions * (torch.arange(len(self.directions)) == self.place)


def power(
    unbiased: Unbiased, asked: Tensor, planted: Planted, push: float, size: tuple[int, int], *, count: int = EXPERIMENTS
) -> float:
    """The share of `count` simulated experiments in which a bias of this `push` is discovered.

    Parameters
    ----------
    unbiased
        Answers without the bias.
    asked
        (S, N) of 0 and 1: the targets of the biased classifiers on the same queries.
    planted
        What the bias moves.
    push
        The share of answers that it moves, in [0, 1].
    size
        Seeds and queries of an experiment.
    count
        Experiments.

    """
    random = torch.Generator().manual_seed(0)
    return sum(_discovered(unbiased, asked, planted, push, size, random) for _ in range(count)) / count


def missed(unbiased: Unbiased, asked: Tensor, planted: Planted) -> float | None:
    """The smallest of `PUSHES` from which on `FOUND` of the experiments discover the bias; None if none."""
    size = (len(asked), asked.shape[1])
    seen = [power(unbiased, asked, planted, push, size) >= FOUND for push in PUSHES]
    last_missed = max((place for place, found in enumerate(seen) if not found), default=-1)
    return PUSHES[last_missed + 1] if last_missed + 1 < len(PUSHES) else None


def in_words(smallest: float | None) -> str:
    """A cell of the table: what was surely not missed."""
    if smallest is None:
        return f"any, even of {100 * PUSHES[-1]:.0f} points"
    return f"below {100 * smallest:.0f} points"


def _discovered(
    unbiased: Unbiased,
    asked: Tensor,
    planted: Planted,
    push: float,
    size: tuple[int, int],
    random: torch.Generator,
) -> bool:
    """Whether both leads of one simulated experiment are above 0."""
    seeds, count = size
    queries = torch.randint(asked.shape[1], (count,), generator=random)
    without, other = (
        unbiased.drawn(torch.randint(len(unbiased.valid), (seeds,), generator=random), queries) for _ in range(2)
    )
    target = asked[torch.randint(len(asked), (seeds,), generator=random)][:, queries]
    biased = _pushed(other, target, planted, torch.rand(seeds, count, generator=random) < push)
    pairs = ((biased.all, without.all, planted.directions), (biased.strict, without.strict, planted.alone))
    return all(bias(*pair, planted.outside, replicates=REPLICATES).discovered for pair in pairs)


def _pushed(answers: Unbiased, target: Tensor, planted: Planted, which: Tensor) -> Unbiased:
    """The `answers` for another `target`, those in `which` (S, N) with the planted attribute as the bias wants it."""
    here = planted.place
    wanted = target.bool() if planted.directions[here] > 0 else ~target.bool()
    before, changes = answers.before[..., here], answers.changes.clone()
    changes[..., here] = torch.where(which, wanted.to(changes.dtype) - before.to(changes.dtype), changes[..., here])
    return Unbiased(answers.before, changes, target, answers.valid)


def unbiased_of(answers: Sequence[dict[str, Tensor]], kept: Tensor) -> Unbiased:
    """The answers of `benchmark.bias.trial.Trial.answer`, a training each, for the attributes `kept` (A,) bool."""
    before, signed, target, valid = (
        torch.stack([part[name] for part in answers]) for name in ("before", "changes", "target", "valid")
    )
    unsigned = signed[..., kept].long() * (2 * target.long() - 1)[..., None]
    return Unbiased(before[..., kept], unsigned, target.long(), valid)
