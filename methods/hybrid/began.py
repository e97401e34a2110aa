"""`hybrid-began`: modules of two successive convolutions of a BEGAN (Sec. 4.1)."""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.optim import Adam

from methods.base import Images, ImageSet, Study
from methods.gan_search.descent import refined
from methods.hybrid.began_model import COURSE, PER_SIZE, Balance, Began, BeganSizes, Convolutions
from methods.hybrid.method import HybridConfig, Hybridization, Positive
from methods.hybrid.model import ModularGenerator
from methods.nn import check_halvings
from methods.training import Phase, Plan, Trainer, warmup_cosine


class HybridBeganConfig(HybridConfig):
    """Settings of `hybrid-began`."""

    explain_only = HybridConfig.explain_only | {"inversion_steps", "inversion_rate"}
    layers_a_width: ClassVar[int] = PER_SIZE

    layer: Positive = Field(5, description="the first of the convolutions whose channels are swapped (Sec. 4.1)")
    span: Literal[1, 2] = Field(
        2, description="successive convolutions that are swapped, their modules clustered together (Sec. 4.1)"
    )
    latent: Positive = Field(16, description="length of z and of the autoencoder's code (ours; BEGAN: 64)")
    generator: tuple[Positive, ...] = Field(
        (32, 32, 16), description="channels, coarse to fine, of two convolutions each; then the size doubles (ours)"
    )
    discriminator: tuple[Positive, ...] = Field(
        (32, 32, 16), description="the same of the autoencoder's decoder, which its encoder mirrors (ours)"
    )
    gamma: float = Field(
        1.0,
        gt=0,
        le=1,
        description="γ: the share of ℓ(x) that ℓ(G(z)) is held at; below 1 the digits that are easy to restore crowd "
        "out the others (ours; BEGAN: .5 to .7)",
    )
    balance_rate: float = Field(
        0.01, ge=0, description="λ_k: how fast k follows (ours; BEGAN: .001 in longer trainings)"
    )
    average: float = Field(0.995, ge=0, lt=1, description="share of the running average that a step keeps (ours)")
    epochs: Positive = Field(10, description="passes over the training images, of the BEGAN (ours)")
    min_steps: int = Field(3000, ge=0, description="steps of the BEGAN, at least (ours)")
    batch_size: Positive = Field(16, description="images a step (BEGAN)")
    learning_rate: float = Field(1e-3, gt=0, description="Adam's, of all that is trained (ours; BEGAN: 1e-4)")
    momentum: float = Field(0.5, ge=0, lt=1, description="Adam's β_1, of generator and discriminator (DCGAN)")
    encoder: tuple[Positive, ...] = Field(
        (32, 64, 128), description="channels of the encoder that inverts, fine to coarse, each halves the size (ours)"
    )
    encoder_epochs: Positive = Field(4, description="passes over the training images, of the encoder (ours)")
    encoder_min_steps: int = Field(1000, ge=0, description="steps of the encoder, at least (ours)")
    inversion_steps: int = Field(30, ge=0, description="of gradient descent from the encoder's guess at a query (ours)")
    inversion_rate: float = Field(0.1, gt=0, description="Adam's in the inversion, falling to 0 (ours)")


