"""What is fitted: a VAE, the spread of its latents, and the flow between these and noise."""

import math

import torch
from torch import Tensor, nn

from methods.leap.flow import Velocity
from methods.nn import doublings, halvings, standard_kl

MOMENTUM = 0.05
"""Share of a batch in the running mean of the squared error."""
LEAST_VARIANCE = 1e-4
"""Of a pixel, squared intensities: what 8 bits and a sharp picture leave."""


class GaussianVAE(nn.Module):
    """A convolutional VAE whose pixels are Gaussian, all with one variance: the mean squared error so far.

    Rybkin, Daniilidis and Levine, "Simple and Effective VAE Training with Calibrated Decoders", 2021: with this
    variance the likelihood is at its best, and no weight between error and KL divergence is left to choose.
    """

    variance: Tensor
    """Of a pixel given the latents, squared intensities, ()."""

    def __init__(
        self, shape: tuple[int, int, int], latent: int, encoder: tuple[int, ...], decoder: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.encoder = halvings(shape, encoder, 2 * latent)
        self.decoder = doublings(shape, latent, decoder)
        self.register_buffer("variance", torch.tensor(0.1))

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z|x), (B, latent) each."""
        mean, log_variance = self.encoder(images).chunk(2, dim=1)
        return mean, log_variance

    def terms(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """From one draw of the posterior: squared error a pixel, NLL and KL in nats an image, (B,) each."""
        mean, log_variance = self.posterior(images)
        decoded = self.decoder(mean + torch.randn_like(mean) * (0.5 * log_variance).exp())
        error = (decoded.float() - images.float()).square().flatten(1)
        variance = self.variance.clone()  # which training changes in place
        nll = 0.5 * (error / variance + torch.log(2 * math.pi * variance)).sum(1)
        return error.mean(1), nll, standard_kl(mean.float(), log_variance.float())

    def losses(self, images: Tensor) -> dict[str, Tensor]:
        """NLL + KL, in nats an image."""
        error, nll, kl = self.terms(images)
        if self.training:
            self.variance.lerp_(error.detach().mean().clamp_min(LEAST_VARIANCE), MOMENTUM)
        return {"loss": (nll + kl).mean(), "nll": nll.detach().mean(), "kl": kl.detach().mean()}


class LatentFlow(nn.Module):
    """A VAE, and a flow of its latents, which are shifted and scaled to mean 0 and spread 1."""

    centre: Tensor
    """Mean of the training images' latents, (latent,)."""
    spread: Tensor
    """Their standard deviation, (latent,)."""

    def __init__(self, vae: GaussianVAE, velocity: Velocity) -> None:
        super().__init__()
        self.vae, self.velocity = vae, velocity
        self.register_buffer("centre", torch.zeros(velocity.latent))
        self.register_buffer("spread", torch.ones(velocity.latent))

    def encode(self, images: Tensor) -> Tensor:
        """The posterior's mean, scaled: images (B, C, H, W) -> latents (B, latent)."""
        return (self.vae.posterior(images)[0] - self.centre) / self.spread

    def decode(self, latents: Tensor) -> Tensor:
        """Latents (B, latent) -> images (B, C, H, W) in [0, 1]."""
        return self.vae.decoder(latents * self.spread + self.centre)

    def scale(self, latents: Tensor) -> None:
        """Take the scale from unscaled `latents` of the training images, (N, latent); a constant one keeps spread 1."""
        spread = latents.std(0, correction=0)
        self.centre.copy_(latents.mean(0))
        self.spread.copy_(torch.where(spread > 0, spread, 1.0))
