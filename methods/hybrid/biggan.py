"""`hybrid-biggan`: the modules of a class-conditional residual GAN, hybrids across its classes."""

from collections.abc import Mapping
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.optim import Adam

from methods.base import ImageSet, in_batches
from methods.gan_search.descent import refined
from methods.gan_search.method import GanConfig
from methods.hybrid.biggan_model import INTERVENED, Blocks, BlockShape, ResidualGenerator
from methods.hybrid.biggan_training import ConditionalGAN, Labelled
from methods.hybrid.method import HybridConfig, Hybridization, Positive
from methods.nn import check_halvings, levels
from methods.training import Phase, Plan, Trainer, warmup_cosine


class HybridBigganConfig(GanConfig, HybridConfig):
    """Settings of `hybrid-biggan`; its GAN is trained and inverted by those of `gan-search`, but for other numbers."""

    explain_only = HybridConfig.explain_only | GanConfig.explain_only
    layers_a_width: ClassVar[int] = len(INTERVENED)

    inversion_steps: int = Field(30, ge=0, description="of gradient descent from the encoder's guess at a query (ours)")
    latent: Positive = Field(32, description="length of z (BigGAN-deep: 128)")
    embedded: Positive = Field(16, description="length of the embedded class (BigGAN-deep: 128)")
    generator: tuple[Positive, ...] = Field(
        (128, 64, 32),
        description="channels that enter each block, coarse to fine; each doubles the size, the last one halves "
        "its channels (ours)",
    )
    reduction: Positive = Field(4, description="a block's channels are divided by it inside (BigGAN-deep)")
    layer: Positive = Field(
        6,
        description="whose channels are swapped: three a block, the last one what leaves it; inside a block too few "
        "hybrids are of the donor's class (ours)",
    )
    discriminator: tuple[Positive, ...] = Field(
        (32, 64, 128), description="channels of the discriminator, fine to coarse, each halves the size (ours)"
    )
    min_steps: int = Field(2400, ge=0, description="steps of the GAN, at least (ours)")
    learning_rate: float = Field(1e-3, gt=0, description="Adam's, of all but the discriminator (ours)")
    discriminator_rate: float = Field(2e-3, gt=0, description="Adam's, of the discriminator (ours)")
    momentum: float = Field(0.0, ge=0, lt=1, description="Adam's β_1, of generator and discriminator (BigGAN-deep)")

    @model_validator(mode="after")
    def _blocks_narrow(self) -> Self:
        least = max(2, self.reduction)
        if min(self.generator) < least or any(later > before for before, later in pairwise(self.generator)):
            raise ValueError(f"the generator's channels must not grow from block to block, nor fall below {least}")
        return self


