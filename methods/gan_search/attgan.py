"""AttGAN: an autoencoder whose decoder is told the attributes, and the critic and attribute classifier it learns by.

He, Zuo, Kan, Shan and Chen, "AttGAN: Facial Attribute Editing by Only Changing What You Want", 2019.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from methods.nn import SLOPE, Doubling, levels

PENALTY = 10.0
"""Weight of the gradient penalty in the critic's loss (Sec. III-D)."""


@dataclass(frozen=True)
class Sizes:
    """What the networks' shapes depend on."""

    shape: tuple[int, int, int]
    """(C, H, W) of an image."""
    attributes: int
    """A: attributes that the decoder is told."""
    widths: tuple[int, ...]
    """Channels of the encoder's features, fine to coarse, each half the size of the one before; two or more."""
    critic: tuple[int, ...]
    """The same of the convolutions that critic and attribute classifier share."""
    hidden: int
    """Units between these and each of the two answers."""


@dataclass(frozen=True)
class Weights:
    """Of the terms of the generator's loss; the adversarial one has 1."""

    attributes: float
    reconstruction: float


class Halving(nn.Module):
    """A strided convolution that halves height and width, rounded up."""

    def __init__(self, channels_in: int, channels_out: int, norm: nn.Module) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels_in, channels_out, 4, stride=2, padding=1, bias=False)
        self.finish = nn.Sequential(norm, nn.LeakyReLU(SLOPE))

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels_in, h, w) -> (B, channels_out, h/2, w/2); an odd side is padded by its last pixel."""
        height, width = features.shape[2:]
        even = F.pad(features, (0, width % 2, 0, height % 2), mode="replicate") if height % 2 or width % 2 else features
        return self.finish(self.convolution(even))


class Critic(nn.Module):
    """Says how real images look and which attributes they show; both read the same convolutions."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        channels = (sizes.shape[0], *sizes.critic)
        pairs = pairwise(channels)
        self.shared = nn.Sequential(*[Halving(a, b, nn.GroupNorm(b, b)) for a, b in pairs], nn.Flatten())
        (height, width), *_ = levels(sizes.shape, len(sizes.critic))
        self.realness = self._head(channels[-1] * height * width, sizes.hidden, 1)
        self.attributes = self._head(channels[-1] * height * width, sizes.hidden, sizes.attributes)

    @staticmethod
    def _head(features: int, hidden: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(nn.Linear(features, hidden), nn.LeakyReLU(SLOPE), nn.Linear(hidden, outputs))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, C, H, W) in [0, 1] -> how real they look (B,), higher is more, and attributes' logits (B, A)."""
        features = self.shared(2 * images - 1)
        return self.realness(features)[:, 0], self.attributes(features)


class AttGAN(nn.Module):
    """Encoder and decoder, which edit, and the critic; attributes are fed as ±½."""

    def __init__(self, sizes: Sizes, weights: Weights) -> None:
        super().__init__()
        self.weights = weights
        channels = (sizes.shape[0], *sizes.widths)
        pairs = pairwise(channels)
        self.encoder = nn.ModuleList([Halving(a, b, nn.BatchNorm2d(b)) for a, b in pairs])
        _, *finer = levels(sizes.shape, len(sizes.widths))
        inputs = [channels[-1] + sizes.attributes, 2 * channels[-2], *channels[-3:0:-1]]
        outputs = channels[-2::-1]
        self.decoder = nn.ModuleList(
            [Doubling(a, b, size, last=size == finer[-1]) for a, b, size in zip(inputs, outputs, finer, strict=True)]
        )
        self.critic = Critic(sizes)

    # -- answering -----------------------------------------------------------------------------------------------------

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, C, H, W) in [0, 1] -> the features at the bottleneck, and those before, for the shortcut."""
        features = [2 * images - 1]
        for layer in self.encoder:
            features.append(layer(features[-1]))
        return features[-1], features[-2]

    def decode(self, code: tuple[Tensor, Tensor], attributes: Tensor) -> Tensor:
        """What was encoded, with these attributes (B, A): images (B, C, H, W) in [0, 1]."""
        bottleneck, shortcut = code
        tiled = attributes[:, :, None, None].expand(-1, -1, *bottleneck.shape[2:])
        first, *rest = self.decoder
        features = torch.cat([first(torch.cat([bottleneck, tiled], dim=1)), shortcut], dim=1)
        for layer in rest:
            features = layer(features)
        return features

    def read(self, images: Tensor) -> Tensor:
        """The attributes (B, A) that the attribute classifier sees in images (B, C, H, W), ±½ each."""
        return fed(self.critic(images)[1] > 0)

    # -- training ------------------------------------------------------------------------------------------------------

    def critic_losses(self, images: Tensor, attributes: Tensor) -> dict[str, Tensor]:
        """WGAN-GP, and cross entropy of the attributes (B, A), 0 or 1, of images (B, C, H, W), in nats."""
        with torch.no_grad():
            edited = self.decode(self.encode(images), fed(shuffled(attributes))).to(images)
        real, logits = self.critic(images)
        critic = self.critic(edited)[0].mean() - real.mean()
        penalty = self._penalty(images, edited)
        classifier = F.binary_cross_entropy_with_logits(logits, attributes)
        return {
            "loss": critic + PENALTY * penalty + classifier,
            "critic": critic,
            "penalty": penalty,
            "classifier": classifier,
        }

    def generator_losses(self, images: Tensor, attributes: Tensor) -> dict[str, Tensor]:
        """Edited images look real and show the wanted attributes, those with their own are the images again."""
        wanted, code = shuffled(attributes), self.encode(images)
        both = self.decode(
            (code[0].repeat(2, 1, 1, 1), code[1].repeat(2, 1, 1, 1)), fed(torch.cat([wanted, attributes]))
        )
        edited, reconstructed = both.chunk(2)
        real, logits = self.critic(edited)
        terms = {
            "adversarial": -real.mean(),
            "attributes": F.binary_cross_entropy_with_logits(logits, wanted),
            "reconstruction": 2 * (reconstructed - images).abs().mean(),  # of images in [−1, 1]
        }
        loss = (
            terms["adversarial"]
            + self.weights.attributes * terms["attributes"]
            + self.weights.reconstruction * terms["reconstruction"]
        )
        return {"loss": loss, **terms}

    def _penalty(self, real: Tensor, edited: Tensor) -> Tensor:
        """How far the critic's slope between real and edited images is from 1, squared (Gulrajani et al. 2017)."""
        share = torch.rand(len(real), 1, 1, 1, device=real.device)
        between = torch.lerp(real, edited, share).requires_grad_()
        (slope,) = torch.autograd.grad(self.critic(between)[0].sum(), between, create_graph=True)
        return (slope.flatten(1).norm(dim=1) / 2 - 1).square().mean()  # per unit of images in [−1, 1]


def fed(attributes: Tensor) -> Tensor:
    """Attributes 0 and 1 as the decoder is fed them, −½ and ½."""
    return attributes.float() - 0.5


def shuffled(attributes: Tensor) -> Tensor:
    """The rows of a batch's attributes (B, A) in random order: what each image is to be edited to."""
    return attributes[torch.randperm(len(attributes), device=attributes.device)]
