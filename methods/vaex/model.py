"""The hierarchical conditional VAE of Vercheval and Pižurica, and the relaxation of its posterior.

Indices follow the paper: latent z_0 is the top (coarsest), z_K the finest. The features d_k and h_{K-k} of level k have
the size s_k, the latent z_k has (s_k + 1) / 2. With sizes 2^n + 1, strided and transposed convolutions fit together.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple, cast

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

BATCH_NORM_MOMENTUM = 0.2  # "increased momentum" (Sec. II-C); PyTorch's own is 0.1
LOG_VARIANCE_BOUND = 10.0  # keeps exp() finite for any output of the network


class Gaussian(NamedTuple):
    """A diagonal normal distribution, (B, L, S, S) each."""

    mean: Tensor
    log_variance: Tensor

    def sample(self, noise: Tensor, divisor: float = 1.0) -> Tensor:
        """A draw, with standard deviations divided by `divisor`."""
        return self.mean + noise * torch.exp(0.5 * self.log_variance) / divisor


def kl_divergence(posterior: Gaussian, prior: Gaussian) -> Tensor:
    """Elementwise KL(posterior ‖ prior) in nats (Sec. II-B, with the sign of the log ratio corrected)."""
    difference = posterior.log_variance - prior.log_variance
    scaled = (posterior.mean - prior.mean).square() / prior.log_variance.exp()
    return 0.5 * (difference.exp() - 1 - difference + scaled)


def with_free_bits(kl: Tensor, free_bits: float) -> Tensor:
    """Smooth free bits (Sec. III-A) on the elementwise KL in nats: almost flat below `free_bits`, slope 1 above.

    The paper's FB = 2 is applied to twice the KL, as in the author's code, so `free_bits` is 1 nat.
    """
    return 0.5 * F.softplus(2 * (kl - free_bits)) + free_bits


def centred(probabilities: Tensor, times: int = 2) -> Tensor:
    """ξ: f(x) = ½(√x − √(1−x) + 1) applied twice, which moves x away from 0 and 1 but keeps 0, ½ and 1 (Sec. IV)."""
    for _ in range(times):
        probabilities = 0.5 * (probabilities.sqrt() - (1 - probabilities).clamp_min(0).sqrt() + 1)
    return probabilities


class SqueezeExcite(nn.Module):
    """Scales each channel by a gate computed from the means of all channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(4, channels // 8)
        self.gate = nn.Sequential(nn.Linear(channels, hidden), nn.Hardswish(), nn.Linear(hidden, channels))

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, S, S) -> the same shape."""
        return features * torch.sigmoid(self.gate(features.mean((2, 3))))[:, :, None, None]


Resize = Literal["keep", "halve", "double"]


def block(channels_in: int, channels_out: int, resize: Resize = "keep") -> nn.Sequential:
    """BatchNorm → hard-swish → 3×3 (transposed) convolution → squeeze-and-excite."""
    stride = 1 if resize == "keep" else 2
    convolution = nn.ConvTranspose2d if resize == "double" else nn.Conv2d
    return nn.Sequential(
        nn.BatchNorm2d(channels_in, momentum=BATCH_NORM_MOMENTUM),
        nn.Hardswish(),
        convolution(channels_in, channels_out, 3, stride=stride, padding=1),
        SqueezeExcite(channels_out),
    )


def interpolated(features: Tensor, channels: int, size: int) -> Tensor:
    """`features` (B, C, S, S) as (B, channels, size, size): bilinear in space, channels averaged or repeated."""
    if size != features.shape[-1]:
        features = F.interpolate(features, size=(size, size), mode="bilinear", align_corners=True)
    present = features.shape[1]
    if channels < present:
        return features.unflatten(1, (channels, present // channels)).mean(2)
    return features.repeat_interleave(channels // present, dim=1)


class Cell(nn.Module):
    """`depth` residual blocks; the last one changes the resolution, and the residual is interpolated to match."""

    def __init__(self, channels_in: int, channels_out: int, resize: Resize, depth: int) -> None:
        super().__init__()
        self.keeping = nn.ModuleList(block(channels_in, channels_in) for _ in range(depth - 1))
        self.resizing = block(channels_in, channels_out, resize)

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels_in, S, S) -> (B, channels_out, S', S')."""
        for keeping in self.keeping:
            features = features + keeping(features)
        resized = self.resizing(features)
        return interpolated(features, resized.shape[1], resized.shape[2]) + resized


