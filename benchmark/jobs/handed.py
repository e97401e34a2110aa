"""Pictures that a user hands in: a folder of files, or arrays, by name; a mistake is one line with the file's name."""

import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from unicodedata import normalize
from zipfile import BadZipFile, ZipFile, is_zipfile

import numpy as np
import torch
from PIL import Image

from benchmark.errors import UserError
from benchmark.jobs import memory
from methods.pictures import eight_bit

Shape = tuple[int, int, int]
Images = Mapping[str, np.ndarray]
"""Name -> one image, (C, H, W) uint8."""

ARRAYS = (".npy", ".npz")
PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
WHAT = "give a folder of PNG files (or JPEG, TIFF, BMP, WebP), or an npz or npy file"
ROUNDING = 1e-5
"""What a float may exceed [0, 1] by, as a method's answer may."""


def bare(name: str) -> str:
    """A picture's name as it is matched: without the ending of a picture, its letters composed (NFC)."""
    path = Path(name)
    return normalize("NFC", path.stem if path.suffix.lower() in PICTURES else name)


def read_images(path: Path, shape: Shape) -> Images:
    """The images in `path` by name: the files of a folder by theirs, arrays by their key, a stack by its row.

    An array is 8-bit, or float in [0, 1], and one image of it (C, H, W), (H, W, C), or (H, W) if grey. An npy file, and
    an npz file with a single array, is a stack (N, ...) of these.

    Raises
    ------
    UserError
        If there are none, or one cannot be read or has another shape than `shape`, (C, H, W).
    """
    if path.is_dir():
        images = {name: _image(_pixels(file, shape[0]), shape, str(file)) for name, file in _files(path).items()}
    elif path.suffix in ARRAYS and path.is_file():
        images = {bare(name): _image(array, shape, f"{path}, image {name}") for name, array in _arrays(path)}
    else:
        raise UserError(f"there are no images at {path}; {WHAT}")
    if not images:
        raise UserError(f"{path} holds no images; {WHAT}")
    return images


def _files(folder: Path) -> dict[str, Path]:
    """The pictures of a folder by name; what else lies there is refused, but for what begins with a dot."""
    found: dict[str, Path] = {}
    for file in sorted(file for file in folder.iterdir() if not file.name.startswith(".")):
        if file.suffix.lower() not in PICTURES or not file.is_file():
            raise UserError(f"{file} is no picture, and would be left out; {WHAT}, with nothing beside the pictures")
        if bare(file.name) in found:
            raise UserError(f"{file} and {found[bare(file.name)]} have the same name; pictures are matched by name")
        found[bare(file.name)] = file
    return found


def _pixels(path: Path, channels: int) -> np.ndarray:
    """A file as (H, W) or (H, W, C); colour whose three channels are equal is grey where grey is wanted."""
    try:
        with Image.open(path) as image:
            if image.mode not in {"L", "RGB"}:
                raise ValueError(f"its mode is {image.mode}; save it as 8-bit grey (L) or colour (RGB)")
            pixels = np.asarray(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"cannot read {path}: {error}") from error
    grey = pixels.ndim == 3 and channels == 1 and (pixels == pixels[..., :1]).all()
    return pixels[..., 0] if grey else pixels


def _arrays(path: Path) -> Iterable[tuple[str, np.ndarray]]:
    """Names and images of an npy or npz file."""
    try:
        _check_size(path)
        found = np.load(path, allow_pickle=False)
        arrays = {"": found} if isinstance(found, np.ndarray) else {name: found[name] for name in found.files}
    except ValueError as error:
        if "pickle" not in str(error):  # numpy's own words recommend to trust the file
            raise UserError(f"cannot read {path}: {error}") from error
        raise UserError(
            f"{path} is no plain array of numbers: save uint8, or float in [0, 1], by numpy.save"
        ) from error
    except (OSError, EOFError, NotImplementedError, MemoryError, BadZipFile, zlib.error) as error:
        raise UserError(f"cannot read {path}: {error}") from error
    if len(arrays) > 1:
        return arrays.items()
    (stack,) = arrays.values() or (np.zeros(0),)
    if not stack.ndim:
        raise UserError(f"{path} holds a single number; {WHAT}")
    return ((str(row), image) for row, image in enumerate(stack))


def _check_size(path: Path) -> None:
    """Refuse an archive that would fill half of the memory once it is unpacked."""
    if path.suffix != ".npz" or not is_zipfile(path):
        return
    with ZipFile(path) as archive:
        size = sum(part.file_size for part in archive.infolist()) / 2**30
    if size > memory.machine_memory() / 1024 / 2:
        raise UserError(f"{path} holds {size:.2f} GiB once it is unpacked, more than half of the memory: give folders")


def _image(array: np.ndarray, shape: Shape, name: str) -> np.ndarray:
    """One image as (C, H, W) uint8."""
    channels, height, width = shape
    if array.shape == (height, width, channels) and array.shape != shape:
        array = array.transpose(2, 0, 1)
    elif channels == 1 and array.shape == (height, width):
        array = array[None]
    if array.shape != shape:
        expected = f"{width} × {height} pixels and {channels} channel(s)"
        raise UserError(f"{name} has the shape {array.shape}; this task has {expected}")
    if array.dtype == np.uint8:
        return array
    inside = (array >= -ROUNDING) & (array <= 1 + ROUNDING)  # NaN fails both
    if not np.issubdtype(array.dtype, np.floating) or not inside.all():
        ends = f"{array.dtype} from {array.min()} to {array.max()}"
        raise UserError(f"{name} is neither 8-bit nor float in [0, 1]: {ends}")
    return eight_bit(torch.from_numpy(array.astype(np.float64)).clamp(0, 1)).numpy()


def relaxation_places(path: Path) -> Mapping[float | None, Path]:
    """Relaxation -> where its answers are: subfolders or array files called "r=0.2"; None if there is a single set."""
    entries = sorted(path.glob("r=*")) if path.is_dir() else []
    found: dict[float | None, Path] = {}
    for entry in entries:
        text = entry.stem if entry.suffix in ARRAYS else entry.name
        try:
            r = float(text.removeprefix("r="))
        except ValueError:
            r = float("nan")
        if not 0 <= r <= 1 or r in found:
            raise UserError(f"{entry} does not name a relaxation of its own from 0 to 1, as in r=0.2")
        found[r] = entry
    visible = [file for file in sorted(path.iterdir()) if not file.name.startswith(".")] if found else []
    if beside := [file for file in visible if file not in entries]:
        raise UserError(f"{beside[0]} lies beside {entries[0]}: give subfolders of relaxations or images, not both")
    return found or {None: path}
