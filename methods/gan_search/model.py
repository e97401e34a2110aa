"""The DCGAN whose latent space is searched, the encoder that finds a query's place in it, and what they learn from."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from methods.gan_search.augmentation import augmented
from methods.nn import Averaging, doublings, follow, halvings


@dataclass(frozen=True)
class Sizes:
    """What the networks' shapes depend on."""

    shape: tuple[int, int, int]
    """(C, H, W) of an image."""
    latent: int
    """Length of L."""
    generator: tuple[int, ...]
    """Channels of the generator's features, coarse to fine; each layer doubles the size."""
    discriminator: tuple[int, ...]
    """Channels of the discriminator's features, fine to coarse; each convolution halves the size."""
    encoder: tuple[int, ...]
    """The same of the encoder."""
    resized: bool = False
    """Whether the generator doubles by repeating pixels before a convolution (`methods.nn.Doubling`)."""


class LatentGAN(Averaging):
    """Generator, discriminator, the generator's running average that is searched, its encoder, a bank of latents."""

    averaged: nn.Sequential
    bank_latents: Tensor
    """(M, latent): encodings of training images."""
    bank_probabilities: Tensor
    """(M, classes): what the classifier sees in the images generated of them; −1 where a row is not used."""

    def __init__(
        self, sizes: Sizes, *, average: float, noise: float, bank: int, class_count: int, augments: bool = False
    ) -> None:
        super().__init__()
        self.sizes, self.average, self.input_noise, self.augments = sizes, average, noise, augments
        self.generator = doublings(sizes.shape, sizes.latent, sizes.generator, resized=sizes.resized)
        self.averaged = deepcopy(self.generator).requires_grad_(False)
        self.discriminator = halvings(sizes.shape, sizes.discriminator, 1)
        self.encoder = halvings(sizes.shape, sizes.encoder, sizes.latent)
        self.register_buffer("bank_latents", torch.zeros(bank, sizes.latent))
        self.register_buffer("bank_probabilities", torch.full((bank, class_count), -1.0))

    # -- answering -----------------------------------------------------------------------------------------------------

    def generate(self, latents: Tensor) -> Tensor:
        """G(L) of latents (B, latent): images (B, C, H, W) in [0, 1]."""
        images: Tensor = self.averaged(latents)
        return images

    def noise(self, count: int) -> Tensor:
        """`count` latents of the prior, N(0, I)."""
        return torch.randn(count, self.sizes.latent, device=self.bank_latents.device)

    def nearest(self, latents: Tensor, target: Tensor, confidence: float) -> Tensor:
        """For each of `latents` (N, latent) the nearest one in the bank that generates the class `target` (N,).

        Where none does so with the `confidence`, it is the one that comes nearest to it.
        """
        wanted = self.bank_probabilities[:, target].T  # (N, M)
        good = (wanted >= confidence) & (self.bank_probabilities.argmax(1) == target[:, None])
        distances = (latents[:, None] - self.bank_latents).square().sum(2)  # (N, M)
        nearest = distances.masked_fill(~good, torch.inf).argmin(1)
        return self.bank_latents[torch.where(good.any(1), nearest, wanted.argmax(1))]

    # -- training ------------------------------------------------------------------------------------------------------

    def discriminator_losses(self, images: Tensor) -> dict[str, Tensor]:
        """Cross entropy of telling images (B, C, H, W) from generated ones, in nats."""
        with torch.no_grad():
            generated = self.generator(self.noise(len(images)))
        real, fake = self._logits(images), self._logits(generated)
        return {"loss": F.softplus(-real).mean() + F.softplus(fake).mean()}

    def generator_losses(self, images: Tensor) -> dict[str, Tensor]:
        """Cross entropy of generated images passing as real, in nats (the loss that does not saturate)."""
        follow(self.averaged, self.generator, self.average)
        return {"loss": F.softplus(-self._logits(self.generator(self.noise(len(images))))).mean()}

    def encoder_losses(self, images: Tensor) -> dict[str, Tensor]:
        """The encoder's errors on images (B, C, H, W) and on as many sampled latents."""
        return {"loss": inversion_error(self.encoder, self.generate, images, self.noise(len(images)))}

    def _logits(self, images: Tensor) -> Tensor:
        """The discriminator's, of images that it sees in [−1, 1] under noise, which keeps it from being too sure."""
        seen = augmented(images) if self.augments else images
        noisy = seen + self.input_noise * torch.randn_like(seen)
        logits: Tensor = self.discriminator(2 * noisy - 1)
        return logits


Map = Callable[[Tensor], Tensor]


def inversion_error(encode: Map, generate: Map, images: Tensor, latents: Tensor) -> Tensor:
    """Squared errors: of images after G(E(I)), summed over pixels, and of sampled `latents` after E(G(L))."""
    reconstruction = (generate(encode(images)) - images).square().flatten(1).sum(1).mean()
    found = (encode(generate(latents)) - latents).square().sum(1).mean()
    return reconstruction + found
