"""`ace`: gradient descent through a whole chain of denoising, then the query's pixels put back where it changed little.

Jeanneret, Simon and Jurie, "Adversarial Counterfactual Visual Explanations", 2023.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from methods.diffusion.chain import Chain, Denoised
from methods.diffusion.descent import Descent, pre_explanation, repainted
from methods.diffusion.method import FACES, PAPER, SMOKE, Denoising, DiffusionConfig, Positive, Share
from methods.diffusion.noise import Noise


class AceConfig(DiffusionConfig):
    """Settings of `ace`."""

    explain_only = DiffusionConfig.explain_only | {"distance", "weight", "iterations", "rate", "checkpointed"}

    steps: Positive = Field(10, description="of the T, evenly spread, that answers take (ACE: 50)")
    depth: Share = Field(0.5, description="depth at r = 0, as a share of these steps; times them it is τ (ACE: .1)")
    distance: Literal["l1", "l2"] = Field("l1", description="d, what keeps x' near the query (ACE has both)")
    weight: float = Field(0.01, ge=0, description="λ, weight of the distance (ours; ACE with L1, on CelebA: .001)")
    iterations: Positive = Field(25, description="of gradient descent, at most (ACE: 50)")
    rate: float = Field(0.15, gt=0, description="what an iteration moves a pixel by, of a range of 2 (ACE: 2 / 255)")
    checkpointed: bool = Field(
        False, description="whether activations are computed again in the backward pass, which saves memory (ACE: yes)"
    )


class Ace(Denoising):
    """Descends through a chain of denoising to what flips behind it, and repaints what had to change."""

    Config = AceConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {**SMOKE, "steps": 6, "iterations": 3},
        "faces": FACES,
        "paper": {
            **PAPER,
            "steps": 50,
            "depth": 0.1,
            "weight": 0.001,
            "iterations": 50,
            "rate": 2 / 255,
            "mask_reach": 7,
            "checkpointed": True,
        },
    }
    config: AceConfig

    def answered(
        self, images: Tensor, target: Tensor, depths: Sequence[int], noise: Noise
    ) -> tuple[list[Denoised], Mapping[str, Tensor]]:
        """A descent and a repainting from each depth."""
        kept = torch.ones_like(images[:, :1], dtype=torch.bool)
        return [self._from(depth, images, target, noise) if depth else Denoised(images, kept) for depth in depths], {}

    def _from(self, depth: int, images: Tensor, target: Tensor, noise: Noise) -> Denoised:
        config, chain = self.config, self.chain(self.config.steps)
        power = {"l1": 1, "l2": 2}[config.distance]
        descent = Descent(config.iterations, config.rate, config.weight, power, config.confidence)
        again = partial(checkpoint, chain.predict, use_reentrant=False)
        through = Chain(again, chain.schedule) if config.checkpointed else chain
        found = pre_explanation(through, self.classify, images, target, depth, noise, descent)
        return repainted(chain, images, found, depth, noise, self.mask)

    def remarks(self) -> tuple[str, ...]:
        """What counts as a flip."""
        reached = f"a descent ends where the target has the probability {self.config.confidence:g} behind the chain"
        return (reached, "the chain's noise is the same at every iteration and in the repainting (ACE draws it anew)")
