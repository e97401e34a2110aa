"""Data sets: one file each, all of them returning the same `ImageData`."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from pydantic import BaseModel
from torch import Tensor

from benchmark.errors import unknown
from benchmark.names import DATASETS
from methods.base import Attributes
from methods.pictures import unit

if TYPE_CHECKING:
    from benchmark.data.folder_config import FolderConfig

FOLDER = "benchmark.data.folder:load"
"""What loads a folder of the user's own, as an entry of `DATASETS`."""

Advance = Callable[[int, int], None]
"""Progress of a slow step: called with (done, total)."""

Exact = Callable[[str, np.ndarray, np.ndarray], np.ndarray]
"""(attribute, indices (n,), new values (n,)) -> the exact counterfactuals, (n, C, H, W) uint8."""


@dataclass(frozen=True)
class Source:
    """Where a loader may read and write."""

    root: Path | None = None
    """The folder that the user named with ``--data-root``."""
    cache: Path | None = None
    """Cache folder for decoded images; None decodes into memory."""
    advance: Advance = lambda *_: None
    folder: "FolderConfig | None" = None
    """The user's own folder of pictures, if that is to be loaded."""
    settings: BaseModel | None = None
    """Settings of data that are generated rather than read; None for the defaults."""
    check_attributes: Callable[[pd.DataFrame], None] = lambda _: None
    """Raises a UserError if the task's attribute is not among these; called before images are made or read."""


@dataclass(frozen=True)
class ImageData:
    """Labelled images of one size."""

    name: str
    images: np.ndarray
    """(N, C, H, W) uint8; in memory or memory-mapped."""
    labels: np.ndarray | None
    """(N,) int64 indices into `class_names`; None if the label is an attribute that the task has to name."""
    class_names: tuple[str, ...]
    digest: str
    """SHA-256 of everything in the data that affects a result."""
    attributes: pd.DataFrame | None = None
    """(N, A) of 0 and 1, one named column per attribute."""
    official: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Indices of the official splits, if any: "train", "validation", "test"."""
    twins: np.ndarray | None = None
    """(N,) int64: the first image that is identical to each one, often itself; None if there are no identical ones."""
    remarks: tuple[str, ...] = ()
    """What a reader of the numbers has to know of the images, a sentence each."""
    attribute: str = ""
    """The attribute that is the task's label; empty if the labels are classes."""
    exact: Exact | None = None
    """Computes exact counterfactuals; None for data without them."""
    independent: Callable[[int, int], "ImageData"] | None = None
    """(count, seed) -> other images, whose attributes are all independent; None if the data cannot be generated."""

    def counterfactuals(self, indices: np.ndarray, targets: np.ndarray) -> np.ndarray | None:
        """Exact counterfactuals of the images at `indices` (n,) for the classes `targets` (n,): (n, C, H, W) uint8.

        None for data without them, such as photographs.
        """
        return self.exact(self.attribute, indices, targets) if self.exact and self.attribute else None

    @property
    def known_attributes(self) -> Attributes | None:
        """What a method may know of the attributes; None where there are none."""
        return None if self.attributes is None else Attributes(tuple(map(str, self.attributes)), self.attribute)

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
    """A selection of the images of a labelled data set, in any order; nothing is copied."""

    data: ImageData
    indices: np.ndarray
    """Indices (n,) into `data`."""

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

    @property
    def pixels(self) -> Tensor:
        """(n, C, H, W) uint8."""
        return torch.from_numpy(self.data.images[self.indices])

    def batch(self, indices: Tensor | slice) -> Tensor:
        """The images at `indices` of this subset, float32 in [0, 1], (B, C, H, W)."""
        chosen = indices.numpy() if isinstance(indices, Tensor) else indices  # numpy takes a tensor of one for a number
        return self.data.batch(self.indices[chosen])

    def described(self, names: Sequence[str]) -> Tensor:
        """Which of the attributes `names` each image has, (n, len(names)), float32 of 0 and 1."""
        assert self.data.attributes is not None  # noqa: S101 - who asks has been told the names
        return torch.tensor(self.data.attributes[list(names)].to_numpy()[self.indices], dtype=torch.float32)

    def first(self, count: int) -> "Subset":
        """The first `count` images of this subset."""
        return Subset(self.data, self.indices[:count])


def load(name: str, source: Source) -> ImageData:
    """The data set called `name`, or the user's own folder, if `source` has one.

    Raises
    ------
    UserError
        For an unknown name, and for files that are missing or broken (naming the file and where it comes from).
    """
    if source.folder is None and name not in DATASETS:
        raise unknown("data set", name, DATASETS)
    module, function = (DATASETS[name] if source.folder is None else FOLDER).split(":")
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
