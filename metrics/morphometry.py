"""Shape of a handwritten digit: area, length, thickness, slant, width and height, as Morpho-MNIST defines them.

Castro, Tan, Kainz, Konukoglu and Glocker, "Morpho-MNIST: Quantitative Assessment and Diagnostics for Representation
Learning", 2019. A digit is drawn four times as large, and its ink is what is at least half way between the darkest and
the brightest pixel. Slant and size are those of the intensities, not of the ink.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.morphology import medial_axis
from skimage.transform import pyramid_expand
from torch import Tensor

Array = NDArray[np.floating[Any]]

SCALE = 4
"""Times that a digit is enlarged before it is measured."""
OUTSIDE = 0.01
"""Share of the intensity that may lie beyond each side of the box around a digit."""


class Shape(NamedTuple):
    """The measures of one digit."""

    area: float
    """Of the ink, squared pixels."""
    length: float
    """Of the ink's skeleton, pixels."""
    thickness: float
    """Twice the mean distance from the skeleton to where there is no ink, pixels."""
    slant: float
    """Angle by which it leans to the right of upright, in (−π/2, π/2), radians."""
    width: float
    """Between the left and right sides, which lean with the digit, of a box around it, pixels."""
    height: float
    """Between the top and bottom of that box, pixels."""


def morphometry(images: Tensor) -> Mapping[str, Tensor]:
    """The shapes of grey images.

    Parameters
    ----------
    images : Tensor
        Shape (N, 1, H, W), float in [0, 1], bright ink on a dark ground.

    Returns
    -------
    Mapping[str, Tensor]
        Name of a measure -> its value of each image, (N,), float64; NaN for images of one intensity, which have no
        shape.

    Raises
    ------
    ValueError
        For images of another shape, or with a value that is not finite.

    """
    if images.ndim != 4 or images.shape[1] != 1:
        raise ValueError(f"digits are grey images (N, 1, H, W), not {tuple(images.shape)}")
    if not torch.isfinite(images).all():
        raise ValueError("an image holds NaN or infinity")
    shapes = [_shape(image) for image in images[:, 0].double().cpu().numpy()]
    values = torch.tensor(shapes, dtype=torch.float64).reshape(len(shapes), len(Shape._fields))
    return dict(zip(Shape._fields, values.unbind(1), strict=True))


def relative_change(before: Tensor, after: Tensor) -> Tensor:
    """How far a measure moved, as a share of what it was: |after − before| / |before|, (N,); NaN where it was 0."""
    return torch.where(before == 0, math.nan, (after - before).abs() / before.abs())


def _shape(image: Array) -> Shape:
    """The shape of one image (H, W)."""
    if image.min() == image.max():
        return Shape(*[math.nan] * len(Shape._fields))
    fine: Array = pyramid_expand(image, upscale=SCALE, order=3)  # type: ignore[no-untyped-call]
    ink = fine >= (fine.min() + fine.max()) / 2
    skeleton, depth = medial_axis(ink, return_distance=True, rng=0)  # type: ignore[no-untyped-call]
    slope, width, height = _box(fine)
    return Shape(
        area=float(ink.sum()) / SCALE**2,
        length=_length(skeleton) / SCALE,
        thickness=2 * float(depth[skeleton].mean()) / SCALE,
        slant=-math.atan(slope),  # rows are counted downwards
        width=width / SCALE,
        height=height / SCALE,
    )


def _length(skeleton: NDArray[np.bool_]) -> float:
    """Distances between all neighbours of a skeleton (H, W), also of those that touch at a corner, in pixels."""
    s = skeleton
    straight = (s[1:] & s[:-1]).sum() + (s[:, 1:] & s[:, :-1]).sum()
    oblique = (s[1:, 1:] & s[:-1, :-1]).sum() + (s[1:, :-1] & s[:-1, 1:]).sum()
    return float(straight + math.sqrt(2) * oblique)


def _box(image: Array) -> tuple[float, float, float]:
    """By how much a picture (H, W) moves to the right from row to row, and the box around it: width and height."""
    rows, columns = (place.astype(float).ravel() for place in np.indices(image.shape))
    weights = image.ravel() / image.sum()
    down, across = rows - weights @ rows, columns - weights @ columns
    variance = weights @ down**2
    slope = float(weights @ (down * across) / variance) if variance > 0 else 0.0
    return slope, _extent(across - slope * down, weights), _extent(rows, weights)


def _extent(places: Array, weights: Array) -> float:
    """The stretch of `places` (P,) that holds all but `OUTSIDE` of the `weights` (P,), of sum 1, on each side."""
    order = np.argsort(places, kind="stable")
    low, high = np.interp([OUTSIDE, 1 - OUTSIDE], np.cumsum(weights[order]), places[order])
    return float(high - low)