class HybridBegan(Hybridization):
    """As `hybrid`, inside a BEGAN, at two successive convolutions."""

    Config = HybridBeganConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            "generator": (8, 8, 8),
            "discriminator": (8, 8, 8),
            "encoder": (8, 16),
            "latent": 8,
            "average": 0.9,
            "epochs": 2,
            "min_steps": 0,
            "encoder_epochs": 2,
            "encoder_min_steps": 0,
            "inversion_steps": 5,
            "pairs": 16,
            "bank": 200,
            "repetitions": 2,
            "study_pairs": 16,
        },
        "paper": {
            "generator": (128, 128, 128),
            "discriminator": (128, 128, 128),
            "encoder": (64, 128, 256, 512),
            "latent": 64,
            "gamma": 0.7,
            "balance_rate": 0.001,
            "average": 0.999,
            "epochs": 25,
            "learning_rate": 1e-4,
            "inversion_steps": 100,
            "pairs": 1000,
            "window": 5,
            "bank": 20_000,
        },
        "faces": {
            "latent": 48,
            "encoder": (16, 32, 64, 128),
            "epochs": 3,
            "min_steps": 0,
            "encoder_epochs": 2,
            "encoder_min_steps": 0,
            "inversion_steps": 20,
            "window": 5,
            "bank": 3000,
        },
        "bias": {
            "confidence": 0.9,
            "latent": 32,
            "encoder": (16, 32, 64),
            "epochs": 6,
            "min_steps": 0,
            "encoder_min_steps": 0,
            "inversion_steps": 20,
            "window": 5,
            "bank": 2000,
        },
    }
    config: HybridBeganConfig

    def untrained(self, shape: tuple[int, int, int], class_count: int) -> nn.Module:  # noqa: ARG002 - any number
        """The untrained BEGAN.

        Raises
        ------
        ValueError
            If the images are too small to be halved so often.
        """
        config = self.config
        depth = max(len(config.generator), len(config.discriminator), len(config.encoder))
        check_halvings(shape, depth)
        sizes = BeganSizes(shape, config.latent, config.generator, config.discriminator, config.encoder)
        return Began(sizes, Balance(config.gamma, config.balance_rate, config.average))

    def train(self, data: ImageSet, trainer: Trainer) -> None:
        """Train the BEGAN, then the encoder that inverts it."""
        config, model = self.config, self.began
        plan = partial(Plan, Images(data), len(data), batch_size=config.batch_size, schedule=partial(warmup_cosine, 0))
        gan = plan(epochs=config.epochs, min_steps=config.min_steps)
        model.plan(gan.steps)
        trainer.fit(model, self._phases, gan)
        encoder = plan(epochs=config.encoder_epochs, min_steps=config.encoder_min_steps)
        trainer.fit(model, self._encoder_phases, encoder, stage="encoder")

    def _phases(self, model: nn.Module) -> list[Phase]:
        assert isinstance(model, Began)  # noqa: S101 - `untrained` returned it
        adam = partial(Adam, lr=self.config.learning_rate, betas=(self.config.momentum, 0.999), fused=True)
        return [
            Phase("discriminator_losses", adam(model.discriminator.parameters())),
            Phase("generator_losses", adam(model.generator.parameters())),
        ]

    def _encoder_phases(self, model: nn.Module) -> list[Phase]:
        assert isinstance(model, Began)  # noqa: S101 - `untrained` returned it
        return [Phase("encoder_losses", Adam(model.encoder.parameters(), lr=self.config.learning_rate, fused=True))]

    @property
    def began(self) -> Began:
        """The BEGAN that was fitted."""
        assert isinstance(self.network.model, Began)  # noqa: S101 - `untrained` returned it
        return self.network.model

    def generator_of(self, model: nn.Module) -> ModularGenerator:
        """The running average of the generator."""
        assert isinstance(model, Began)  # noqa: S101 - `untrained` returned it
        return Convolutions(model.averaged, self.config.latent)

    def encode(self, images: Tensor) -> Tensor:
        """The encoder's guess."""
        codes: Tensor = self.began.encoder(images)
        return codes

    def invert(self, images: Tensor) -> Tensor:
        """The encoder's guess, refined on the squared error."""
        config, guess = self.config, self.encode(images)
        return refined(guess, self.began.averaged, images, config.inversion_steps, config.inversion_rate)

    def of_training(self) -> Mapping[str, Study]:
        """The convergence measure, both losses and k along the training."""
        rows = [
            {"step": step, "quantity": name, "value": value}
            for step, values in self.began.told()
            for name, value in zip(COURSE, values, strict=True)
        ]
        notes = (
            f"M = l(x) + |γ l(x) − l(G(z))|, γ = {self.config.gamma:g}: how well images are restored, and the distance "
            "from balance; l: the autoencoder's mean absolute error a pixel",
            "each value is a mean over the steps since the one before; k has no unit, the others are of the range",
        )
        axes = ("step", "value", "quantity")
        return {"convergence": Study(title="convergence of the BEGAN", rows=rows, notes=notes, axes=axes)}
