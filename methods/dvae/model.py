"""The DVAE on φ, the explanatory generators that draw its answers, and their losses."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from methods.dvae.collapse import ATTEMPTS, PARTS, Part
from metrics.fisher import fisher_information

Regulariser = Callable[[Tensor, Tensor], Tensor]
"""Fisher information of g and of f_K, (B, d) each -> penalty, (B,)."""


@dataclass(frozen=True)
class Sizes:
    """The sizes that determine the networks' shapes."""

    shape: tuple[int, int, int]
    """(C, H, W) of an image."""
    features: int
    """d, the length of φ."""
    bits: int
    """n, the number of boolean latents."""
    hidden: tuple[int, ...]
    """Widths between φ and the latents; mirrored in the decoder."""
    generator: tuple[int, ...]
    """Widths between φ' and the image."""
    dropout: float
    samples: int
    """Maximal number of training representations kept for the figure of the bits."""


def linear_layers(widths: Sequence[int], dropout: float) -> nn.Sequential:
    """Linear layers with ReLU and dropout between them: (B, widths[0]) -> (B, widths[-1])."""
    layers: list[nn.Module] = []
    for wide, next_wide in pairwise(widths):
        layers += [nn.Linear(wide, next_wide), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers[:-2])


class DiscreteVAE(nn.Module):
    """n boolean latents z of a representation φ, and φ' = decode(z)."""

    mean: Tensor
    """(d,): the mean of φ over the training images."""
    scale: Tensor
    """(): the root mean variance of all coordinates of φ; a common scale keeps their proportions."""

    def __init__(self, sizes: Sizes, *, temperature: float, kl_weight: float) -> None:
        super().__init__()
        self.temperature, self.kl_weight = temperature, kl_weight
        widths = (sizes.features, *sizes.hidden, sizes.bits)
        self.encoder = linear_layers(widths, sizes.dropout)
        self.decoder = linear_layers(widths[::-1], sizes.dropout)
        self.register_buffer("mean", torch.zeros(sizes.features))
        self.register_buffer("scale", torch.ones(()))

    def measure(self, phi: Tensor) -> None:
        """Set mean and scale from φ (N, d) of the training images."""
        self.mean.copy_(phi.mean(0))
        self.scale.copy_(phi.var(0).mean().sqrt().clamp_min(torch.finfo(phi.dtype).tiny))

    def standard(self, phi: Tensor) -> Tensor:
        """φ, centred and scaled, (B, d)."""
        return (phi - self.mean) / self.scale

    def logits(self, phi: Tensor) -> Tensor:
        """Logits of q(z = 1 | φ) for φ (B, d): (B, n)."""
        logits: Tensor = self.encoder(self.standard(phi))
        return logits

    def encode(self, phi: Tensor) -> Tensor:
        """The most likely z for φ (B, d): (B, n) bool."""
        return self.logits(phi) > 0

    @torch.no_grad()
    def resample(self, phi: Tensor) -> Tensor:
        """φ' decoded from a code that is drawn from q(z | φ) for each φ (B, d): (B, d)."""
        return self.decode(self.logits(phi).sigmoid().bernoulli())

    def decode(self, bits: Tensor) -> Tensor:
        """φ' (or ψ) decoded from z (B, n), bool or relaxed: (B, d)."""
        return self.mean + self.scale * self.decoder(bits.to(self.scale))

    def losses(self, phi: Tensor) -> dict[str, Tensor]:
        """The negative ELBO of φ (B, d), in nats: Gaussian of variance `scale`², and KL(q ‖ Bernoulli(½)) (Eq. 1)."""
        logits = self.logits(phi)
        either = torch.stack([logits, torch.zeros_like(logits)], dim=-1)
        bits = F.gumbel_softmax(either, self.temperature, hard=True)[..., 0]
        error = 0.5 * ((self.decode(bits) - phi) / self.scale).square().sum(1).mean()
        entropy = F.binary_cross_entropy_with_logits(logits, logits.sigmoid(), reduction="none")
        kl = (math.log(2) - entropy).sum(1).mean()
        return {"loss": error + self.kl_weight * kl, "error": error, "kl": kl}


