"""CelebA: aligned faces with their attributes and official splits, decoded once to 129 x 129 pixels."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from benchmark.data import Advance, ImageData, Source, digest_of
from benchmark.data.cache import cached_images, in_threads
from benchmark.errors import UserError

IMAGES = "img_align_celeba"
ATTRIBUTES = "list_attr_celeba.txt"
PARTITION = "list_eval_partition.txt"
HINT = (
    f"--data-root needs torchvision's layout: celeba/{IMAGES}/000001.jpg and so on, celeba/{ATTRIBUTES}, "
    f"celeba/{PARTITION}, from https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
)

ALIGNED = (178, 218)
"""Width and height in pixels of the files in img_align_celeba."""
CROP = 148
"""Side in pixels of the square crop from the centre."""
SIZE = 129
"""Side in pixels to which the square is resized, bilinear with antialiasing."""

FILE_NAME = re.compile(r"\d{6}\.jpg")
SIGNS = {"-1": 0, "1": 1}
SPLITS = {"0": "train", "1": "validation", "2": "test"}


@dataclass(frozen=True)
class Listing:
    """Attributes, splits and files of CelebA's images, in the order of the attribute file."""

    folder: Path
    """The folder of the image files."""
    names: list[str]
    attributes: pd.DataFrame
    """(N, A) int8 of 0 and 1."""
    partition: np.ndarray
    """(N,) int8: 0 training, 1 validation, 2 test."""
    stamps: np.ndarray
    """(N, 2) int64: each file's size in bytes and time of change in nanoseconds."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, H, W) of the decoded images."""
        return len(self.names), 3, SIZE, SIZE


def load(source: Source) -> ImageData:
    """CelebA without labels (the task names the attribute), with its official splits.

    With `source.cache` the images are decoded once, into a memory-mapped file there (10 GB for all of CelebA), and
    again if the size or time of change of a file differs. Without it they are decoded into memory.

    Returns
    -------
    ImageData
        `images` (N, 3, 129, 129) uint8 in [0, 255], `attributes` (N, A) int8 of 0 and 1.

    Raises
    ------
    UserError
        If the task names no attribute or an unknown one; for missing files, malformed lines (with their number) and
        images that cannot be decoded (by name).
    """
    listing = read_listing(find_folder(source.root))
    source.check_attributes(listing.attributes)
    images, digest = _pixels(listing, source)
    return ImageData(
        name="celeba",
        images=images,
        labels=None,
        class_names=(),
        digest=digest,
        attributes=listing.attributes,
        official=_splits(listing.partition),
    )


def find_folder(root: Path | None) -> Path:
    """The folder with CelebA's images and lists: ``celeba`` under `root`, or `root` itself.

    Raises
    ------
    UserError
        If neither has all of them: the missing files, their source, and the folder layout.
    """
    if root is None:
        raise UserError(f"celeba is read from a folder of yours: {HINT}")
    folders = (root / "celeba", root)
    nearest = min(folders, key=lambda folder: len(_missing(folder)))
    if missing := _missing(nearest):
        raise UserError(f"celeba lacks {', '.join(missing)} in {nearest}; {HINT}")
    return nearest


def read_listing(folder: Path) -> Listing:
    """The attributes, the partition and the image files under `folder`, checked for agreement.

    Raises
    ------
    UserError
        For a malformed line, lists that name different images, and missing images.
    """
    names, attributes = _read_attributes(folder / ATTRIBUTES)
    partition = _read_partition(folder / PARTITION, names)
    return Listing(folder / IMAGES, names, attributes, partition, _stamps(folder / IMAGES, names))


def decode(path: Path) -> np.ndarray:
    """One aligned face as (3, 129, 129) uint8.

    Raises
    ------
    UserError
        If the file is no JPEG, is cut short, or is not 178 x 218 pixels, naming it.
    """
    try:
        with Image.open(path, formats=["JPEG"]) as image:
            if image.size != ALIGNED:
                raise UserError(
                    f"{path} is {image.width} x {image.height} pixels, not 178 x 218: is it from {IMAGES}.zip?"
                )
            face = image.convert("RGB").crop(_centre()).resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:  # Pillow's, on broken files
        raise UserError(f"{path} cannot be decoded: unpack it again from {IMAGES}.zip") from error
    return np.asarray(face).transpose(2, 0, 1)


def _centre() -> tuple[int, int, int, int]:
    """Left, upper, right, lower of the crop."""
    left, upper = (ALIGNED[0] - CROP) // 2, (ALIGNED[1] - CROP) // 2
    return left, upper, left + CROP, upper + CROP


def _missing(folder: Path) -> list[str]:
    files = [name for name in (ATTRIBUTES, PARTITION) if not (folder / name).is_file()]
    return files if (folder / IMAGES).is_dir() else [f"{IMAGES}/", *files]


def _splits(partition: np.ndarray) -> dict[str, np.ndarray]:
    """Indices of each split; an empty split is left out, and is then drawn like any missing split."""
    indices = {split: np.flatnonzero(partition == int(code)) for code, split in SPLITS.items()}
    return {split: chosen for split, chosen in indices.items() if len(chosen)}


