"""Avatars: drawn faces with known attributes and exact counterfactuals.

Names to use elsewhere: `AvatarsConfig`, `Faces`, `sample_faces`, `counterfactual` and `render`.
"""

import json
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmark.data import ImageData, Source, digest_of
from benchmark.data.avatars_drawing import render
from benchmark.data.avatars_model import COLUMNS, AvatarsConfig, Faces, counterfactual, sample_faces
from benchmark.data.cache import cached_images

__all__ = [
    "AvatarsConfig",
    "ExactFaces",
    "Faces",
    "IndependentFaces",
    "counterfactual",
    "load",
    "render",
    "sample_faces",
]

VERSION = 2
"""Raised whenever the same settings give other pictures or counterfactuals, so that all are drawn again."""


@dataclass(frozen=True)
class ExactFaces:
    """Exact counterfactuals of faces: drawn again from the same noise, with one attribute changed."""

    faces: Faces

    def __call__(self, attribute: str, indices: np.ndarray, values: np.ndarray) -> np.ndarray:
        """The faces at `indices` (n,), had `attribute` been `values` (n,): (n, 3, H, W) uint8.

        Descendants of the attribute follow if the data set's settings say so.
        """
        return render(counterfactual(self.faces.take(indices), {attribute: values}), numbers=indices)


@dataclass(frozen=True)
class IndependentFaces:
    """Generates further faces of one size, with clear and independent attributes."""

    size: int
    cache: Path | None

    def __call__(self, count: int, seed: int) -> ImageData:
        """Draw `count` faces under `seed`."""
        config = AvatarsConfig.model_validate({"size": self.size, "count": count, "seed": seed, "independent": True})
        return load(Source(cache=self.cache, settings=config))


def load(source: Source) -> ImageData:
    """Avatars under `source.settings`, without labels (the task names the attribute).

    With `source.cache` they are drawn once, into a memory-mapped file there; without it, into memory.

    Returns
    -------
    ImageData
        `images` (N, 3, H, W) uint8, `attributes` (N, A) int8 of 0 and 1, and `exact` counterfactuals.

    Raises
    ------
    UserError
        If the task names no attribute or an unknown one, or a face cannot be drawn (naming the first).
    """
    config = source.settings if isinstance(source.settings, AvatarsConfig) else AvatarsConfig()
    faces = sample_faces(config)
    source.check_attributes(faces.attributes)
    images, digest = _pixels(faces, source)
    return ImageData(
        name="avatars",
        images=images,
        labels=None,
        class_names=(),
        digest=digest,
        attributes=faces.attributes,
        exact=ExactFaces(faces),
        independent=IndependentFaces(config.size, source.cache),
    )


def _pixels(faces: Faces, source: Source) -> tuple[np.ndarray, str]:
    """(N, 3, H, W) uint8 and their digest."""
    if source.cache is None:
        images = render(faces, source.advance)
        return images, _digest(faces, images)
    shape = (len(faces), 3, faces.config.size, faces.config.size)

    def fill(images: np.ndarray) -> None:
        images[:] = render(faces, source.advance)

    return cached_images(source.cache / f"avatars-{_key(faces)[:16]}.npy", shape, fill, partial(_digest, faces))


def _key(faces: Faces) -> str:
    """A hash of everything that determines the pictures."""
    parts = [VERSION, faces.config.model_dump(), COLUMNS, *(version(name) for name in ("python-avatars", "resvg-py"))]
    return digest_of(json.dumps(parts), faces.noise.to_numpy(), faces.attributes.to_numpy())


def _digest(faces: Faces, images: np.ndarray) -> str:
    return digest_of(_key(faces), images)