class AdaIN(nn.Module):
    """`vaex`: the latent above sets the statistics of the features (Sec. III-A), so it cannot be ignored."""

    def __init__(self, channels: int, latent: tuple[int, int]) -> None:
        super().__init__()
        depth, size = latent
        self.channels_out = channels
        self.affine = nn.Linear(depth * size**2, 2 * channels)

    def forward(self, features: Tensor, latent: Tensor) -> Tensor:
        """Features (B, C, S, S) with the statistics given by the latent (B, L, T, T)."""
        scale, shift = self.affine(latent.flatten(1))[:, :, None, None].chunk(2, dim=1)
        return F.instance_norm(features) * (1 + scale) + shift


class Concatenation(nn.Module):
    """`vaex-cat`: the latent above goes through an inverted bottleneck and joins the features as channels (Sec. IV)."""

    def __init__(self, channels: int, latent: tuple[int, int], expansion: int = 4) -> None:
        super().__init__()
        depth, _ = latent
        self.channels_out = channels + depth
        hidden = depth * expansion
        self.bottleneck = nn.Sequential(
            nn.Conv2d(depth, hidden, 1),
            nn.BatchNorm2d(hidden, momentum=BATCH_NORM_MOMENTUM),
            nn.Hardswish(),
            nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden),
            nn.BatchNorm2d(hidden, momentum=BATCH_NORM_MOMENTUM),
            nn.Hardswish(),
            nn.Conv2d(hidden, depth, 1),
        )

    def forward(self, features: Tensor, latent: Tensor) -> Tensor:
        """Features (B, C, S, S) and the latent (B, L, T, T), as (B, C + L, S, S)."""
        latent = latent + self.bottleneck(latent)
        return torch.cat([features, interpolated(latent, latent.shape[1], features.shape[-1])], dim=1)


class ToGaussian(nn.Module):
    """Features (B, C, S, S) -> mean and log-variance of a latent (B, L, (S + 1) / 2, (S + 1) / 2)."""

    def __init__(self, channels: int, latent: int) -> None:
        super().__init__()
        self.normalise = nn.BatchNorm2d(channels, momentum=BATCH_NORM_MOMENTUM)
        self.convolution = nn.Conv2d(channels, 2 * latent, 3, stride=2, padding=1)

    def forward(self, features: Tensor) -> Gaussian:
        """The Gaussian of the latent, given the features."""
        mean, log_variance = self.convolution(F.hardswish(self.normalise(features))).chunk(2, dim=1)
        return Gaussian(mean, log_variance)


class Group(nn.Module):
    """One latent group k: the residual Δ_k, the merge of z_k into the path d and, below the top, the prior p_k."""

    def __init__(self, channels: int, latent: int, conditioning: nn.Module | None) -> None:
        super().__init__()
        self.conditioning = conditioning
        if conditioning is not None:
            self.prior = ToGaussian(conditioning.channels_out, latent)  # type: ignore[arg-type] # an int of ours
        self.merge = block(2 * channels, channels)
        self.residual = ToGaussian(channels, latent)
        self.spread = nn.Sequential(
            nn.ConvTranspose2d(latent, channels, 3, stride=2, padding=1),
            SqueezeExcite(channels),
        )

    def prior_of(self, path: Tensor, above: Tensor) -> Gaussian:
        """p_k(z_{k-1}, d_k)."""
        assert self.conditioning is not None  # noqa: S101 - only z_0 has none, and its prior is m(ξ)
        mean, log_variance = self.prior(self.conditioning(path, above))
        return Gaussian(mean, bounded(log_variance))

    def residual_of(self, path: Tensor, bottom_up: Tensor) -> Gaussian:
        """Δ_k(h_{K-k}, d_k)."""
        residual: Gaussian = self.residual(self.merge(torch.cat([path, bottom_up], dim=1)))
        return residual


def bounded(log_variance: Tensor) -> Tensor:
    """The log-variance, softly bounded to ±LOG_VARIANCE_BOUND."""
    return LOG_VARIANCE_BOUND * torch.tanh(log_variance / LOG_VARIANCE_BOUND)


