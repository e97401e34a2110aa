"""How a picture is noised: the steps of a diffusion, all that are trained on, or fewer that answers take.

Ho, Jain and Abbeel, "Denoising Diffusion Probabilistic Models", 2020; Nichol and Dhariwal, "Improved Denoising
Diffusion Probabilistic Models", 2021 (the cosine, and fewer steps).
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Shape = Literal["cosine", "linear"]
OFFSET = 0.008
"""s of the cosine: what keeps the first steps from being too small (Nichol and Dhariwal)."""
LARGEST = 0.999
"""Greatest β of a step (the same)."""


@dataclass(frozen=True)
class Schedule:
    """S steps, counted from 1; step 0 is the picture itself."""

    kept: Tensor
    """ᾱ_0 … ᾱ_S, (S + 1,): the share of the picture's variance that is left; ᾱ_0 = 1."""
    times: Tensor
    """(S + 1,): what the network is told of each step, a step among all that it was trained on."""

    def __len__(self) -> int:
        """S."""
        return len(self.kept) - 1

    def beta(self, step: int) -> float:
        """β_step: variance of the noise that a step from 1 on adds."""
        return 1 - float(self.kept[step]) / float(self.kept[step - 1])

    def respaced(self, steps: int) -> "Schedule":
        """So many of the steps, evenly spread, the last included; all of them if there are no more."""
        chosen = torch.linspace(0, len(self), min(steps, len(self)) + 1, dtype=torch.float64).round().long()
        return Schedule(self.kept[chosen], self.times[chosen])

    def noised(self, images: Tensor, step: int, noise: Tensor) -> Tensor:
        """q(z_step | x) of images (B, C, H, W) in [−1, 1], under standard normal `noise` of the same shape."""
        share = float(self.kept[step])
        return math.sqrt(share) * images + math.sqrt(1 - share) * noise

    def estimate(self, noised: Tensor, step: int, noise: Tensor) -> Tensor:
        """x̂_0 of z_step (B, C, H, W), given the `noise` that is predicted in it; not cut to [−1, 1]."""
        share = float(self.kept[step])
        return (noised - math.sqrt(1 - share) * noise) / math.sqrt(share)

    def posterior(self, noised: Tensor, clean: Tensor, step: int) -> tuple[Tensor, float]:
        """q(z_{step−1} | z_step, x_0 = clean): its mean (B, C, H, W) and its variance, the same for all pixels."""
        now, before = float(self.kept[step]), float(self.kept[step - 1])
        beta = self.beta(step)
        mean = (math.sqrt(before) * beta * clean + math.sqrt(1 - beta) * (1 - before) * noised) / (1 - now)
        return mean, beta * (1 - before) / (1 - now)


def schedule(shape: Shape, steps: int) -> Schedule:
    """All `steps` that a network is trained on.

    "cosine": ᾱ falls as the square of a cosine (Nichol and Dhariwal); "linear": β rises evenly, from .1 / T to
    20 / T in T steps (Ho et al., for 1,000).
    """
    shares = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    if shape == "cosine":
        falling = ((shares + OFFSET) / (1 + OFFSET) * math.pi / 2).cos().square()
        betas = (1 - falling[1:] / falling[:-1]).clamp_max(LARGEST)
    else:
        betas = torch.linspace(0.1 / steps, 20 / steps, steps, dtype=torch.float64).clamp_max(LARGEST)
    kept = torch.cat([torch.ones(1, dtype=torch.float64), (1 - betas).cumprod(0)])
    return Schedule(kept, torch.arange(steps + 1))
