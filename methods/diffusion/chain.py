"""Denoising, step by step: pictures here are in [−1, 1], as the network knows them."""

from collections.abc import Callable
from dataclasses import dataclass

import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from methods.diffusion.schedule import Schedule

Draws = Callable[[int], Tensor]
"""Step -> the noise (B, C, H, W) that is added as it is taken."""


@dataclass(frozen=True)
class Chain:
    """The reverse of a schedule's steps, by a prediction of the noise."""

    predict: Callable[[Tensor, int], Tensor]
    """ε_θ: z (B, C, H, W) and a time among all that were trained on -> the noise in it."""
    schedule: Schedule
    bound: float = 1.0
    """Estimates are cut to ± this."""

    def estimate(self, noised: Tensor, step: int) -> Tensor:
        """x̂_0 of z_step (B, C, H, W)."""
        noise = self.predict(noised, int(self.schedule.times[step]))
        return self.schedule.estimate(noised, step, noise).clamp(-self.bound, self.bound)

    def back(self, noised: Tensor, clean: Tensor, step: int, noise: Tensor, push: Tensor | float = 0.0) -> Tensor:
        """z_{step−1} of z_step, as if x_0 were `clean`: the mean moves against `push`, by the variance times it."""
        mean, variance = self.schedule.posterior(noised, clean, step)
        return mean - variance * push + variance**0.5 * noise

    def denoise(self, noised: Tensor, step: int, noise: Draws) -> Tensor:
        """A picture of z_step (B, C, H, W), after all steps, unguided."""
        for place in range(step, 0, -1):
            noised = self.back(noised, self.estimate(noised, place), place, noise(place))
        return noised


@dataclass(frozen=True)
class Mask:
    """Where the query's pixels are kept: where it and a picture differ little."""

    reach: int
    """Pixels to each side that are looked at too."""
    threshold: float
    """Of the largest difference."""


@dataclass(frozen=True)
class Denoised:
    """What came of N queries."""

    images: Tensor
    """(N, C, H, W) in [−1, 1]."""
    kept: Tensor
    """(N, 1, H, W) bool: where they are the query, but for rounding."""


def unchanged(images: Tensor, found: Tensor, mask: Mask) -> Tensor:
    """Where pictures (B, C, H, W) differ little: (B, 1, H, W) bool.

    The absolute difference, summed over channels and divided by its largest in the picture, is below the threshold in
    the whole square around. Where nothing differs all is unchanged.
    """
    difference = (images - found).abs().sum(1, keepdim=True)
    largest = difference.amax((1, 2, 3), keepdim=True).clamp_min(1e-12)
    return F.max_pool2d(difference / largest, 2 * mask.reach + 1, stride=1, padding=mask.reach) < mask.threshold
