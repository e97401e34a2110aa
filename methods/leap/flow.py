"""The flow: a velocity that carries noise to the latents of a class, learnt by conditional flow matching (Sec. 3).

Time t runs from noise at 0 to latents at 1.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

Field = Callable[[Tensor, Tensor, Tensor], Tensor]
"""v(t (B, 1), z (B, latent), y (B, classes)) -> (B, latent)."""


class Velocity(nn.Module):
    """v_ψ(t, z_t, y): fully connected layers with SELU."""

    def __init__(self, latent: int, classes: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.latent = latent
        sizes = (latent + classes + 1, *widths)
        layers = [nn.Sequential(nn.Linear(a, b), nn.SELU()) for a, b in pairwise(sizes)]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], latent))

    def forward(self, time: Tensor, latents: Tensor, condition: Tensor) -> Tensor:
        """Time (B, 1), latents (B, latent) and class probabilities (B, classes) -> velocities (B, latent)."""
        return self.layers(torch.cat([latents, condition, time], dim=1))

    def losses(self, latents: Tensor, condition: Tensor) -> dict[str, Tensor]:
        """‖v_ψ(t, z_t, y) − (z_1 − z_0)‖², a mean over dimensions, at a random point between noise and latents z_1."""
        noise, time = torch.randn_like(latents), torch.rand(len(latents), 1, device=latents.device)
        velocity = self(time, torch.lerp(noise, latents, time), condition)
        return {"loss": (velocity - (latents - noise)).square().mean()}


def integrated(
    velocity: Field, latents: Tensor, condition: Tensor, *, start: float, end: float, scale: float, steps: int
) -> Tensor:
    """Where the flow dz/dt = γ v(t, z, y) takes `latents` (B, latent) from time `start` to `end`, by Heun's method.

    `scale` is γ; `end` may be before `start`. The error falls with the square of `steps`.
    """
    step = (end - start) / steps
    for k in range(steps):
        time = latents.new_full((len(latents), 1), start + k * step)
        first = scale * velocity(time, latents, condition)
        second = scale * velocity(time + step, latents + step * first, condition)
        latents = latents + 0.5 * step * (first + second)
    return latents


def lift(velocity: Field, latents: Tensor, condition: Tensor, *, scale: float, steps: int) -> Tensor:
    """Latents towards the noise that the flow would have made them of, under `condition`."""
    return integrated(velocity, latents, condition, start=1.0, end=0.0, scale=scale, steps=steps)


def land(velocity: Field, latents: Tensor, condition: Tensor, *, scale: float, steps: int) -> Tensor:
    """Noise, or lifted latents, towards the latents of `condition`."""
    return integrated(velocity, latents, condition, start=0.0, end=1.0, scale=scale, steps=steps)