class HybridBiggan(Hybridization):
    """As `hybrid`, inside a conditional GAN, from one class to another."""

    Config = HybridBigganConfig
    one_generator = False
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            "generator": (16, 8),
            "reduction": 2,
            "latent": 8,
            "embedded": 4,
            "discriminator": (8, 16),
            "encoder": (8, 16),
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
            "generator": (512, 256, 128, 64),
            "discriminator": (64, 128, 256, 512),
            "encoder": (64, 128, 256, 512),
            "latent": 128,
            "embedded": 128,
            "average": 0.9999,
            "epochs": 100,
            "learning_rate": 5e-5,
            "discriminator_rate": 2e-4,
            "input_noise": 0.0,
            "inversion_steps": 100,
            "pairs": 1000,
            "window": 5,
            "bank": 20_000,
        },
        "faces": {
            "generator": (96, 64, 32, 16),
            "discriminator": (16, 32, 64, 96),
            "encoder": (16, 32, 64, 128),
            "latent": 48,
            "epochs": 7,
            "min_steps": 0,
            "encoder_epochs": 4,
            "encoder_min_steps": 0,
            "inversion_steps": 20,
            "pairs": 64,
            "window": 5,
            "bank": 3000,
        },
        "bias": {
            "confidence": 0.9,
            "generator": (64, 32, 16),
            "discriminator": (16, 32, 64),
            "encoder": (16, 32, 64),
            "epochs": 12,
            "min_steps": 0,
            "encoder_epochs": 6,
            "encoder_min_steps": 0,
            "inversion_steps": 20,
            "pairs": 64,
            "window": 5,
            "bank": 2000,
        },
    }
    config: HybridBigganConfig

    def untrained(self, shape: tuple[int, int, int], class_count: int) -> nn.Module:
        """The untrained GAN.

        Raises
        ------
        ValueError
            If the images are too small to be halved so often.
        """
        config = self.config
        depth = max(len(config.generator), len(config.discriminator), len(config.encoder))
        check_halvings(shape, depth)
        start, *finer = levels(shape, len(config.generator))
        leaving = (*config.generator[1:], config.generator[-1] // 2)
        blocks = [
            BlockShape(entering, left, size, doubles=True)
            for entering, left, size in zip(config.generator, leaving, finer, strict=True)
        ]
        generator = ResidualGenerator(
            blocks,
            colours=shape[0],
            latent=config.latent,
            classes=class_count,
            embedded=config.embedded,
            start=start,
            reduction=config.reduction,
            eps=1e-5,
            ends_in="sigmoid",
        )
        return ConditionalGAN(
            generator, shape, config.discriminator, config.encoder, average=config.average, noise=config.input_noise
        )

    @property
    def model(self) -> ConditionalGAN:
        """The GAN with its encoder."""
        model = self.network.model
        assert isinstance(model, ConditionalGAN)  # noqa: S101 - `untrained` returned it
        return model

    def train(self, data: ImageSet, trainer: Trainer) -> None:
        """Train the GAN on the classes that the classifier sees, then its encoder."""
        config = self.config
        labelled = Labelled(data, in_batches(self._classes, data, trainer.device))
        trainer.fit(
            self.model,
            self._gan_phases,
            Plan(labelled, len(data), config.epochs, config.batch_size, config.min_steps),
        )
        encoder = Plan(
            labelled,
            len(data),
            config.encoder_epochs,
            config.batch_size,
            config.encoder_min_steps,
            partial(warmup_cosine, 0),
        )
        trainer.fit(self.model, self._encoder_phases, encoder, stage="encoder")

    def _gan_phases(self, network: nn.Module) -> list[Phase]:
        assert isinstance(network, ConditionalGAN)  # noqa: S101 - `untrained` returned it
        config = self.config
        adam = partial(Adam, betas=(config.momentum, 0.999), fused=True)
        return [
            Phase("discriminator_losses", adam(network.discriminator.parameters(), lr=config.discriminator_rate)),
            Phase("generator_losses", adam(network.generator.parameters(), lr=config.learning_rate)),
        ]

    def _encoder_phases(self, network: nn.Module) -> list[Phase]:
        assert isinstance(network, ConditionalGAN)  # noqa: S101 - `untrained` returned it
        return [Phase("encoder_losses", Adam(network.encoder.parameters(), lr=self.config.learning_rate, fused=True))]

    def generator_of(self, model: nn.Module) -> Blocks:
        """The running average of the generator."""
        assert isinstance(model, ConditionalGAN)  # noqa: S101 - `untrained` returned it
        return Blocks(model.averaged)

    @property
    def blocks(self) -> Blocks:
        """The fitted generator."""
        return self.generator_of(self.network.model)

    def encode(self, images: Tensor) -> Tensor:
        """The encoder's guess, and the class that the classifier sees."""
        return self.model.averaged.code(self.model.encoder(images), self._classes(images))

    def invert(self, images: Tensor) -> Tensor:
        """The same, z refined on the squared error."""
        classes, config = self._classes(images), self.config

        def generate(latents: Tensor) -> Tensor:
            return self.generate(self.model.averaged.code(latents, classes))

        guess = self.model.encoder(images)
        found = refined(guess, generate, images, config.inversion_steps, config.inversion_rate)
        return self.model.averaged.code(found, classes)

    def _classes(self, images: Tensor) -> Tensor:
        """The class that the classifier sees in images, (B,)."""
        return self.classifier(images).argmax(1)