# --- The two lists -------------------------------------------------------------------------------------------------


def _read_attributes(path: Path) -> tuple[list[str], pd.DataFrame]:
    count, header, *lines = _lines(path, at_least=3)
    if count.strip() != str(len(lines)):
        raise UserError(f"{path}, line 1: says '{count.strip()[:20]}' images, but {len(lines)} follow: fetch it again")
    columns = header.split()
    if not columns or len(set(columns)) != len(columns):
        raise UserError(f"{path}, line 2: expected attribute names, each once: fetch the file again")
    names, values = _read_rows(path, lines, first=3, width=len(columns), codes=SIGNS)
    return names, pd.DataFrame(values, columns=columns)


def _read_partition(path: Path, names: list[str]) -> np.ndarray:
    """(N,) int8, in the order of `names`."""
    codes = {code: int(code) for code in SPLITS}
    listed, values = _read_rows(path, _lines(path, at_least=1), first=1, width=1, codes=codes)
    if different := set(names) ^ set(listed):
        others = f" and {len(different) - 1} more are" if len(different) > 1 else " is"
        raise UserError(f"{min(different)}{others} in only one of {ATTRIBUTES} and {path}: fetch both again")
    row = {name: index for index, name in enumerate(listed)}
    return values[[row[name] for name in names], 0]


def _lines(path: Path, at_least: int) -> list[str]:
    try:
        lines = path.read_text(encoding="ascii", errors="replace").rstrip().splitlines()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from error
    if len(lines) < at_least:
        raise UserError(f"{path} ends after line {len(lines)}, before its first image: fetch it again")
    return lines


def _read_rows(
    path: Path, lines: Sequence[str], *, first: int, width: int, codes: Mapping[str, int]
) -> tuple[list[str], np.ndarray]:
    """File names and (N, `width`) int8 of coded values from lines ``NNNNNN.jpg value ...``, counted from `first`."""
    rows: dict[str, bytes] = {}
    for number, line in enumerate(lines, start=first):
        name, *values = line.split() or [""]
        if not FILE_NAME.fullmatch(name) or len(values) != width or not codes.keys() >= set(values):
            expected = f"expected NNNNNN.jpg and {width} of {', '.join(codes)}"
            raise UserError(f"{path}, line {number}: {expected}, got '{line[:40]}': fetch the file again")
        if name in rows:
            raise UserError(f"{path}, line {number}: {name} comes a second time: fetch the file again")
        rows[name] = bytes(codes[value] for value in values)
    return list(rows), np.frombuffer(b"".join(rows.values()), np.int8).reshape(-1, width).copy()


def _stamps(folder: Path, names: list[str]) -> np.ndarray:
    stamps = [_stamp(folder / name) for name in names]
    missing = [name for name, stamp in zip(names, stamps, strict=True) if stamp is None]
    if missing:
        others = f" and {len(missing) - 1} more are" if len(missing) > 1 else " is"
        raise UserError(f"{missing[0]}{others} in {ATTRIBUTES} but not in {folder}: unpack {IMAGES}.zip again")
    return np.array(stamps, np.int64)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


# --- Pixels ---------------------------------------------------------------------------------------------------------


def _digest(images: np.ndarray, listing: Listing) -> str:
    columns = json.dumps(list(listing.attributes.columns))
    return digest_of(images, columns, listing.attributes.to_numpy(), listing.partition)


def _pixels(listing: Listing, source: Source) -> tuple[np.ndarray, str]:
    if source.cache is None:
        return _decode_in_memory(listing, source.advance)
    return _cached(listing, source.cache, source.advance)


def _decode_in_memory(listing: Listing, advance: Advance) -> tuple[np.ndarray, str]:
    images = np.empty(listing.shape, np.uint8)
    _decode_into(images, listing, advance)
    return images, _digest(images, listing)


def _decode_into(images: np.ndarray, listing: Listing, advance: Advance) -> None:
    """Fill `images`, in threads, because Pillow releases the interpreter lock while it decodes."""

    def decode_one(index: int) -> None:
        images[index] = decode(listing.folder / listing.names[index])

    in_threads(decode_one, len(images), advance)


# --- The cache ------------------------------------------------------------------------------------------------------


def _cached(listing: Listing, cache: Path, advance: Advance) -> tuple[np.ndarray, str]:
    """Images (memory-mapped, read-only) and digest from `cache`, decoded by the first process that needs them."""
    return cached_images(
        cache / f"celeba-{_key(listing)[:16]}.npy",
        listing.shape,
        lambda images: _decode_into(images, listing, advance),
        lambda images: _digest(images, listing),
    )


def _key(listing: Listing) -> str:
    """A hash of everything that determines the cached images; it opens no image."""
    text = json.dumps([ALIGNED, CROP, SIZE, listing.names, list(listing.attributes.columns)])
    return digest_of(text, listing.attributes.to_numpy(), listing.partition, listing.stamps)
