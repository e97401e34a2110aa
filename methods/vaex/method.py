"""`vaex`, `vaex-cat`, `vaex-masked`: counterfactuals by relaxing the posterior of a hierarchical conditional VAE.

Vercheval and Pižurica, "Hierarchical Variational Autoencoders for Visual Counterfactuals", 2021. The mask is ours; the
mask of Jeanneret, Simon and Jurie, "Adversarial Counterfactual Visual Explanations", 2023, also keeps query pixels.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar, Literal, Self

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.optim import Adam

from methods.base import BATCH, Classifier, Counterfactuals, ImageSet, Method, MethodConfig, in_batches
from methods.training import Phase, Plan, Trainer, warmup_cosine
from methods.vaex.model import AdaIN, Concatenation, HierarchicalVAE, Sizes, centred, kl_divergence

Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]
Intervention = Literal["condition", "z_0"]


class VaexConfig(MethodConfig):
    """Settings of `vaex`; "author's code" is the code published with the paper."""

    explain_only = frozenset(
        {"schedule", "relax_log_variance", "deviation_divisor", "masked", "mask_reach", "mask_threshold"}
    )

    conditioning: Literal["adain", "concatenation"] = Field(
        "adain", description="how z_{k-1} enters the prior p_k: vaex or vaex-cat (Secs. III-A, IV)"
    )
    widths: tuple[Positive, ...] = Field(
        (8, 16, 32, 64, 128), description="channels of the features, fine to coarse, one per resolution (ours)"
    )
    latents: tuple[Positive, ...] = Field(
        (24, 8, 4, 2, 1),
        description="channels of z_0 … z_K, coarse to fine, of z_0 one per class at least (Sec. III-B); with one fewer "
        "than widths the finest has no latent (ours)",
    )
    depth: Positive = Field(2, description="blocks between two latent groups (Sec. II-C)")
    beta: float = Field(15.0, ge=0, description="weight of the KL term (author's code: 100 at 129 px)")
    free_bits: float = Field(1.0, ge=0, description="FB, nats per latent element (author's code: 2 on the doubled KL)")
    prior_scale: float = Field(5.0, gt=0, description="s, the distance between class means of z_0 (Sec. III-B)")
    centrings: int = Field(2, ge=0, description="times that ξ is drawn away from 0 and 1 (Sec. IV)")
    variance_momentum: Share = Field(0.1, description="momentum of the running per-pixel variance (author's code)")
    variance_floor: float = Field(
        1e-3, gt=0, description="least per-pixel variance, squared intensities; sets the scale of bits/dim (ours)"
    )
    epochs: Positive = Field(16, description="passes over the training images (ours)")
    min_steps: int = Field(1750, ge=0, description="minimal steps: a small training set gets more epochs (ours)")
    batch_size: Positive = Field(32, description="images per step (Sec. II-C)")
    learning_rate: float = Field(2e-3, gt=0, description="Adam's learning rate at its peak (author's code: 1e-3)")
    warmup: int = Field(100, ge=0, description="steps of linear warm-up before the cosine decay (ours)")
    max_norm: float = Field(1000.0, gt=0, description="gradient norms are clipped to this (ours)")
    schedule: Literal["power", "squaring"] = Field(
        "power", description="factor on the residual of level k: r^k (Sec. III-C) or r^(2^(k-1)) (author's code)"
    )
    relax_log_variance: bool = Field(
        False, description="whether the residual of the log-variance is scaled too (author's code: no)"
    )
    deviation_divisor: float = Field(
        3.0, ge=1, description="standard deviations of the latents are divided by this in answers (Sec. III-C)"
    )
    masked: bool = Field(
        False, description="whether query pixels are kept where its class and the target decode alike (ours)"
    )
    mask_reach: int = Field(2, ge=0, description="pixels to each side over which that difference is averaged (ours)")
    mask_threshold: float = Field(8 / 255, ge=0, lt=1, description="a pixel changes above this difference (ours)")

    @model_validator(mode="after")
    def _levels_agree(self) -> Self:
        if len(self.widths) - len(self.latents) not in (0, 1):
            raise ValueError(f"widths need as many latents, or one fewer, not {self.widths} and {self.latents}")
        for fine, coarse in zip(self.widths, self.widths[1:], strict=False):
            if max(fine, coarse) % min(fine, coarse):
                raise ValueError(f"neighbouring widths must divide one another, not {fine} and {coarse}")
        return self


@dataclass(frozen=True)
class Conditioned:
    """Training batches: images with their centred probabilities, computed once."""

    data: ImageSet
    xi: Tensor
    """(N, classes)."""

    def __call__(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, C, H, W) and ξ (B, classes)."""
        return self.data.batch(indices), self.xi[indices]


