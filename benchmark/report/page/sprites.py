"""Pictures as sheets: many in one image, small, as the address of a page's own data."""

import base64
from io import BytesIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

LEVELS = 32
"""Grey levels of a picture in a sheet: the eye sees no fewer, and the file is half as large."""
QUALITY = 75
"""Of pictures in colour, which are not kept to the last bit."""
LONGEST = 96
"""Pixels of a picture's longer side; larger ones are shown smaller."""
HIGHEST = 16_000
"""Pixels of a sheet's side, at most; what the format can hold is 16,383."""


def fitting(pictures: Tensor) -> Tensor:
    """Pictures (..., C, H, W) uint8, made smaller where they are too large for a sheet."""
    longer = max(pictures.shape[-2:])
    if longer <= LONGEST:
        return pictures
    shape = [max(1, side * LONGEST // longer) for side in pictures.shape[-2:]]
    flat = torch.nn.functional.interpolate(pictures.flatten(0, -4).float(), shape, mode="area")
    return flat.round().to(torch.uint8).unflatten(0, pictures.shape[:-3])


def sheet(pictures: Tensor) -> str:
    """A sheet of pictures (rows, columns, C, H, W) uint8 as a data address: WebP, grey ones without any loss."""
    rows, columns, channels, high, wide = pictures.shape
    pixels: NDArray[np.uint8] = pictures.permute(0, 3, 1, 4, 2).reshape(rows * high, columns * wide, channels).numpy()
    grey = channels == 1
    if grey:
        pixels = levelled(pixels).repeat(3, axis=2)
    buffer = BytesIO()
    how = {"lossless": True, "quality": 40} if grey else {"quality": QUALITY}
    Image.fromarray(pixels).save(buffer, "WEBP", method=3, **how)
    return address(buffer.getvalue(), "image/webp")


def levelled(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pixels in `LEVELS` levels; black, white and a picture in so few levels stay as they are."""
    step = 255 / (LEVELS - 1)
    return (np.round(np.round(pixels / step) * step)).astype(np.uint8)


def rows_of(pictures: Tensor) -> int:
    """How many rows of pictures (..., C, H, W) fit into a sheet."""
    return HIGHEST // int(pictures.shape[-2])


def address(content: bytes, kind: str) -> str:
    """A file as a data address, which needs no request."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def packed(values: NDArray[np.uint8] | NDArray[np.uint16]) -> str:
    """Numbers as base64, little-endian, row by row."""
    return base64.b64encode(np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")).tobytes()).decode()
