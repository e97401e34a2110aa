"""What the small class-conditional GAN learns by: a projection discriminator, the hinge loss, an encoder."""

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import spectral_norm

from methods.base import ImageSet
from methods.gan_search.model import inversion_error
from methods.hybrid.biggan_model import ResidualGenerator
from methods.nn import SLOPE, Averaging, follow, halvings


@dataclass(frozen=True)
class Labelled:
    """Training batches of images with the classes that the classifier sees in them."""

    data: ImageSet
    classes: Tensor
    """(N,)."""

    def __call__(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, C, H, W) and classes (B,)."""
        return self.data.batch(indices), self.classes[indices]


class ProjectionDiscriminator(nn.Module):
    """Strided convolutions under spectral norm; a class weighs their features (Miyato and Koyama 2018)."""

    def __init__(self, shape: tuple[int, int, int], widths: tuple[int, ...], classes: int) -> None:
        super().__init__()
        channels, height, width = shape
        layers: list[nn.Module] = []
        for wide in widths:
            layers += [spectral_norm(nn.Conv2d(channels, wide, 4, stride=2, padding=1)), nn.LeakyReLU(SLOPE)]
            channels, height, width = wide, height // 2, width // 2
        self.features = nn.Sequential(*layers, nn.Flatten())
        self.linear = spectral_norm(nn.Linear(channels * height * width, 1))
        self.embedding = spectral_norm(nn.Embedding(classes, channels * height * width))

    def forward(self, images: Tensor, classes: Tensor) -> Tensor:
        """How real images (B, C, H, W) in [−1, 1] look as members of `classes` (B,), (B,)."""
        features = self.features(images)
        score: Tensor = self.linear(features)[:, 0] + (self.embedding(classes) * features).sum(1)
        return score


class ConditionalGAN(Averaging):
    """Generator, its running average that is used, discriminator, and an encoder to z."""

    averaged: ResidualGenerator

    def __init__(
        self,
        generator: ResidualGenerator,
        shape: tuple[int, int, int],
        discriminator: tuple[int, ...],
        encoder: tuple[int, ...],
        *,
        average: float,
        noise: float,
    ) -> None:
        super().__init__()
        self.average, self.input_noise = average, noise
        self.generator = generator
        self.averaged = deepcopy(generator).requires_grad_(False)
        self.discriminator = ProjectionDiscriminator(shape, discriminator, generator.classes)
        self.encoder = halvings(shape, encoder, generator.latent)

    def discriminator_losses(self, images: Tensor, classes: Tensor) -> dict[str, Tensor]:
        """Hinge loss of telling images (B, C, H, W) from generated ones of the same classes (B,)."""
        with torch.no_grad():
            generated = self._generated(classes)
        real, fake = self._score(images, classes), self._score(generated, classes)
        return {"loss": (1 - real).relu().mean() + (1 + fake).relu().mean()}

    def generator_losses(self, images: Tensor, classes: Tensor) -> dict[str, Tensor]:  # noqa: ARG002 - the phases' form
        """The score of generated images, the other way round."""
        follow(self.averaged, self.generator, self.average)
        return {"loss": -self._score(self._generated(classes), classes).mean()}

    def encoder_losses(self, images: Tensor, classes: Tensor) -> dict[str, Tensor]:
        """The encoder's errors on images, generated again in their own class, and on as many sampled latents."""

        def generate(latents: Tensor) -> Tensor:
            images: Tensor = self.averaged(self.averaged.code(latents, classes))
            return images

        latents = torch.randn(len(images), self.generator.latent, device=images.device)
        return {"loss": inversion_error(self.encoder, generate, images, latents)}

    def _generated(self, classes: Tensor) -> Tensor:
        latents = torch.randn(len(classes), self.generator.latent, device=classes.device)
        images: Tensor = self.generator(self.generator.code(latents, classes))
        return images

    def _score(self, images: Tensor, classes: Tensor) -> Tensor:
        """The discriminator's, of images that it sees in [−1, 1] under noise, which keeps it from being too sure."""
        noisy = images + self.input_noise * torch.randn_like(images)
        score: Tensor = self.discriminator(2 * noisy - 1, classes)
        return score
