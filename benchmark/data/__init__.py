"""Data sets: one file each, all of them returning the same `ImageData`."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from pydantic import BaseModel
from torch import Tensor

from benchmark.errors import unknown
from benchmark.names import DATASETS
from methods.pictures import unit

Advance = Callable[[int, int], None]
"""Progress of something slow: called with (done, total)."""

Exact = Callable[[str, np.ndarray, np.ndarray], np.ndarray]
"""(attribute, indices (n,), values of the attribute (n,)) -> the images as they would be then, (n, C, H, W) uint8."""


@dataclass(frozen=True)
class Source:
    """Where a loader may read and write."""

    root: Path | None = None
    """The folder that the user named with ``--data-root``."""
    cache: Path | None = None
    """A folder for what is decoded once; without it a loader decodes into memory."""
    advance: Advance = lambda *_: None
    settings: BaseModel | None = None
    """How the data are to be made, for those that are made; None: by their defaults."""
    check_attributes: Callable[[pd.DataFrame], None] = lambda _: None
    """Refuses the attributes of a data set if a task asks for another; called before images are made or read."""


@dataclass(frozen=True)
class ImageData:
    """Labelled images of one size."""

    name: str
    images: np.ndarray
    """(N, C, H, W) uint8; in memory or memory-mapped."""
    labels: np.ndarray | None
    """(N,) int64 indices into `class_names`; None where a task has to name the attribute that is asked for."""
    class_names: tuple[str, ...]
    digest: str
    """SHA-256 of everything that a result can depend on."""
    attributes: pd.DataFrame | None = None
    """(N, A) of 0 and 1, a named column an attribute."""
    official: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Indices of the splits that come with the data: any of "train", "validation", "test"."""
    attribute: str = ""
    """The attribute that a task asks for; empty where it asks for classes."""
    exact: Exact | None = None
    """The exact counterfactuals, where the data know them."""
    independent: Callable[[int, int], "ImageData"] | None = None
    """(count, seed) -> so many other images whose attributes are all independent, where the data can be made so."""

    def counterfactuals(self, indices: np.ndarray, targets: np.ndarray) -> np.ndarray | None:
        """The images at `indices` (n,), had they been of the classes `targets` (n,): (n, C, H, W) uint8.

        None where nobody knows, as with photographs.
        """
        return self.exact(self.attribute, indices, targets) if self.exact and self.attribute else None

    def __len__(self) -> int:
        return len(self.images)

    def __getstate__(self) -> dict[str, object]:
        """A memory map travels to another process as its path."""
        state = dict(self.__dict__)
        if isinstance(self.images, np.memmap):
            state["images"] = Path(str(self.images.filename))
        return state

    def __setstate__(self, state: dict[str, object]) -> None:
        if isinstance(state["images"], Path):
            state["images"] = np.load(state["images"], mmap_mode="r")
        self.__dict__.update(state)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    def batch(self, indices: np.ndarray | Tensor | slice) -> Tensor:
        """The images at `indices` as float32 in [0, 1], (B, C, H, W)."""
        chosen = indices.numpy() if isinstance(indices, Tensor) else indices
        return unit(torch.from_numpy(np.require(self.images[chosen], requirements=["C", "W"])))


@dataclass(frozen=True)
class Subset:
    """Some of the images of a labelled data set, in an order of their own; nothing is copied."""

    data: ImageData
    indices: np.ndarray
    """(n,) into `data`."""

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        return self.data.shape

    @property
    def labels(self) -> Tensor:
        """(n,) int64."""
        assert self.data.labels is not None  # noqa: S101 - subsets are made of labelled data
        return torch.from_numpy(self.data.labels[self.indices])

    def batch(self, indices: Tensor | slice) -> Tensor:
        """The images at `indices` of this subset, float32 in [0, 1], (B, C, H, W)."""
        chosen = indices.numpy() if isinstance(indices, Tensor) else indices  # numpy takes a tensor of one for a number
        return self.data.batch(self.indices[chosen])

    def first(self, count: int) -> "Subset":
        """The first `count` images of this subset."""
        return Subset(self.data, self.indices[:count])


def load(name: str, source: Source) -> ImageData:
    """The data set called `name`.

    Raises
    ------
    UserError
        For an unknown name, and for files that are missing or broken (naming the file and where it comes from).
    """
    if name not in DATASETS:
        raise unknown("data set", name, DATASETS)
    module, function = DATASETS[name].split(":")
    data: ImageData = getattr(import_module(module), function)(source)
    return data


def digest_of(*parts: np.ndarray | bytes | str) -> str:
    """SHA-256 over arrays (their shape, type and bytes), bytes and strings, in order."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.shape}{part.dtype}".encode())
            digest.update(np.ascontiguousarray(part).data)
        else:
            content = part.encode() if isinstance(part, str) else part
            digest.update(f"{len(content)}:".encode() + content)
    return digest.hexdigest()
