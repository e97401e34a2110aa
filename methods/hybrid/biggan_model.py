"""A class-conditional residual generator in which latent and class enter every block (Brock et al. 2018, BigGAN-deep).

One network serves both the small GAN that is trained here and the pretrained one that is read from a folder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

CONVOLUTIONS = 4
"""Of a block; behind the last one the skip connection is added."""
UPSAMPLED = 1
"""The convolution before which a block that doubles the size does so."""
INTERVENED = (1, 2, 3)
"""The convolutions of a block that are layers: both 3 × 3 ones, and the last one with the skip connection."""


class ConditionalNorm(nn.Module):
    """Batch norm whose scale and shift are linear in the condition."""

    def __init__(self, channels: int, condition: int, eps: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, eps=eps, affine=False)
        self.scale = nn.Linear(condition, channels, bias=False)
        self.shift = nn.Linear(condition, channels, bias=False)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """Features (B, channels, h, w) under conditions (B, condition)."""
        scale, shift = 1 + self.scale(condition), self.shift(condition)
        normed: Tensor = self.norm(features)
        return torch.addcmul(shift[:, :, None, None], normed, scale[:, :, None, None])


class Attention(nn.Module):
    """Self-attention, added to what it looks at (Zhang et al. 2019)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, channels // 8, 1, bias=False)
        self.key = nn.Conv2d(channels, channels // 8, 1, bias=False)
        self.value = nn.Conv2d(channels, channels // 2, 1, bias=False)
        self.out = nn.Conv2d(channels // 2, channels, 1, bias=False)
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels, h, w) -> the same."""
        query = self.query(features).flatten(2)  # (B, channels / 8, h·w)
        key, value = (F.max_pool2d(layer(features), 2).flatten(2) for layer in (self.key, self.value))
        looked = torch.bmm(query.transpose(1, 2), key).softmax(2)  # (B, h·w, h·w / 4)
        seen = torch.bmm(value, looked.transpose(1, 2)).unflatten(2, features.shape[2:])
        return features + self.weight * self.out(seen)


@dataclass(frozen=True)
class BlockShape:
    """What a block is built of."""

    channels_in: int
    channels_out: int
    """At most `channels_in`: the skip connection keeps the first ones."""
    size: tuple[int, int]
    """(height, width) of what it makes."""
    doubles: bool
    attends: bool = False
    """Whether self-attention comes before it."""


class Block(nn.Module):
    """A residual bottleneck of four convolutions, each after a conditional batch norm and a ReLU."""

    def __init__(self, shape: BlockShape, condition: int, reduction: int, eps: float) -> None:
        super().__init__()
        self.shape = shape
        middle = shape.channels_in // reduction
        self.channels = (*[middle] * (CONVOLUTIONS - 1), shape.channels_out)
        """What each convolution makes."""
        entering = (shape.channels_in, *self.channels[:-1])
        self.attention = Attention(shape.channels_in) if shape.attends else nn.Identity()
        self.norms = nn.ModuleList(ConditionalNorm(channels, condition, eps) for channels in entering)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, kernel, padding=kernel // 2)
            for before, after, kernel in zip(entering, self.channels, (1, 3, 3, 1), strict=True)
        )

    def part(self, index: int, features: Tensor, condition: Tensor) -> Tensor:
        """What the convolution `index` makes of what enters it."""
        features = self.norms[index](features, condition).relu()
        if index == UPSAMPLED:
            features = self.sized(features)
        made: Tensor = self.convolutions[index](features)
        return made

    def sized(self, features: Tensor) -> Tensor:
        """Features at the block's own size."""
        if not self.shape.doubles:
            return features
        height, width = self.shape.size
        return F.interpolate(features, scale_factor=2)[:, :, :height, :width]


class State(NamedTuple):
    """What runs through a generator: the features of a layer, and what passes them by inside a block."""

    features: Tensor
    skipped: Tensor | None = None


class ResidualGenerator(nn.Module):
    """Codes (z, class) -> a first linear layer, blocks, an image; latent and class enter every block.

    A code (B, latent + classes) holds z and the class as one-hot.
    """

    def __init__(
        self,
        blocks: Sequence[BlockShape],
        *,
        colours: int,
        latent: int,
        classes: int,
        embedded: int,
        start: tuple[int, int],
        reduction: int,
        eps: float,
        ends_in: Literal["sigmoid", "tanh"],
    ) -> None:
        super().__init__()
        self.latent, self.classes = latent, classes
        condition, channels = latent + embedded, blocks[0].channels_in
        self.embedding = nn.Linear(classes, embedded, bias=False)
        self.first = nn.Sequential(
            nn.Linear(condition, channels * start[0] * start[1]), nn.Unflatten(1, (channels, *start))
        )
        self.blocks = nn.ModuleList(Block(shape, condition, reduction, eps) for shape in blocks)
        wide = blocks[-1].channels_out
        self.last = nn.Sequential(nn.BatchNorm2d(wide, eps=eps), nn.ReLU(), nn.Conv2d(wide, colours, 3, padding=1))
        self.ends_in = ends_in

    def forward(self, codes: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] of codes (B, latent + classes)."""
        return self.finish(self.run(State(self.start(codes)), codes, 0, self.steps).features)

    def code(self, latents: Tensor, classes: Tensor) -> Tensor:
        """Latents z (B, latent) and classes (B,) as codes."""
        return torch.cat([latents, F.one_hot(classes, self.classes).to(latents)], dim=1)

    def start(self, codes: Tensor) -> Tensor:
        """The features that enter the first block."""
        made: Tensor = self.first(self.condition(codes))
        return made

    @property
    def steps(self) -> int:
        """Convolutions of all blocks."""
        return CONVOLUTIONS * len(self.blocks)

    def block(self, step: int) -> Block:
        """The block that the convolution `step` is in."""
        block = self.blocks[step // CONVOLUTIONS]
        assert isinstance(block, Block)  # noqa: S101 - made so
        return block

    def condition(self, codes: Tensor) -> Tensor:
        """Latent and embedded class, (B, latent + embedded)."""
        return torch.cat([codes[:, : self.latent], self.embedding(codes[:, self.latent :])], dim=1)

    def run(self, state: State, codes: Tensor, start: int, end: int) -> State:
        """The state behind `end` convolutions, of that behind `start`."""
        condition = self.condition(codes)
        for step in range(start, end):
            state = self._step(step, state, condition)
        return state

    def _step(self, step: int, state: State, condition: Tensor) -> State:
        block, index = self.block(step), step % CONVOLUTIONS
        features, skipped = state
        if index == 0:
            features = block.attention(features)
            skipped = features[:, : block.shape.channels_out]
        assert skipped is not None  # noqa: S101 - every block begins with its first convolution
        features = block.part(index, features, condition)
        if index == UPSAMPLED:
            skipped = block.sized(skipped)
        return State(features + skipped) if index == CONVOLUTIONS - 1 else State(features, skipped)

    def finish(self, features: Tensor) -> Tensor:
        """The images of the last block's features."""
        made: Tensor = self.last(features)
        return made.sigmoid() if self.ends_in == "sigmoid" else (made.tanh() + 1) / 2


@dataclass(frozen=True)
class Blocks:
    """A residual generator; its layers are the 3 × 3 convolutions inside a block, and what leaves the block."""

    network: ResidualGenerator
    chosen: tuple[int, ...] | None = None
    """The blocks that can be intervened on, 1 the coarsest; None: all."""
    classes: tuple[int, ...] | None = None
    """Those that noise is of; None: all."""
    truncation: float | None = None
    """z is of N(0, I) cut at ±2, times this (Brock et al. 2018); None: of N(0, I)."""

    @property
    def numbers(self) -> Sequence[int]:
        """The blocks that can be intervened on."""
        return self.chosen or range(1, len(self.network.blocks) + 1)

    @property
    def latent(self) -> int:
        """Length of a code, the class included."""
        return self.network.latent + self.network.classes

    @property
    def layers(self) -> Mapping[str, int]:
        """Names tell the place and the size."""
        return {name: self.network.block(step).channels[step % CONVOLUTIONS] for name, step in self._steps.items()}

    @property
    def _steps(self) -> dict[str, int]:
        """Name -> which convolution of the generator it is."""
        found = {}
        for block in self.numbers:
            for index in INTERVENED:
                step = (block - 1) * CONVOLUTIONS + index
                inside = "" if index == INTERVENED[-1] else f", convolution {index + 1}"
                height, width = self.network.block(step).shape.size
                found[f"block {block}{inside} ({height} × {width})"] = step
        return found

    def noise(self, count: int) -> Tensor:
        """Codes (count, latent + classes): z, and any of the classes."""
        return self._of(torch.randint(len(self._offered), (count,)))

    def unlike(self, count: int) -> tuple[Tensor, Tensor]:
        """The same of z_1 and of z_2, whose classes differ."""
        offered = len(self._offered)
        first, steps = torch.randint(offered, (count,)), torch.randint(1, offered, (count,))
        return self._of(first), self._of((first + steps) % offered)

    @property
    def _offered(self) -> Tensor:
        return torch.tensor(self.classes or range(self.network.classes))

    def _of(self, places: Tensor) -> Tensor:
        """Codes of noise and of the offered classes in `places` (B,)."""
        device = next(self.network.parameters()).device
        latents = torch.randn(len(places), self.network.latent, device=device)
        if self.truncation is not None:
            latents = nn.init.trunc_normal_(latents, a=-2, b=2) * self.truncation
        return self.network.code(latents, self._offered[places].to(device))

    def upstream(self, latents: Tensor, layer: str) -> Tensor:
        """The features of `layer`, and behind them, inside a block, those of its skip connection."""
        return _whole(self.network.run(State(self.network.start(latents)), latents, 0, self._steps[layer] + 1))

    def downstream(self, features: Tensor, layer: str, latents: Tensor, to: str | None = None) -> Tensor:
        """Images, or what `upstream` gives of the later layer `to`."""
        channels, steps = self.layers[layer], self._steps
        inside = features.shape[1] > channels
        state = State(features[:, :channels], features[:, channels:] if inside else None)
        end = self.network.steps if to is None else steps[to] + 1
        state = self.network.run(state, latents, steps[layer] + 1, end)
        return self.network.finish(state.features) if to is None else _whole(state)


def _whole(state: State) -> Tensor:
    """Features, and what passes them by, (B, both channels, h, w)."""
    return torch.cat([part for part in state if part is not None], dim=1)
