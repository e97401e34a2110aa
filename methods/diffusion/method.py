"""What DiME, FastDiME and ACE share: one diffusion model, its training, and the walk over depths."""

import abc
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, ClassVar, Self

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Adam

from methods.base import BATCH, Classifier, Counterfactuals, Images, ImageSet, Method, MethodConfig
from methods.diffusion.chain import Chain, Denoised, Mask
from methods.diffusion.model import Denoiser, Predicts, Sizes
from methods.diffusion.noise import Noise
from methods.diffusion.schedule import Shape, schedule
from methods.training import Phase, Plan, Trainer, brief_warmup_cosine

Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]


class DiffusionConfig(MethodConfig):
    """Settings of the diffusion model, which one training makes for all methods here, and of how it is walked."""

    explain_only: ClassVar[frozenset[str]] = frozenset(
        {"steps", "depth", "confidence", "mask_reach", "mask_threshold", "sample_steps"}
    )

    schedule: Shape = Field("cosine", description="how noise grows (Nichol and Dhariwal; DiME: linear)")
    times: Positive = Field(1000, description="T, steps that are trained on (Ho et al.; DiME: 500)")
    patch: Positive = Field(2, description="side of the square of pixels that is one place for the network (ours)")
    widths: tuple[Positive, ...] = Field(
        (32, 64, 64), description="channels of the U-Net, fine to coarse, each at half the size (ours)"
    )
    blocks: Positive = Field(1, description="residual blocks at each size, on either way (DiME: 2)")
    attentive: int = Field(1, ge=0, description="sizes with attention, from the coarsest (DiME: 3)")
    predicts: Predicts = Field(
        "noise", description="what the U-Net gives: the noise (DiME), or the picture, for many values a place (ours)"
    )
    average: float = Field(0.995, ge=0, lt=1, description="share of the running average that a step keeps (ours)")
    epochs: Positive = Field(24, description="passes over the training images (ours)")
    min_steps: int = Field(2000, ge=0, description="steps of the training, at least (ours)")
    batch_size: Positive = Field(32, description="images a step (DiME: 60)")
    learning_rate: float = Field(2e-3, gt=0, description="Adam's, at its peak (DiME: 1e-4)")
    max_norm: float = Field(1.0, gt=0, description="gradient norms are clipped to this (ours)")
    steps: Positive = Field(40, description="of the T, evenly spread, that answers take (DiME: 200; ACE: 50)")
    depth: Share = Field(
        0.7, description="depth at r = 0, as a share of these steps; times them it is τ (DiME: .3; ACE: .1)"
    )
    confidence: float = Field(
        0.95, ge=0, lt=1, description="probability of the target from which on a class counts as flipped (ours)"
    )
    mask_reach: int = Field(2, ge=0, description="pixels to each side that the mask looks at (FastDiME: 2; ACE: 7)")
    mask_threshold: float = Field(
        0.15, ge=0, le=1, description="of the largest difference; below it the query is kept (FastDiME, ACE)"
    )
    sample_steps: Positive = Field(50, description="of the T that samples take (ours)")


TRAINING = 1
"""Raised whenever the same settings train another model."""
SMOKE: Mapping[str, Any] = {
    "times": 100,
    "widths": (8, 16),
    "average": 0.9,
    "epochs": 2,
    "min_steps": 60,
    "steps": 8,
    "sample_steps": 8,
}
FACES: Mapping[str, Any] = {"predicts": "picture", "patch": 4, "widths": (48, 96, 96), "epochs": 8, "min_steps": 0}
PAPER: Mapping[str, Any] = {
    "schedule": "linear",
    "times": 500,
    "patch": 1,
    "widths": (128, 128, 256, 384, 512),
    "blocks": 2,
    "attentive": 3,
    "average": 0.9999,
    "epochs": 100,
    "batch_size": 60,
    "learning_rate": 1e-4,
    "sample_steps": 500,
}
"""Of CelebA at 128 pixels, by the scripts that were published with DiME."""


