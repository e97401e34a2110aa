"""One picture file of any common kind as an upright 8-bit picture of a given size."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from benchmark.names import Resize

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
"""What Pillow may take a file for, whatever its name says; other formats of Pillow's start programs."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".tif", ".tiff", ".gif")
"""Names of picture files, in lower case."""

Channels = Literal[1, 3]

warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # such pictures are refused below

WHITE = (255, 255, 255, 255)
SIXTEEN_BITS = {"I;16", "I;16L", "I;16B", "I;16N", "I"}
"""Pillow's modes of 16-bit grey; "I" has 32 bits, and older versions read 16 into it."""


class BrokenPictureError(ValueError):
    """A file that cannot be read as a picture; the message says why."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What there is to know of a picture before its size is chosen."""

    width: int
    """In pixels, upright."""
    height: int
    grey: bool
    """Whether all colours are equal in every pixel."""
    transparent: bool
    """Whether a pixel lets a background through."""
    frames: int
    """Of an animation or a file of several pages; the first one is taken."""
    brightest: int
    """The highest level of a pixel and a colour, of 255."""


def facts_of(path: Path) -> Facts:
    """What there is to know of the picture at `path`, which is decoded for it.

    Raises
    ------
    BrokenPictureError
        As `decode`.
    """
    image, transparent, frames = _read(path)
    pixels = np.asarray(image)
    grey = image.mode == "L" or _equal_colours(pixels)
    return Facts(image.width, image.height, grey, transparent, frames, int(pixels.max()))


def decode(path: Path, size: tuple[int, int], resize: Resize, channels: Channels) -> np.ndarray:
    """The picture at `path`, upright, on white where it is transparent, (channels, height, width) uint8.

    Parameters
    ----------
    path
        A PNG, JPEG, WebP, BMP, TIFF or GIF file, by its content.
    size
        (width, height) in pixels.
    resize
        "crop" keeps the middle, "fit" keeps all and adds black margins, "stretch" keeps all and changes the aspect;
        each is bilinear with antialiasing, and leaves a picture of that size as it is.
    channels
        1 takes colours for their luma (ITU-R 601), 3 repeats grey.

    Raises
    ------
    BrokenPictureError
        If the file is no such picture, is cut short, has more pixels than Pillow agrees to read (about 89 million), or
        numbers whose range nobody knows.
    """
    image = _read(path)[0].convert("L" if channels == 1 else "RGB")
    pixels = np.asarray(_resized(image, size, resize))
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def _read(path: Path) -> tuple[Image.Image, bool, int]:
    """The first frame, upright and on white, of mode L or RGB; whether it is transparent; how many frames there are."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > (Image.MAX_IMAGE_PIXELS or np.inf):
                raise BrokenPictureError(f"{image.width} × {image.height} pixels are more than Pillow agrees to read")
            frames = getattr(image, "n_frames", 1)
            image.seek(0)
            upright = ImageOps.exif_transpose(image)
        shown, transparent = _on_white(_eight_bit(upright))
    except BrokenPictureError:
        raise
    except Exception as error:  # Pillow raises what its decoders happen to meet: a dozen kinds
        raise BrokenPictureError(_reason(path, error)) from error
    return (
        shown if shown.mode in {"L", "RGB"} else shown.convert("L" if shown.mode == "1" else "RGB"),
        transparent,
        frames,
    )


def _reason(path: Path, error: Exception) -> str:
    if path.is_file() and not path.stat().st_size:
        return "is empty"
    if isinstance(error, UnidentifiedImageError):
        return f"is none of {', '.join(FORMATS)}"
    return " ".join(str(error).replace(str(path), "").split()) or type(error).__name__


def _eight_bit(image: Image.Image) -> Image.Image:
    """16-bit grey divided by 257; everything else as it is."""
    if image.mode == "F":
        raise BrokenPictureError("has floating-point pixels, whose range nobody knows: save it with 8 or 16 bits")
    if image.mode not in SIXTEEN_BITS:
        return image
    levels = np.asarray(image).astype(np.int64)
    if levels.min() < 0 or levels.max() > 2**16 - 1:
        raise BrokenPictureError("has 32-bit pixels, whose range nobody knows: save it with 8 or 16 bits")
    return Image.fromarray(((levels + 128) // 257).astype(np.uint8))


def _on_white(image: Image.Image) -> tuple[Image.Image, bool]:
    """The picture without transparency, and whether it had any."""
    if not image.has_transparency_data:
        return image, False
    above = image.convert("RGBA")
    shown = Image.alpha_composite(Image.new("RGBA", image.size, WHITE), above).convert("RGB")
    return shown, np.asarray(above)[..., 3].min() < 255


def _equal_colours(pixels: np.ndarray) -> bool:
    """Whether red, green and blue of (H, W, 3) are the same everywhere."""
    return bool((pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all())


def _resized(image: Image.Image, size: tuple[int, int], resize: Resize) -> Image.Image:
    bilinear = Image.Resampling.BILINEAR
    if resize == "crop":
        return ImageOps.fit(image, size, bilinear)
    return ImageOps.pad(image, size, bilinear, color=0) if resize == "fit" else image.resize(size, bilinear)
