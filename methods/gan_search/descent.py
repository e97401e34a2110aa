"""Gradient descent on many queries at once, each for itself, and what keeps its iterates where they are allowed."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim import Adam

Allowed = Callable[[Tensor], Tensor]
"""What is searched, (n, ...) -> the nearest that may be an answer."""


def anything(latents: Tensor) -> Tensor:
    """Every one of `latents` (n, ...) may be an answer."""
    return latents


def within_length(greatest: float) -> Allowed:
    """Latents (n, latent) no longer than `greatest` may be answers; a longer one is shortened to it."""

    def shortened(latents: Tensor) -> Tensor:
        return latents * (greatest / latents.norm(dim=1, keepdim=True)).clamp(max=1)

    return shortened


@torch.enable_grad()
def descend(
    start: Tensor,
    objective: Callable[[int, Tensor], Tensor],
    steps: int,
    learning_rate: float,
    allowed: Allowed = anything,
) -> Tensor:
    """Adam on each row of `start` (n, ...) for itself: all iterates from the start to the end, (steps + 1, n, ...).

    `objective` maps (step, iterate) to losses (n,). The learning rate falls to zero, so that the last iterate settles.
    Every iterate is `allowed`, the first one too.
    """
    latents = allowed(start.detach()).clone().requires_grad_()
    optimizer = Adam([latents], lr=learning_rate)
    iterates = [latents.detach().clone()]
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = learning_rate * 0.5 * (1 + math.cos(math.pi * step / steps))
        (latents.grad,) = torch.autograd.grad(objective(step, latents).sum(), latents)
        optimizer.step()
        iterates.append(allowed(latents.detach()).clone())
        latents.detach().copy_(iterates[-1])
    return torch.stack(iterates)


def refined(
    guess: Tensor, generate: Callable[[Tensor], Tensor], images: Tensor, steps: int, learning_rate: float
) -> Tensor:
    """L_0 of real queries `images` (N, C, H, W): the `guess` (N, latent), refined on the squared error."""

    def error(_: int, latents: Tensor) -> Tensor:
        return (generate(latents) - images).square().flatten(1).sum(1)

    return descend(guess, error, steps, learning_rate)[-1]