class Denoising(Method, abc.ABC):
    """Answers by denoising: a query is noised to a depth, which r sets, and comes back as something else.

    r = 1 is depth 0, the query itself; so "change nothing" is answered by the query too.
    """

    asks = "gradients"
    one_generator = True
    config: DiffusionConfig
    network: Denoiser

    def build(self, shape: tuple[int, int, int], class_count: int) -> nn.Module:  # noqa: ARG002 - any number of classes
        """The untrained network."""
        config = self.config
        sizes = Sizes(shape, config.patch, config.widths, config.blocks, config.attentive)
        return Denoiser(sizes, schedule(config.schedule, config.times), config.average, config.predicts)

    def fit(self, data: ImageSet, classifier: Classifier, *, trainer: Trainer) -> Self:
        """Train the network, once for all methods here and for all classifiers."""
        network = self.prepare(data.shape, classifier)
        key = {"training": "diffusion", "version": TRAINING, "config": self.config.fit_part()}
        network.load_state_dict(trainer.once(key, partial(self._train, data)))
        network.eval()
        return self

    def _train(self, data: ImageSet, trainer: Trainer) -> Mapping[str, Tensor]:
        config = self.config
        plan = Plan(
            Images(data), len(data), config.epochs, config.batch_size, config.min_steps, schedule=brief_warmup_cosine
        )
        trainer.fit(self.network, self._phases, plan)
        return self.network.state_dict()

    def _phases(self, network: nn.Module) -> list[Phase]:
        assert isinstance(network, Denoiser)  # noqa: S101 - `build` returned it
        adam = Adam(network.trained.parameters(), lr=self.config.learning_rate, fused=True)
        return [Phase("losses", adam, self.config.max_norm)]

    # -- answering -----------------------------------------------------------------------------------------------------

    @property
    def deepest(self) -> int:
        """τ: the depth at r = 0, in steps."""
        return max(1, round(self.config.depth * min(self.config.steps, self.config.times)))

    @property
    def mask(self) -> Mask:
        """Where the query's pixels are kept."""
        return Mask(self.config.mask_reach, self.config.mask_threshold)

    def chain(self, steps: int) -> Chain:
        """Denoising in so many steps."""
        return Chain(self.network.noise, self.network.schedule.respaced(steps))

    def classify(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images in [−1, 1]."""
        return self.classifier((images + 1) / 2)

    def reconstruct(self, images: Tensor) -> Tensor:
        """The query itself: what depth 0 gives."""
        return images

    def explain(self, images: Tensor, target: Tensor, relaxations: Sequence[float]) -> Counterfactuals:
        """Counterfactuals from the depth τ(r) = (1 − r) τ, in whole steps; each query's noise is its own."""
        depths = [round((1 - r) * self.deepest) for r in relaxations]
        answers = images.new_empty(len(depths), *images.shape)
        noise, told = Noise.of(images), []
        for rows in torch.arange(len(images), device=images.device).split(BATCH) if len(images) else ():
            found, facts = self.answered(2 * images[rows] - 1, target[rows], depths, noise.of_rows(rows))
            for place, each in enumerate(found):
                answers[place, rows] = torch.where(each.kept, images[rows], ((each.images + 1) / 2).clamp(0, 1))
            told.append(facts)
        return Counterfactuals(
            answers, {name: torch.cat([facts[name] for facts in told]) for name in (told[0] if told else ())}
        )

    @abc.abstractmethod
    def answered(
        self, images: Tensor, target: Tensor, depths: Sequence[int], noise: Noise
    ) -> tuple[list[Denoised], Mapping[str, Tensor]]:
        """The answers to queries (n, C, H, W) in [−1, 1] from each depth, and what was intervened on, (n, ...) each."""

    def from_noise(self, count: int) -> Tensor:
        """What the model makes of plain noise, (count, C, H, W) in [0, 1]."""
        chain, shape = self.chain(self.config.sample_steps), self.network.trained.sizes.shape
        device = next(self.network.parameters()).device
        made = []
        for rows in torch.arange(count).split(BATCH):
            plain = torch.randn(len(rows), *shape, device=device)
            made.append(chain.denoise(plain, len(chain.schedule), partial(_drawn, plain)))
        return (torch.cat(made) + 1) / 2


def _drawn(like: Tensor, step: int) -> Tensor:  # noqa: ARG001 - every step's is new
    return torch.randn_like(like)
