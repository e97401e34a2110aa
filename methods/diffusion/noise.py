"""The noise of guided diffusion."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Self

import torch
from torch import Tensor

from methods.training import derived_seed


class Use(IntEnum):
    """What noise is drawn for: each has a stream of its own."""

    START = 0
    """The noise on the query at the depth from which it is denoised."""
    STEP = 1
    """Of the steps of a chain."""
    KEPT = 2
    """On the query's pixels that are kept inside a chain."""
    INNER = 3
    """Of the steps of DiME's inner chains."""


@dataclass(frozen=True)
class Noise:
    """Standard normal noise, the same for all queries; it can be asked for at any place, repeatedly.

    A query's answer then depends neither on what is asked beside it nor on how its last bits are rounded.
    """

    seed: int
    like: Tensor
    """A tensor of the shape (N, C, H, W), type and device of the noise."""

    @classmethod
    def of(cls, images: Tensor) -> Self:
        """The noise for images (N, C, H, W), by one number of torch's generator."""
        return cls(int(torch.randint(2**62, ())), images)

    def of_rows(self, rows: Tensor) -> "Noise":
        """That of the queries at `rows` (n,)."""
        return Noise(self.seed, self.like[rows])

    def at(self, use: Use, *place: int) -> Tensor:
        """The noise (N, C, H, W) for this `use` at this place: a step, or (outer step, inner step)."""
        generator = torch.Generator().manual_seed(derived_seed(self.seed, use, *place))
        return torch.randn(self.like.shape[1:], generator=generator).to(self.like).expand_as(self.like)
