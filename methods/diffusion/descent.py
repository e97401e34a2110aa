"""ACE's pre-explanation and its repainting.

Jeanneret, Simon and Jurie, "Adversarial Counterfactual Visual Explanations", 2023; Lugmayr et al., "RePaint: Inpainting
Using Denoising Diffusion Probabilistic Models", 2022.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from methods.diffusion.chain import Chain, Denoised, Mask, unchanged
from methods.diffusion.noise import Noise, Use


@dataclass(frozen=True)
class Descent:
    """How x' is looked for."""

    iterations: int
    """At most."""
    rate: float
    """What an iteration moves each pixel by, of a range of 2."""
    weight: float
    """λ: of the distance to the query, nats per unit."""
    power: int
    """1: the distance is ‖x' − x‖₁; 2: its squared Euclidean norm."""
    confidence: float
    """Probability of the target at which it ends."""


def filtered(chain: Chain, images: Tensor, depth: int, noise: Noise) -> Tensor:
    """F_τ: pictures (N, C, H, W) in [−1, 1] noised to step `depth` and denoised, by the noise of the repainting."""
    noised = chain.schedule.noised(images, depth, noise.at(Use.START))
    return chain.denoise(noised, depth, partial(noise.at, Use.STEP))


def pre_explanation(
    chain: Chain,
    classify: Callable[[Tensor], Tensor],
    images: Tensor,
    target: Tensor,
    depth: int,
    noise: Noise,
    descent: Descent,
) -> Tensor:
    """Signed gradient descent through the filter and the classifier: x' of queries (N, C, H, W) in [−1, 1].

    A query is left alone as soon as the classifier sees its target behind the filter, with the confidence asked for.
    """
    found, rows = images.clone(), torch.arange(len(images), device=images.device)
    for _ in range(descent.iterations):
        if not len(rows):
            break
        asked = found[rows]
        behind = partial(filtered, chain, depth=depth, noise=noise.of_rows(rows))
        gradient, reached = _gradient(behind, classify, asked, images[rows], target[rows], descent)
        moved = (asked - descent.rate * gradient.sign()).clamp(-1, 1)
        found[rows] = torch.where(reached[:, None, None, None], asked, moved)
        rows = rows[~reached]
    return found


@torch.enable_grad()
def _gradient(
    behind: Callable[[Tensor], Tensor],
    classify: Callable[[Tensor], Tensor],
    asked: Tensor,
    images: Tensor,
    target: Tensor,
    descent: Descent,
) -> tuple[Tensor, Tensor]:
    """The gradient of each x' (n, C, H, W), and whether it reaches its target with the confidence, (n,)."""
    asked = asked.detach().requires_grad_()
    entropy = F.cross_entropy(classify(behind(asked)), target, reduction="none")
    distance = (asked - images).abs().pow(descent.power).sum()
    (gradient,) = torch.autograd.grad(entropy.sum() + descent.weight * distance, asked)
    return gradient, (-entropy).exp() >= descent.confidence


def repainted(chain: Chain, images: Tensor, found: Tensor, depth: int, noise: Noise, mask: Mask) -> Denoised:
    """What becomes of x' (N, C, H, W), noised to step `depth` and denoised, the query's pixels put back at every step.

    They are put back where query and x' differ little.
    """
    keep, schedule = unchanged(images, found, mask), chain.schedule
    noised = schedule.noised(found, depth, noise.at(Use.START))
    for step in range(depth, 0, -1):
        noised = torch.where(keep, schedule.noised(images, step, noise.at(Use.KEPT, step)), noised)
        noised = chain.back(noised, chain.estimate(noised, step), step, noise.at(Use.STEP, step))
    return Denoised(noised, keep)
