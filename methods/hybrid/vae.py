"""`hybrid`: the modules of a β-VAE."""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Adam

from methods.base import Images, ImageSet
from methods.hybrid.method import HybridConfig, Hybridization, ModulesConfig, Positive
from methods.hybrid.model import Layered, ModularGenerator
from methods.nn import check_halvings, doublings, halvings, standard_kl
from methods.training import Phase, Plan, Trainer, warmup_cosine


class BetaVAE(nn.Module):
    """A convolutional β-VAE with a DCGAN's generator as its decoder (Fig. 7)."""

    def __init__(
        self,
        shape: tuple[int, int, int],
        latent: int,
        encoder: tuple[int, ...],
        generator: tuple[int, ...],
        *,
        beta: float,
    ) -> None:
        super().__init__()
        self.beta = beta
        self.encoder = halvings(shape, encoder, 2 * latent)
        self.decoder = doublings(shape, latent, generator)

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z|x), (B, latent) each."""
        mean, log_variance = self.encoder(images).chunk(2, dim=1)
        return mean, log_variance

    def losses(self, images: Tensor) -> dict[str, Tensor]:
        """Cross entropy summed over pixels, and the KL divergence from N(0, I), in nats an image."""
        mean, log_variance = self.posterior(images)
        decoded = self.decoder(mean + torch.randn_like(mean) * (0.5 * log_variance).exp())
        with torch.autocast(images.device.type, enabled=False):  # in half precision CUDA refuses it, near 0 and 1
            entropy = F.binary_cross_entropy(decoded.float(), images.float(), reduction="none")
        distortion = entropy.flatten(1).sum(1).mean()
        rate = standard_kl(mean, log_variance).mean()
        return {"loss": distortion + self.beta * rate, "distortion": distortion, "rate": rate}


class BetaVaeConfig(ModulesConfig):
    """Settings of the β-VAE."""

    encoder: tuple[Positive, ...] = Field(
        (32, 64, 128), description="channels of the encoder, fine to coarse, each halves the size (ours)"
    )
    beta: float = Field(
        1.0, ge=0, description="weight of the KL beside an error summed over pixels (Table 1: .0005, beside a mean)"
    )
    epochs: Positive = Field(20, description="passes over the training images (ours)")
    min_steps: int = Field(1200, ge=0, description="steps, at least: more passes over a small training set (ours)")
    batch_size: Positive = Field(64, description="images a step (Table 1)")
    learning_rate: float = Field(1e-3, gt=0, description="Adam's, falling to 0 by half a cosine (ours)")
    momentum: float = Field(0.5, ge=0, lt=1, description="Adam's β_1 (Table 1)")


class HybridVaeConfig(BetaVaeConfig, HybridConfig):
    """Settings of `hybrid`."""

    explain_only = HybridConfig.explain_only


class Hybrid(Hybridization):
    """Swaps groups of channels inside a β-VAE for those of a training image of the target class."""

    Config = HybridVaeConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            "generator": (12, 8),
            "encoder": (8, 16),
            "latent": 8,
            "epochs": 2,
            "min_steps": 0,
            "pairs": 16,
            "bank": 200,
            "repetitions": 2,
            "study_pairs": 16,
        },
        "paper": {
            "generator": (64, 64, 32, 16),
            "encoder": (64, 128, 256, 512),
            "latent": 128,
            "beta": 6.0,
            "pairs": 1000,
            "window": 5,
            "bank": 20_000,
        },
        "faces": {
            "generator": (64, 64, 32, 16),
            "encoder": (16, 32, 64, 128),
            "latent": 64,
            "epochs": 9,
            "min_steps": 0,
            "window": 5,
            "bank": 3000,
        },
        "bias": {
            "confidence": 0.9,
            "generator": (64, 32, 16),
            "encoder": (16, 32, 64),
            "latent": 64,
            "beta": 0.05,  # at 1 the mouth survives in .57 of reconstructions: hardly more than chance
            "epochs": 40,
            "min_steps": 0,
            "window": 5,
            "bank": 2000,
        },
    }
    config: HybridVaeConfig

    def untrained(self, shape: tuple[int, int, int], class_count: int) -> nn.Module:  # noqa: ARG002 - any number
        """The untrained β-VAE.

        Raises
        ------
        ValueError
            If the images are too small to be halved so often.
        """
        config = self.config
        depth = max(len(config.generator), len(config.encoder))
        check_halvings(shape, depth)
        return BetaVAE(shape, config.latent, config.encoder, config.generator, beta=config.beta)

    def train(self, data: ImageSet, trainer: Trainer) -> None:
        """Train the β-VAE."""
        config = self.config
        schedule = partial(warmup_cosine, 0)
        plan = Plan(Images(data), len(data), config.epochs, config.batch_size, config.min_steps, schedule)
        trainer.fit(self.network.model, self._phases, plan)

    def _phases(self, model: nn.Module) -> list[Phase]:
        config = self.config
        adam = Adam(model.parameters(), lr=config.learning_rate, betas=(config.momentum, 0.999), fused=True)
        return [Phase("losses", adam)]

    def generator_of(self, model: nn.Module) -> ModularGenerator:
        """The decoder."""
        assert isinstance(model, BetaVAE)  # noqa: S101 - `untrained` returned it
        return Layered(model.decoder, self.config.latent)

    def encode(self, images: Tensor) -> Tensor:
        """The posterior's mean."""
        assert isinstance(self.network.model, BetaVAE)  # noqa: S101 - `untrained` returned it
        return self.network.model.posterior(images)[0]

    def invert(self, images: Tensor) -> Tensor:
        """The posterior's mean."""
        return self.encode(images)
