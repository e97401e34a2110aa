"""Guided denoising: towards a class, by the classifier's gradient at a clean picture.

Jeanneret, Simon and Jurie, "Diffusion Models for Counterfactual Explanations", 2022 (DiME), whose clean picture is
denoised anew at every step; Weng, Pegios, Petersen, Feragen and Bigdeli, "Fast Diffusion-Based Counterfactuals for
Shortcut Removal and Generation", 2024 (FastDiME), whose clean picture is the estimate that a step makes anyhow.
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
class Guide:
    """What a chain is guided by, for N queries."""

    classify: Callable[[Tensor], Tensor]
    """f: pictures (n, C, H, W) in [−1, 1] -> logits (n, classes)."""
    images: Tensor
    """x, the queries, (N, C, H, W) in [−1, 1]."""
    target: Tensor
    """c', (N,)."""
    scale: Tensor
    """Weight of the classifier's gradient, (N,)."""
    l1: float
    """λ_1: weight of ‖z − x‖₁."""

    def push(self, clean: Tensor, noised: Tensor, kept: float) -> Tensor:
        """The gradient that z_t (N, C, H, W) is moved against, where ᾱ_t = `kept`."""
        toward = class_gradient(self.classify, clean, self.target)
        return self.scale[:, None, None, None] * toward / kept**0.5 + self.l1 * (noised - self.images).sign()


@torch.enable_grad()
def class_gradient(classify: Callable[[Tensor], Tensor], images: Tensor, target: Tensor) -> Tensor:
    """The gradient of each picture's cross entropy for its target class, in nats, by its pixels: (B, C, H, W)."""
    images = images.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(classify(images), target, reduction="sum"), images)
    return gradient


def guided(chain: Chain, guide: Guide, depth: int, noise: Noise, mask: Mask | None, *, inner: bool) -> Denoised:
    """Queries noised to step `depth` and denoised under guidance; at depth 0 the queries.

    Parameters
    ----------
    chain
        The steps.
    guide
        Queries, their targets, and how strongly they are guided.
    depth
        τ, in steps of the chain.
    noise
        That of the queries.
    mask
        If given, the query's pixels are kept where it says so, in the second half of the steps.
    inner
        Whether the gradient is taken at a picture that is denoised at every step (DiME), and not at the estimate
        (FastDiME). At the first step it is then taken at the query.
    """
    images, schedule = guide.images, chain.schedule
    noised = schedule.noised(images, depth, noise.at(Use.START))
    clean, keep = images, torch.full_like(images[:, :1], depth == 0, dtype=torch.bool)
    for step in range(depth, 0, -1):
        estimate = chain.estimate(noised, step)
        if mask and 2 * step <= depth + 1:
            keep = unchanged(images, estimate, mask)
            estimate = torch.where(keep, images, estimate)
        push = guide.push(clean if inner else estimate, noised, float(schedule.kept[step]))
        noised = chain.back(noised, estimate, step, noise.at(Use.STEP, step), push)
        if keep.any():
            noised = torch.where(keep, schedule.noised(images, step - 1, noise.at(Use.KEPT, step - 1)), noised)
        if inner:
            clean = chain.denoise(noised, step - 1, partial(noise.at, Use.INNER, step))
    return Denoised(noised, keep)