class Vaex(Method):
    """Conditions a VAE on another class and lets go of the query's own code, level by level, as r falls."""

    Config = VaexConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"widths": (4, 8, 16), "latents": (12, 4, 2), "epochs": 2, "min_steps": 0, "warmup": 5},
        "paper": {
            "widths": (16, 32, 64, 128, 256, 512),
            "latents": (32, 16, 8, 4, 2, 1),
            "beta": 100.0,
            "learning_rate": 1e-3,
            "epochs": 20,
            "warmup": 1000,
        },
        "faces": {
            "latents": (8, 4, 2, 1),
            "beta": 2.0,
            "free_bits": 0.1,
            "prior_scale": 10.0,
            "variance_floor": 1e-2,
            "epochs": 11,
            "batch_size": 16,
        },
        "bias": {
            "widths": (8, 16, 32, 64),
            "latents": (16, 4, 2, 1),
            "beta": 1.2,
            "free_bits": 0.1,
            "variance_floor": 1e-2,
            "epochs": 6,
            "batch_size": 16,
            "min_steps": 0,
        },
    }
    config: VaexConfig
    network: HierarchicalVAE

    def build(self, shape: tuple[int, int, int], class_count: int) -> nn.Module:
        """The untrained VAE; z_0 has a channel for each class at least, because the condition moves one of each."""
        config = self.config
        conditioning = {"adain": AdaIN, "concatenation": Concatenation}[config.conditioning]
        latents = (max(config.latents[0], class_count), *config.latents[1:])
        sizes = Sizes(shape, class_count, config.widths, latents, config.depth, conditioning)
        return HierarchicalVAE(
            sizes,
            beta=config.beta,
            free_bits=config.free_bits,
            prior_scale=config.prior_scale,
            variance_momentum=config.variance_momentum,
            variance_floor=config.variance_floor,
        )

    def fit(self, data: ImageSet, classifier: Classifier, *, trainer: Trainer) -> Self:
        """Train on the images and their class probabilities by the classifier; labels are not used."""
        network = self.prepare(data.shape, classifier)
        plan = Plan(
            batch=Conditioned(data, in_batches(self._xi, data, trainer.device)),
            count=len(data),
            epochs=self.config.epochs,
            min_steps=self.config.min_steps,
            batch_size=self.config.batch_size,
            schedule=partial(warmup_cosine, self.config.warmup),
        )
        trainer.fit(network, self._phases, plan)
        return self

    def _phases(self, network: nn.Module) -> list[Phase]:
        optimizer = Adam(network.parameters(), lr=self.config.learning_rate, fused=True)
        return [Phase("losses", optimizer, self.config.max_norm)]

    def reconstruct(self, images: Tensor) -> Tensor:
        """The query decoded under its own condition at r = 1, with the narrowed posterior of answers; never masked."""
        xi = self._xi(images)
        noise = self.network.noise(len(images))
        decoded, _, _ = self.network.top_down(
            self.network.bottom_up(images, xi), xi, noise, divisor=self.config.deviation_divisor
        )
        return decoded

    def explain(self, images: Tensor, target: Tensor, relaxations: Sequence[float]) -> Counterfactuals:
        """One encoding under ξ = onehot(target), one decoding per relaxation; all share the latents' noise.

        With a mask the query's own class is decoded likewise, and pixels where both agree are taken from the query.
        """
        if not relaxations:
            return Counterfactuals(images.new_empty(0, *images.shape))
        noise = self.network.noise(len(images))
        decoded, top = self.intervened(images, target, noise, relaxations)
        if self.config.masked:
            own, _ = self.intervened(images, self.classifier(images).argmax(1), noise, relaxations)
            mask = apart(decoded, own, self.config.mask_reach) > self.config.mask_threshold
            decoded = torch.where(mask, decoded, images)
        return Counterfactuals(decoded, {"z_0": top})

    def intervened(
        self,
        images: Tensor,
        target: Tensor,
        noise: Sequence[Tensor],
        relaxations: Sequence[float],
        interventions: Collection[Intervention] = ("condition", "z_0"),
    ) -> tuple[Tensor, Tensor]:
        """The images with ξ, the class channels of z_0, or both set to the target (Sec. III-C).

        Parameters
        ----------
        images, target
            (N, C, H, W) in [0, 1], and the classes (N,).
        noise
            Of the latents, as `network.noise` draws it.
        relaxations
            R of them, in [0, 1].
        interventions
            "condition": ξ = onehot(target), else ξ is the query's. "z_0": its class channels become s·onehot(target).

        Returns
        -------
        tuple
            Images (R, N, C, H, W), and z_0.
        """
        onehot = F.one_hot(target, self.classifier.class_count).to(images)
        xi = onehot if "condition" in interventions else self._xi(images)
        bottom_up = self.network.bottom_up(images, xi)
        answers = [
            self.network.top_down(
                bottom_up,
                xi,
                noise,
                divisor=self.config.deviation_divisor,
                relax=lambda level, r=r: self._factor(r, level),  # type: ignore[misc] # mypy cannot infer the default
                relax_log_variance=self.config.relax_log_variance,
                target=target if "z_0" in interventions else None,
            )
            for r in relaxations
        ]
        return torch.stack([decoded for decoded, _, _ in answers]), answers[0][2]

    def diagnostics(self, images: Tensor) -> dict[str, Tensor]:
        """NLL and KL of each image in nats, (N,), from one draw of the posterior as it was trained (not narrowed)."""
        xi = self._xi(images)
        decoded, distributions, _ = self.network.top_down(
            self.network.bottom_up(images, xi), xi, self.network.noise(len(images))
        )
        kl = [kl_divergence(posterior, prior).flatten(1).sum(1) for posterior, prior in distributions]
        return {"nll": self.network.nll(decoded, images), "kl": torch.stack(kl).sum(0)}

    def samples(self, count: int) -> Mapping[str, Tensor]:
        """Pictures of the conditional prior, all classes in turn, each under ξ = onehot(c)."""
        classes = self.classifier.class_count
        conditions = F.one_hot(torch.arange(count) % classes, classes).to(self.network.top)
        drawn = [self.network.top_down(None, xi, self.network.noise(len(xi)))[0] for xi in conditions.split(BATCH)]
        return {"samples": torch.cat(drawn)}

    def remarks(self) -> tuple[str, ...]:
        """The choices behind these numbers where the paper leaves them open."""
        exponent = {"power": "r^k", "squaring": "r^(2^(k-1))"}[self.config.schedule]
        side = 2 * self.config.mask_reach + 1
        apart_at_most = f"{255 * self.config.mask_threshold:.3g}/255 apart at most over {side} x {side} pixels"
        mask = f"query pixels are kept where its own class and the target decode alike, {apart_at_most}"
        return (
            f"posterior residual of level k scaled by {exponent}",
            f"NLL and bits/dim depend on the floor of {self.config.variance_floor:g} of a pixel's variance",
            *([mask] if self.config.masked else []),
        )

    def _xi(self, images: Tensor) -> Tensor:
        """The centred probabilities of the investigated classifier, (B, classes)."""
        return centred(self.classifier(images).softmax(1), self.config.centrings)

    def _factor(self, relaxation: float, level: int) -> float:
        exponent = level if self.config.schedule == "power" else 2 ** (level - 1)
        return float(relaxation**exponent)


def apart(images: Tensor, others: Tensor, reach: int) -> Tensor:
    """Maximal difference over channels, averaged over `reach` pixels to each side: (R, N, 1, H, W) in [0, 1]."""
    difference = (images - others).abs().amax(2, keepdim=True)
    around = F.avg_pool2d(difference.flatten(0, 1), 2 * reach + 1, 1, reach, count_include_pad=False)
    return around.view_as(difference)