@dataclass(frozen=True)
class Sizes:
    """The sizes that determine the network's shape."""

    shape: tuple[int, int, int]
    """(C, H, W) of an image."""
    classes: int
    widths: tuple[int, ...]
    """Channels of the features, fine to coarse, one per resolution."""
    latents: tuple[int, ...]
    """Channels of z_0 … z_K, coarse to fine; as many as widths, or one fewer: no latent at the finest resolution."""
    depth: int
    """Residual blocks between two latent groups."""
    conditioning: Callable[[int, tuple[int, int]], nn.Module]
    """How the latent above enters the prior: `AdaIN` or `Concatenation`."""

    @property
    def side(self) -> int:
        """The smallest 2^n + 1 that holds an image, and can be halved to each of the widths."""
        return int(2 ** max(len(self.widths), math.ceil(math.log2(max(self.shape[1:]) - 1))) + 1)

    @property
    def levels(self) -> list[int]:
        """Side of the features of each level, coarse to fine."""
        return [(self.side - 1) // 2**i + 1 for i in reversed(range(len(self.widths)))]


Relax = Callable[[int], float]
"""Level k ≥ 1 -> the factor on the residual of the posterior's mean."""


class HierarchicalVAE(nn.Module):
    """Encoder, prior and decoder, conditioned on the centred probabilities ξ (Fig. 1).

    Images are padded by their border to 2^n + 1 and outputs cropped, so likelihoods count only the image's own pixels.
    """

    pixel_variance: Tensor

    def __init__(
        self,
        sizes: Sizes,
        *,
        beta: float,
        free_bits: float,
        prior_scale: float,
        variance_momentum: float,
        variance_floor: float,
    ) -> None:
        super().__init__()
        self.sizes, self.beta, self.free_bits, self.prior_scale = sizes, beta, free_bits, prior_scale
        self.variance_momentum, self.variance_floor = variance_momentum, variance_floor
        channels, conditions = sizes.shape[0], sizes.classes - 1
        widths, depth = sizes.widths, sizes.depth
        self.stem = nn.Conv2d(channels + conditions, widths[0], 1)
        self.encode = nn.ModuleList(Cell(fine, coarse, "halve", depth) for fine, coarse in pairwise(widths))
        self.top = nn.Parameter(0.1 * torch.randn(1, widths[-1], sizes.levels[0], sizes.levels[0]))
        self.condition = nn.Conv2d(widths[-1] + conditions, widths[-1], 1)
        self.decode = nn.ModuleList(Cell(coarse, fine, "double", depth) for coarse, fine in pairwise(widths[::-1]))
        self.groups = nn.ModuleList(self._groups())
        self.last = nn.Sequential(block(widths[0], widths[0]), nn.Hardswish(), nn.Conv2d(widths[0], channels, 1))
        self.register_buffer("pixel_variance", torch.ones(sizes.shape))

    def _groups(self) -> Iterator[Group]:
        above: tuple[int, int] | None = None
        for width, latent, side in zip(self.sizes.widths[::-1], self.sizes.latents, self.sizes.levels, strict=False):
            yield Group(width, latent, self.sizes.conditioning(width, above) if above else None)
            above = (latent, (side + 1) // 2)

    # -- encoding ------------------------------------------------------------------------------------------------------

    def bottom_up(self, images: Tensor, xi: Tensor) -> list[Tensor]:
        """The features h, coarse to fine, of images (B, C, H, W) under the condition ξ (B, classes)."""
        padded = self._pad(images)
        features = [self.stem(torch.cat([padded, self._constant_channels(xi, padded.shape[-1])], dim=1))]
        for cell in self.encode:
            features.append(cell(features[-1]))
        return features[::-1]

    def prior_mean(self, xi: Tensor) -> Gaussian:
        """N(m(ξ), I): channel c < C − 1 of z_0 has the mean s·ξ_c (Sec. III-B)."""
        side = (self.sizes.levels[0] + 1) // 2
        mean = xi.new_zeros(len(xi), self.sizes.latents[0], side, side)
        mean[:, : self.sizes.classes - 1] = self.prior_scale * xi[:, :-1, None, None]
        return Gaussian(mean, torch.zeros_like(mean))

    def noise(self, count: int) -> list[Tensor]:
        """Standard normal draws for all latents of `count` images, z_0 first."""
        halves = [(side + 1) // 2 for side in self.sizes.levels]
        shapes = [(count, latent, half, half) for latent, half in zip(self.sizes.latents, halves, strict=False)]
        return [torch.randn(shape, device=self.top.device) for shape in shapes]

    # -- top-down ------------------------------------------------------------------------------------------------------

    def top_down(
        self,
        bottom_up: Sequence[Tensor] | None,
        xi: Tensor,
        noise: Sequence[Tensor],
        *,
        divisor: float = 1.0,
        relax: Relax = lambda level: 1.0,  # noqa: ARG005 - the signature of a schedule
        relax_log_variance: bool = False,
        target: Tensor | None = None,
    ) -> tuple[Tensor, list[tuple[Gaussian, Gaussian]], Tensor]:
        """Posterior and decoder in one pass: images (B, C, H, W), (posterior, prior) of each level, and z_0.

        Without `bottom_up` the posterior is the prior: pictures of the condition alone.
        With `target` (B,), the class channels of z_0 are set to s·onehot after it is inferred (Sec. III-C).
        """
        path = self.condition(
            torch.cat([self.top.expand(len(xi), -1, -1, -1), self._constant_channels(xi, self.top.shape[-1])], dim=1)
        )
        distributions, latent, top_latent = [], torch.empty(0), torch.empty(0)
        features: Sequence[Tensor | None] = bottom_up or [None] * len(self.groups)
        for level, (module, of_level) in enumerate(zip(self.groups, features, strict=False)):
            group = cast("Group", module)
            if level:
                path = self.decode[level - 1](path)
            prior = group.prior_of(path, latent) if level else self.prior_mean(xi)
            factor = relax(level) if level else 1.0
            posterior = prior
            if of_level is not None:
                posterior = self._posterior(prior, group.residual_of(path, of_level), factor, relax_log_variance)
            latent = posterior.sample(noise[level], divisor)
            if level == 0:
                latent = top_latent = latent if target is None else self._set_class(latent, target)
            path = path + group.spread(latent)
            distributions.append((posterior, prior))
        for module in self.decode[len(self.groups) - 1 :]:  # the finest resolution, where it has no latents
            path = module(path)
        return self._crop(torch.sigmoid(self.last(path))), distributions, top_latent

    @staticmethod
    def _posterior(prior: Gaussian, residual: Gaussian, factor: float, relax_log_variance: bool) -> Gaussian:
        """μ̂ = μ + r^k Δμ, log σ̂² = log σ² + Δ log σ²."""
        share = factor if relax_log_variance else 1.0
        return Gaussian(
            prior.mean + factor * residual.mean, bounded(prior.log_variance + share * residual.log_variance)
        )

    def _set_class(self, latent: Tensor, target: Tensor) -> Tensor:
        """z_0 with channel c set to s·[c = target] for every c < C − 1."""
        classes = self.sizes.classes
        onehot = F.one_hot(target, classes)[:, :-1].to(latent)
        fixed = (self.prior_scale * onehot)[:, :, None, None].expand(-1, -1, *latent.shape[2:])
        return torch.cat([fixed, latent[:, classes - 1 :]], dim=1)

    # -- training ------------------------------------------------------------------------------------------------------

    def losses(self, images: Tensor, xi: Tensor) -> dict[str, Tensor]:
        """NLL + β · KL with free bits, in nats, averaged over the batch; and its terms."""
        decoded, distributions, _ = self.top_down(self.bottom_up(images, xi), xi, self.noise(len(images)))
        kl = [kl_divergence(posterior, prior).flatten(1) for posterior, prior in distributions]
        nll = self.nll(decoded, images).mean()
        free = sum(with_free_bits(level, self.free_bits).sum(1) for level in kl)
        if self.training:
            self._track_variance(decoded.detach(), images)
        return {
            "loss": nll + self.beta * torch.as_tensor(free).mean(),
            "nll": nll.detach(),
            "kl": sum((level.detach().sum(1) for level in kl), torch.zeros(())).mean(),
        }

    def nll(self, decoded: Tensor, images: Tensor) -> Tensor:
        """−log p(x|z) of each image in nats, (B,), under the running variance of each pixel (Sec. II-A)."""
        variance = self.pixel_variance.clamp_min(self.variance_floor)
        error = (images.float() - decoded.float()).square()
        return 0.5 * (error / variance + torch.log(2 * math.pi * variance)).flatten(1).sum(1)

    @torch.no_grad()
    def _track_variance(self, decoded: Tensor, images: Tensor) -> None:
        """σ̄²: the running mean of each pixel's squared reconstruction error."""
        self.pixel_variance.lerp_((images.float() - decoded.float()).square().mean(0), self.variance_momentum)

    # -- shapes --------------------------------------------------------------------------------------------------------

    @staticmethod
    def _constant_channels(xi: Tensor, side: int) -> Tensor:
        return xi[:, :-1, None, None].expand(-1, -1, side, side)

    def _pad(self, images: Tensor) -> Tensor:
        (left, right), (top, bottom) = self._margins()
        return F.pad(images, (left, right, top, bottom), mode="replicate")

    def _crop(self, images: Tensor) -> Tensor:
        (left, _), (top, _) = self._margins()
        _, height, width = self.sizes.shape
        return images[:, :, top : top + height, left : left + width]

    def _margins(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """((left, right), (top, bottom)) between an image and the square of side 2^n + 1."""
        _, height, width = self.sizes.shape
        across, down = self.sizes.side - width, self.sizes.side - height
        return (across // 2, across - across // 2), (down // 2, down - down // 2)
