"""Noise that belongs to a query, so that its answer depends on nothing that is asked beside it."""

from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
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
    """Standard normal noise for N queries, each from its own streams; it can be asked for at any place, repeatedly."""

    seeds: tuple[int, ...]
    """N of them."""
    like: Tensor
    """A tensor of the shape (N, C, H, W), type and device of the noise."""

    @classmethod
    def of(cls, images: Tensor) -> Self:
        """The noise for images (N, C, H, W): by one number of torch's generator, and by each one's own pixels."""
        drawn = int(torch.randint(2**62, ()))
        digests = (sha256(image.cpu().contiguous().numpy().tobytes()).digest() for image in images)
        return cls(tuple(derived_seed(drawn, int.from_bytes(digest[:8], "big")) for digest in digests), images)

    def of_rows(self, rows: Tensor) -> "Noise":
        """That of the queries at `rows` (n,)."""
        return Noise(tuple(self.seeds[row] for row in rows.tolist()), self.like[rows])

    def at(self, use: Use, *place: int) -> Tensor:
        """The noise (N, C, H, W) for this `use` at this place: a step, or (outer step, inner step)."""
        generator, drawn = torch.Generator(), torch.empty(self.like.shape)
        for seed, row in zip(self.seeds, drawn, strict=True):
            torch.randn(row.shape, generator=generator.manual_seed(derived_seed(seed, use, *place)), out=row)
        return drawn.to(self.like)
