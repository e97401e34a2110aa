"""`leap` and `leap-robust`: leaps between a query's class and the target in the latent space of a VAE.

Cao, Zhao, Krieger, Scharr and Assent, "LeapFactual: Reliable Visual Counterfactual Explanation Using Conditional Flow
Matching", 2025.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar, Self

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Adam

from methods.base import BATCH, Classifier, Counterfactuals, Images, ImageSet, Method, MethodConfig, in_batches
from methods.leap.flow import Velocity, land, lift
from methods.leap.model import GaussianVAE, LatentFlow
from methods.nn import check_halvings, stacked
from methods.pictures import eight_bit
from methods.training import Phase, Plan, Trainer, warmup_cosine

Positive = Annotated[int, Field(gt=0)]

FRAMES = 8
"""Pictures that the way of a query is kept as, at most."""
WHOLE = 32
"""Integration steps of the whole flow, from noise to samples."""


class LeapConfig(MethodConfig):
    """Settings of `leap`."""

    explain_only = frozenset({"step_size", "blending", "injections", "integration_steps"})

    step_size: float = Field(0.15, ge=0, le=1, description="γ, share of the flow that a leap follows (paper: .1)")
    blending: int = Field(15, ge=0, description="N_b, leaps: lift with the prediction, land with the target (Sec. 4)")
    injections: int = Field(0, ge=0, description="N_i, landings after them, without lifts; 5 in `leap-robust` (Sec. 4)")
    integration_steps: Positive = Field(4, description="of Heun's method for a lift or a landing (paper: dopri5)")
    latent: Positive = Field(32, description="length of z (ours)")
    encoder: tuple[Positive, ...] = Field(
        (32, 64, 128), description="channels of the encoder, fine to coarse, each halves the size (ours)"
    )
    decoder: tuple[Positive, ...] = Field(
        (64, 64, 32), description="channels of the decoder, coarse to fine, each doubles the size (ours)"
    )
    epochs: Positive = Field(20, description="passes over the training images, of the VAE (ours)")
    min_steps: int = Field(1500, ge=0, description="steps of the VAE, at least (ours)")
    batch_size: Positive = Field(64, description="images a step (ours)")
    learning_rate: float = Field(1e-3, gt=0, description="Adam's for the VAE, falling to 0 by half a cosine (ours)")
    flow_widths: tuple[Positive, ...] = Field(
        (256, 256, 256), description="units of the velocity's layers (paper: 3 of 64)"
    )
    flow_epochs: Positive = Field(30, description="passes over the training images, of the flow (paper)")
    flow_min_steps: int = Field(6000, ge=0, description="steps of the flow, at least (ours)")
    flow_batch_size: Positive = Field(256, description="latents a step (ours)")
    flow_rate: float = Field(1e-3, gt=0, description="Adam's for the flow, falling to 0 by half a cosine (paper: 5e-3)")


@dataclass(frozen=True)
class Encoded:
    """Training batches of the flow, computed once."""

    latents: Tensor
    """(N, latent), scaled."""
    condition: Tensor
    """The classifier's probabilities, (N, classes)."""

    def __call__(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """z_1 (B, latent) and y (B, classes)."""
        return self.latents[indices], self.condition[indices]


class Leap(Method):
    """Leaps from a query's class to the target along a flow of a VAE's latents, asking for probabilities alone.

    A leap lifts the latent towards noise under the prediction of the moment, and lands it under the target. Its answers
    end near the boundary between the classes; landings without lifts take them further in.
    """

    Config = LeapConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            "latent": 8,
            "encoder": (8, 16),
            "decoder": (12, 8),
            "epochs": 4,
            "min_steps": 0,
            "batch_size": 16,
            "flow_widths": (32, 32),
            "flow_epochs": 20,
            "flow_min_steps": 0,
            "flow_batch_size": 32,
            "blending": 5,
        },
        "paper": {  # as the authors' code has it for galaxies of 128 pixels, with fewer passes over more images
            "latent": 64,
            "encoder": (32, 64, 128, 256),
            "decoder": (256, 128, 64, 32),
            "epochs": 40,
            "min_steps": 0,
            "batch_size": 128,
            "learning_rate": 3e-4,
            "flow_widths": (256, 256, 256, 256, 256),
            "flow_epochs": 50,
            "flow_min_steps": 0,
            "flow_rate": 5e-4,
            "step_size": 0.1,
            "blending": 250,
        },
        "faces": {
            "latent": 64,
            "encoder": (16, 32, 64, 128),
            "decoder": (64, 64, 32, 16),
            "epochs": 9,
            "min_steps": 0,
        },
        "bias": {
            "latent": 64,
            "encoder": (16, 32, 64),
            "decoder": (64, 32, 16),
            "epochs": 12,
            "min_steps": 0,
            "flow_min_steps": 3000,
        },
    }
    config: LeapConfig
    network: LatentFlow

    def build(self, shape: tuple[int, int, int], class_count: int) -> nn.Module:
        """The untrained VAE and flow.

        Raises
        ------
        ValueError
            If the images are too small to be halved so often.
        """
        config = self.config
        depth = max(len(config.encoder), len(config.decoder))
        check_halvings(shape, depth)
        vae = GaussianVAE(shape, config.latent, config.encoder, config.decoder)
        return LatentFlow(vae, Velocity(config.latent, class_count, config.flow_widths))

    # -- fitting -------------------------------------------------------------------------------------------------------

    def fit(self, data: ImageSet, classifier: Classifier, *, trainer: Trainer) -> Self:
        """Train the VAE, then the flow of its latents under the classifier's probabilities; labels are not used."""
        network, config, schedule = self.prepare(data.shape, classifier), self.config, partial(warmup_cosine, 0)
        assert isinstance(network, LatentFlow)  # noqa: S101 - `build` returned it
        images = Plan(Images(data), len(data), config.epochs, config.batch_size, config.min_steps, schedule)
        trainer.fit(network.vae, self._vae_phases, images, stage="vae")
        encoded = self._encoded(data, network, trainer.device)
        plan = Plan(encoded, len(data), config.flow_epochs, config.flow_batch_size, config.flow_min_steps, schedule)
        trainer.fit(network.velocity, self._flow_phases, plan, stage="flow")
        network.eval()
        return self

    def _encoded(self, data: ImageSet, network: LatentFlow, device: torch.device) -> Encoded:
        """The training images' latents, by which the network is scaled, and what the classifier sees in the images."""
        network.to(device)
        network.scale(in_batches(lambda images: network.vae.posterior(images)[0], data, device))
        latents = in_batches(network.encode, data, device)
        network.cpu()
        return Encoded(latents, in_batches(self._probabilities, data, device))

    def _vae_phases(self, vae: nn.Module) -> list[Phase]:
        return [Phase("losses", Adam(vae.parameters(), lr=self.config.learning_rate, fused=True))]

    def _flow_phases(self, velocity: nn.Module) -> list[Phase]:
        return [Phase("losses", Adam(velocity.parameters(), lr=self.config.flow_rate, fused=True))]

    # -- answering -----------------------------------------------------------------------------------------------------

    def reconstruct(self, images: Tensor) -> Tensor:
        """What is decoded of the query's own latent."""
        return self.network.decode(self.network.encode(images))

    @torch.no_grad()
    def explain(self, images: Tensor, target: Tensor, relaxations: Sequence[float]) -> Counterfactuals:
        """One way of leaps and landings a query, the last share r of which is left out."""
        way = self._way(self.network.encode(images), target)  # (1 + N_b + N_i, N, latent)
        answers = [self.network.decode(point(way, 1 - r)) for r in relaxations]
        shown = [self.network.decode(point(way, k / (FRAMES - 1))) for k in range(FRAMES)]
        reached = self.classifier(shown[-1]).argmax(1) == target
        path = eight_bit(torch.stack(shown, dim=1))
        return Counterfactuals(
            stacked(answers, images), {"own_latent": way[0], "latent": way[-1], "path": path, "flipped": reached}
        )

    def _way(self, latents: Tensor, target: Tensor) -> Tensor:
        """Where `latents` (N, latent) are before and after each leap and landing: (1 + N_b + N_i, N, latent)."""
        config = self.config
        up, down = (
            partial(move, self.network.velocity, scale=config.step_size, steps=config.integration_steps)
            for move in (lift, land)
        )
        wanted = F.one_hot(target, self.classifier.class_count).to(latents)
        way = [latents]
        for leap in range(config.blending + config.injections):
            start = way[-1]
            if leap < config.blending:
                start = up(start, self._probabilities(self.network.decode(start)))
            way.append(down(start, wanted))
        return torch.stack(way)

    def _probabilities(self, images: Tensor) -> Tensor:
        """What the classifier sees in images (B, C, H, W): (B, classes)."""
        return self.classifier(images).softmax(1)

    def diagnostics(self, images: Tensor) -> Mapping[str, Tensor]:
        """NLL and KL divergence of each image under the VAE in nats, (N,), from one draw of the posterior."""
        _, nll, kl = self.network.vae.terms(images)
        return {"nll": nll, "kl": kl}

    def samples(self, count: int) -> Mapping[str, Tensor]:
        """Pictures that the whole flow makes of noise, all classes in turn, (count, C, H, W)."""
        classes, latent = self.classifier.class_count, self.config.latent
        wanted = F.one_hot(torch.arange(count) % classes, classes).to(self.network.centre)
        flow = partial(land, self.network.velocity, scale=1.0, steps=WHOLE)
        drawn = [self.network.decode(flow(torch.randn(len(y), latent).to(y), y)) for y in wanted.split(BATCH)]
        return {"samples": torch.cat(drawn)}

    def remarks(self) -> tuple[str, ...]:
        """How far a query is led, and what r leaves out."""
        config = self.config
        return (
            f"leaps {config.blending} times and lands {config.injections} times more, each along γ = "
            f"{config.step_size:g} of the flow; r is the share of this way that is left out",
        )


def point(way: Tensor, share: float) -> Tensor:
    """Where one is after a `share` in [0, 1] of `way` (K + 1, N, latent), on the line between two of its places."""
    done = share * (len(way) - 1)
    before = min(int(done), len(way) - 1)
    return torch.lerp(way[before], way[min(before + 1, len(way) - 1)], done - before)
