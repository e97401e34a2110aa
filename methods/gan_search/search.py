"""The search: min λ·CE(f(G(L)), c') + ‖I − G(L)‖₁ over L, with bisection on λ for the smallest change (Sec. 3.2).

It knows a differentiable `generate`, the classifier's logits and where to start, and nothing of what L is: the latent
of a GAN, pixels, or the attributes that a conditional generator edits. All queries are searched in one batch, and none
touches another: every sum runs over one query, and every query has a bracket of its own. A query leaves the batch as
soon as it is done.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from methods.gan_search.descent import Allowed, anything, descend
from methods.gan_search.settings import SearchConfig

TOLERANCE = 0.1
"""A bracket of λ is narrow enough once its ends differ by this share."""


@dataclass(frozen=True)
class Objective:
    """What is searched for N queries: the class c', near each query."""

    generate: Callable[[Tensor, Tensor], Tensor]
    """G: (what is searched (n, ...), which queries it belongs to (n,)) -> images (n, C, H, W); differentiable."""
    classify: Callable[[Tensor], Tensor]
    """f: images -> logits (n, classes)."""
    images: Tensor
    """I, the queries, (N, C, H, W)."""
    target: Tensor
    """c', (N,)."""
    allowed: Allowed = anything
    """What may be an answer."""

    def terms(self, latents: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """For the queries `rows` (n,): CE in nats, ‖I − G‖₁, and whether c' is the likeliest class, (n,) each."""
        images, target = self.generate(latents, rows), self.target[rows]
        logits = self.classify(images)
        change = (self.images[rows] - images).abs().flatten(1).sum(1)
        return F.cross_entropy(logits, target, reduction="none"), change, logits.argmax(1) == target


@dataclass(frozen=True)
class SearchResult:
    """The best that was found for each of N queries."""

    latents: Tensor
    """L*, (N, ...); L where it started if the query was left alone."""
    flipped: Tensor
    """(N,) bool: the class is the target's, with the confidence that was asked for; or `unchanged`."""
    unchanged: Tensor
    """(N,) bool: the query was of the target class all along, so that nothing was searched."""
    weight: Tensor
    """λ at which L* was found, (N,); 0 where nothing was searched."""
    brackets: Tensor
    """Ends of the bracket of λ at first and after each bisection, (N, 1 + bisections, 2); only the first where λ does
    not matter."""
    path: Tensor
    """The way from the start to L*, (N, frames, ...)."""


def improves(flips: Tensor, cost: Tensor, best_flips: Tensor, best_cost: Tensor) -> Tensor:
    """Whether an iterate is better than the best so far, (n,): it flips and that does not, or else it costs less."""
    return (flips & ~best_flips) | ((flips == best_flips) & (cost < best_cost))


class Attempt:
    """One descent at one λ for each of n queries, and the best iterate that it came by."""

    def __init__(self, objective: Objective, rows: Tensor, weight: Tensor, config: SearchConfig) -> None:
        self.objective, self.rows, self.weight, self.config = objective, rows, weight, config
        self.best_step = torch.zeros_like(rows)
        self.flipped = torch.zeros_like(rows, dtype=torch.bool)
        """Whether the best iterate flips, (n,)."""
        self.cost = torch.full_like(weight, math.inf)
        """What the best iterate has least of, (n,): the change if it flips and λ matters, else the cross entropy."""
        self.ends_flipped = self.flipped
        """Whether the last iterate flips, (n,)."""
        self.iterates = torch.empty(0)

    def run(self, start: Tensor, steps: int, rate: float) -> Self:
        """Descend from `start` (n, ...)."""
        self.iterates = descend(start, self._objective, steps, rate, self.objective.allowed)
        self._objective(steps, self.iterates[-1])
        return self

    def best(self) -> Tensor:
        """The best iterate of each query, (n, ...)."""
        return self.iterates[self.best_step, torch.arange(len(self.rows), device=self.rows.device)]

    def path(self) -> Tensor:
        """From the start to the best iterate in even steps, (n, frames, ...)."""
        shares = torch.linspace(0, 1, self.config.frames, device=self.rows.device)
        steps = (self.best_step[:, None] * shares).round().long()  # (n, frames)
        return self.iterates[steps, torch.arange(len(self.rows), device=self.rows.device)[:, None]]

    def _objective(self, step: int, latents: Tensor) -> Tensor:
        """The loss of each query, (n,); the iterate is noted on the way."""
        entropy, change, of_target = self.objective.terms(latents, self.rows)
        flips = of_target & ((-entropy).exp() >= self.config.confidence)
        self._note(step, flips, torch.where(flips & self.config.bisects, change, entropy).detach())
        if self.config.distance == "none":
            return self.weight * entropy
        if self.config.mode == "prototype":  # the two terms take turns, so that L = L_0 is no answer (Sec. 3.1)
            return change if step % 2 else self.weight * entropy
        return self.weight * entropy + change

    def _note(self, step: int, flips: Tensor, cost: Tensor) -> None:
        better = improves(flips, cost, self.flipped, self.cost)
        self.cost = torch.where(better, cost, self.cost)
        self.best_step = self.best_step.masked_fill(better, step)
        self.flipped = torch.where(better, flips, self.flipped)
        self.ends_flipped = flips


class Best:
    """The best of all attempts so far for each of N queries."""

    def __init__(self, objective: Objective, start: Tensor, config: SearchConfig) -> None:
        self.objective, self.config = objective, config
        predicted = objective.classify(objective.images).argmax(1)
        self.unchanged = (predicted == objective.target) & (config.mode == "criticism")
        self.flipped = self.unchanged.clone()
        self.latents = start.clone()
        self.path = torch.stack([start] * config.frames, dim=1)
        self.weight = torch.zeros(len(start), dtype=start.dtype, device=start.device)
        self.cost = torch.full_like(self.weight, math.inf)

    def find(self, rows: Tensor, start: Tensor, weight: float) -> None:
        """Search for the queries `rows` (n,) from `start` (n, ...) with λ = `weight`, and keep what is better."""
        attempt = Attempt(self.objective, rows, self.weight.new_full(rows.shape, weight), self.config)
        attempt.run(start, self.config.steps, self.config.search_rate)
        self._keep(attempt, attempt.path())

    def refine(self, rows: Tensor, weight: Tensor) -> Tensor:
        """Search on from the best of `rows` (n,) with λ = `weight` (n,); whether the last iterate flips, (n,)."""
        attempt = Attempt(self.objective, rows, weight, self.config)
        attempt.run(self.latents[rows], self.config.bisection_steps, self.config.search_rate / 2)
        self._keep(attempt, self.path[rows])
        return attempt.ends_flipped

    def _keep(self, attempt: Attempt, path: Tensor) -> None:
        """Keep what is better than before, with the `path` (n, frames, ...) that led near it."""
        rows = attempt.rows
        better = improves(attempt.flipped, attempt.cost, self.flipped[rows], self.cost[rows])
        won = rows[better]
        self.cost[won] = attempt.cost[better]
        self.flipped[won] = attempt.flipped[better]
        self.weight[won] = attempt.weight[better]
        self.latents[won] = attempt.best()[better]
        self.path[won] = path[better]
        self.path[won, -1] = self.latents[won]


def tries(start: Tensor, config: SearchConfig) -> Iterator[tuple[Tensor, float]]:
    """Where queries are searched from, (N, ...), and with which λ, one try after another until they flip.

    First the greatest λ; then the middle of the bracket, since some flip only where the distance holds them back; then
    the restarts. Their noise is the same for all queries, so that an answer depends on no other query. A prototype is
    walked to from its query alone.
    """
    yield start, config.greatest_weight
    if config.bisects:
        yield start, math.sqrt(config.least_weight * config.greatest_weight)
    for restart in range(config.restarts if config.mode == "criticism" else 0):
        noise = torch.randn(start.shape[1:], generator=torch.Generator().manual_seed(restart)).to(start)
        yield start + config.restart_noise * noise, config.greatest_weight


@torch.no_grad()
def search(objective: Objective, start: Tensor, config: SearchConfig) -> SearchResult:
    """The answers to `objective`, searched from `start` (N, ...).

    Queries are tried until they flip. Then λ is bisected on a logarithmic scale, from the one that flipped downwards;
    each bisection goes on from the best answer so far. A query that has not flipped keeps its likeliest answer.
    """
    best = Best(objective, start, config)
    asked = (~best.unchanged).nonzero()[:, 0]
    for begin, weight in tries(start, config):
        rows = asked[~best.flipped[asked]]
        if len(rows):
            best.find(rows, begin[rows], weight)
    bracket = start.new_tensor([config.least_weight, config.greatest_weight]).log().repeat(len(start), 1)
    rows = asked[best.flipped[asked]]
    bracket[rows, 1] = best.weight[rows].log()
    brackets = [bracket.clone()]  # (N, 2) each, log λ
    for _ in range(config.bisections if config.bisects else 0):
        rows = rows[bracket[rows, 1] - bracket[rows, 0] > math.log1p(TOLERANCE)]
        if len(rows):
            middle = bracket[rows].mean(1)
            bracket[rows, best.refine(rows, middle.exp()).long()] = middle
        brackets.append(bracket.clone())
    return SearchResult(
        best.latents, best.flipped, best.unchanged, best.weight, torch.stack(brackets, dim=1).exp(), best.path
    )