class Concepts(nn.Module):
    """The DVAE and the generators g, with and without the regulariser."""

    samples: Tensor
    """(M, d): φ of training images, evenly spread over the training set; rows after `sample_count` are unused."""
    sample_count: Tensor
    kappas: Tensor
    """(parts, ATTEMPTS): κ of each training, a row for each of `PARTS`; those after `attempts` were not made."""
    attempts: Tensor

    def __init__(
        self,
        sizes: Sizes,
        dvae: DiscreteVAE,
        *,
        regulariser: Regulariser | None,
        weight: float,
        probes: int,
        regularised: int,
        sampled: bool = False,
    ) -> None:
        super().__init__()
        self.sizes, self.dvae = sizes, dvae
        self.regulariser, self.weight, self.probes, self.regularised = regulariser, weight, probes, regularised
        self.sampled = sampled
        widths = (sizes.features, *sizes.generator, math.prod(sizes.shape))
        names = ("plain",) if regulariser is None else ("plain", "regularised")
        self.generators = nn.ModuleDict({name: linear_layers(widths, sizes.dropout) for name in names})
        self.register_buffer("samples", torch.zeros(sizes.samples, sizes.features))
        self.register_buffer("sample_count", torch.zeros((), dtype=torch.long))
        self.register_buffer("kappas", torch.zeros(len(PARTS), ATTEMPTS))
        self.register_buffer("attempts", torch.zeros(len(PARTS), dtype=torch.long))

    @property
    def answering(self) -> str:
        """The generator that draws answers."""
        return "plain" if self.regulariser is None else "regularised"

    def draw(self, phi: Tensor) -> Tensor:
        """g(φ') for φ' (B, d): images (B, C, H, W) in [0, 1]."""
        return self.pixel_logits(self.answering, phi).sigmoid().view(-1, *self.sizes.shape)

    def pixel_logits(self, name: str, phi: Tensor) -> Tensor:
        """Pixel logits of the generator called `name` for φ' (B, d): (B, C·H·W)."""
        logits: Tensor = self.generators[name](self.dvae.standard(phi))
        return logits

    def log_pixels(self, name: str, phi: Tensor) -> Tensor:
        """Log-intensities log g(φ'), (B, C·H·W), for the Fisher information of g."""
        return F.logsigmoid(self.pixel_logits(name, phi))

    def part(self, name: Part) -> nn.Module:
        """What is trained at one go."""
        return self.dvae if name == "dvae" else self.generators

    def note(self, name: Part, kappas: Sequence[float]) -> None:
        """Keep κ of each training of a part."""
        place = list(PARTS).index(name)
        self.attempts[place] = len(kappas)
        self.kappas[place, : len(kappas)] = torch.tensor(kappas)

    def noted(self, name: Part) -> list[float]:
        """κ of each training of a part."""
        place = list(PARTS).index(name)
        return self.kappas[place, : int(self.attempts[place])].tolist()

    def keep(self, phi: Tensor) -> None:
        """Keep φ (N, d) of some training images."""
        kept = torch.linspace(0, len(phi) - 1, min(len(self.samples), len(phi))).long()
        self.samples[: len(kept)] = phi[kept]
        self.sample_count.fill_(len(kept))

    def kept(self) -> Tensor:
        """The kept φ of training images, (M, d)."""
        return self.samples[: int(self.sample_count)]

    def sample_codes(self) -> Tensor:
        """The codes of the kept φ, (M, n) bool."""
        return self.dvae.encode(self.kept())

    def dvae_losses(self, phi: Tensor) -> dict[str, Tensor]:
        """Losses of the DVAE, which is trained first and alone."""
        return self.dvae.losses(phi)

    def generator_losses(self, phi: Tensor, information: Tensor, images: Tensor) -> dict[str, Tensor]:
        """Cross entropies between g(φ') and x in nats per image, plus the weighted regulariser (Eqs. 2 and 6).

        The generators share no weights, so the sum of losses trains each as if alone.

        Parameters
        ----------
        phi
            (B, d): φ'.
        information
            (B, d): I_ν(f_K) around φ, scaled to length 1. Unscaled, its length varies by ten orders of magnitude with
            the certainty of f, and the most certain queries alone would decide 1 / dot.
        images
            (B, C, H, W) in [0, 1].

        """
        pixels, count = images.flatten(1), len(images)
        if self.sampled:
            self.dvae.eval()  # it is frozen
            phi = self.dvae.resample(phi)
        losses = {
            name: F.binary_cross_entropy_with_logits(self.pixel_logits(name, phi), pixels, reduction="sum") / count
            for name in self.generators
        }
        if self.regulariser is not None:
            few = slice(self.regularised)  # a batch is in random order
            log_pixels = partial(self.log_pixels, "regularised")
            own = fisher_information(log_pixels, phi[few], "probe", self.probes)
            losses["regulariser"] = self.weight * self.regulariser(own, information[few]).mean()
        return {"loss": torch.stack(list(losses.values())).sum(), **losses}
