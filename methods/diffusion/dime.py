"""`fastdime` and `dime`: guided denoising from a depth that r sets.

Jeanneret, Simon and Jurie, "Diffusion Models for Counterfactual Explanations", 2022 (DiME); Weng, Pegios, Petersen,
Feragen and Bigdeli, "Fast Diffusion-Based Counterfactuals for Shortcut Removal and Generation", 2024 (FastDiME).
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from methods.diffusion.chain import Chain, Denoised
from methods.diffusion.guided import Guide, guided
from methods.diffusion.method import FACES, PAPER, SMOKE, Denoising, DiffusionConfig
from methods.diffusion.noise import Noise


class DimeConfig(DiffusionConfig):
    """Settings of `fastdime` and `dime`."""

    explain_only = DiffusionConfig.explain_only | {"clean", "masked", "scales", "l1_weight"}

    clean: Literal["estimate", "chain"] = Field(
        "estimate",
        description="where the classifier's gradient is taken: at the estimate of a step (FastDiME) or at a picture "
        "that is denoised at every step (DiME)",
    )
    masked: bool = Field(True, description="whether the query is kept where little changes (FastDiME; DiME: no)")
    scales: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (8.0, 16.0, 32.0),
        min_length=1,
        description="weights of the classifier's gradient, tried in turn until a query flips (DiME: 8, 10, 15)",
    )
    l1_weight: float = Field(0.05, ge=0, description="λ_1, weight of the L1 distance to the query (DiME)")


class Dime(Denoising):
    """Noises a query and denoises it towards another class, guided by the classifier's gradient at a clean picture."""

    Config = DimeConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": SMOKE,
        "faces": FACES,
        "paper": {**PAPER, "steps": 200, "depth": 0.3, "scales": (8.0, 10.0, 15.0)},
    }
    config: DimeConfig

    def answered(
        self, images: Tensor, target: Tensor, depths: Sequence[int], noise: Noise
    ) -> tuple[list[Denoised], Mapping[str, Tensor]]:
        """Guided denoising from each depth, with the scale that a query needs at the full one."""
        chain = self.chain(self.config.steps)
        full, scale = self._full(chain, images, target, noise)
        found = [
            full if depth == self.deepest else self._guided(chain, images, target, scale, depth, noise)
            for depth in depths
        ]
        return found, {"scale": scale}

    def _full(self, chain: Chain, images: Tensor, target: Tensor, noise: Noise) -> tuple[Denoised, Tensor]:
        """Answers from the full depth, and their scales: the first that flips, or else the one that comes nearest."""
        best = Denoised(images.clone(), torch.ones_like(images[:, :1], dtype=torch.bool))
        scale, sureness = images.new_zeros(len(images)), images.new_full((len(images),), -1.0)
        rows = torch.arange(len(images), device=images.device)
        for tried in self.config.scales:
            if not len(rows):
                break
            scales = images.new_full((len(rows),), tried)
            found = self._guided(chain, images[rows], target[rows], scales, self.deepest, noise.of_rows(rows))
            reached = self.classify(found.images).softmax(1).gather(1, target[rows, None])[:, 0]
            better = reached > sureness[rows]
            won = rows[better]
            best.images[won], best.kept[won] = found.images[better], found.kept[better]
            scale[won], sureness[won] = tried, reached[better]
            rows = rows[reached < self.config.confidence]
        return best, scale

    def _guided(
        self, chain: Chain, images: Tensor, target: Tensor, scale: Tensor, depth: int, noise: Noise
    ) -> Denoised:
        guide = Guide(self.classify, images, target, scale, self.config.l1_weight)
        mask = self.mask if self.config.masked else None
        return guided(chain, guide, depth, noise, mask, inner=self.config.clean == "chain")

    def samples(self, count: int) -> Mapping[str, Tensor]:
        """What the model makes of plain noise, shown by one of the methods that share it."""
        return {"samples": self.from_noise(count)} if self.config.clean == "estimate" else {}

    def remarks(self) -> tuple[str, ...]:
        """What guides, and what counts as a flip."""
        config = self.config
        where = {"estimate": "the step's estimate", "chain": "a picture denoised at every step"}[config.clean]
        scales = ", ".join(f"{scale:g}" for scale in config.scales)
        return (
            f"guided by the gradient at {where}; scales {scales} in turn, until the target has the probability "
            f"{config.confidence:g} at full depth",
            "no perceptual term (DiME: weight 30), which needs a network trained on photographs",
        )
