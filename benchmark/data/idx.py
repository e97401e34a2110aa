"""MNIST and Fashion-MNIST in full, from their four IDX files."""

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.data import ImageData, Source, digest_of
from benchmark.errors import UserError

SIZE = 28
"""Height and width in pixels."""

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)

UNSIGNED_BYTES = 8
"""The element type of all four files, third byte of an IDX file; the fourth is the number of dimensions."""


@dataclass(frozen=True)
class Edition:
    """One of the data sets that are distributed as the same four files."""

    name: str
    class_names: tuple[str, ...]
    torchvision: str
    """The folder that torchvision creates for the data set under its root."""
    origin: str
    """Source of the files, for error messages."""
    installed: tuple[Path, ...] = ()
    """Folders that are searched without --data-root."""


MNIST = Edition(
    name="mnist-full",
    class_names=tuple(str(digit) for digit in range(10)),
    torchvision="MNIST",
    origin="https://yann.lecun.com/exdb/mnist/ or torchvision.datasets.MNIST(root, download=True)",
)

FASHION_MNIST = Edition(
    name="fashion-mnist",
    class_names=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    torchvision="FashionMNIST",
    origin="Debian's package dataset-fashion-mnist or https://github.com/zalandoresearch/fashion-mnist",
    installed=(Path("/usr/share/datasets/fashion-mnist"),),
)


def load_mnist(source: Source) -> ImageData:
    """The 70,000 digits of MNIST; the official test split is the t10k files.

    Returns
    -------
    ImageData
        `images` (70000, 1, 28, 28) uint8 in [0, 255], `labels` (70000,) int64 in [0, 9], training files first.

    Raises
    ------
    UserError
        For missing files, and for a file that is corrupt, cut short or does not fit its neighbour (naming it).
    """
    return load_edition(MNIST, source)


def load_fashion_mnist(source: Source) -> ImageData:
    """The 70,000 pieces of clothing of Fashion-MNIST; the official test split is the t10k files.

    Returns
    -------
    ImageData
        `images` (70000, 1, 28, 28) uint8 in [0, 255], `labels` (70000,) int64 in [0, 9], training files first.

    Raises
    ------
    UserError
        For missing files, and for a file that is corrupt, cut short or does not fit its neighbour (naming it).
    """
    return load_edition(FASHION_MNIST, source)


def load_edition(edition: Edition, source: Source) -> ImageData:
    """The four files of `edition` as one data set; see `load_mnist` for shapes and errors."""
    paths = _find(edition, source)
    train, train_labels = _read_pair(*paths[:2])
    test, test_labels = _read_pair(*paths[2:])
    images, labels = np.concatenate([train, test]), np.concatenate([train_labels, test_labels])
    indices = np.arange(len(images))
    return ImageData(
        name=edition.name,
        images=images,
        labels=labels,
        class_names=edition.class_names,
        digest=digest_of(images, labels, "\n".join(edition.class_names), f"\n{len(train)}"),
        official={"train": indices[: len(train)], "test": indices[len(train) :]},
    )


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """The array of unsigned bytes in an IDX file, gzipped or not (detected by content, as browsers may unpack it).

    Parameters
    ----------
    path
        The file.
    dimensions
        Expected number of dimensions: 3 for images (N, H, W), 1 for labels (N,).

    Raises
    ------
    UserError
        If the file cannot be read, is no such IDX file, or its length disagrees with its header, naming the file.
    """
    content = _unzipped(path)
    start = 4 + 4 * dimensions
    if len(content) < start or content[:4] != bytes([0, 0, UNSIGNED_BYTES, dimensions]):
        raise UserError(f"{path} is not an IDX file of {dimensions}-dimensional bytes: fetch it again")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    if len(content) - start != math.prod(shape):
        raise UserError(
            f"{path} has {len(content) - start:,} bytes after its header, not {math.prod(shape):,}: fetch it again"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _unzipped(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({error}): fetch it again") from error


def _read_pair(images_path: Path, labels_path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 1, 28, 28) uint8 and their labels (N,) int64."""
    images, labels = read_idx(images_path, dimensions=3), read_idx(labels_path, dimensions=1)
    if images.shape[1:] != (SIZE, SIZE) or not len(images):
        raise UserError(
            f"{images_path} holds images of shape {images.shape}, not (N, {SIZE}, {SIZE}): is it the right file?"
        )
    if len(labels) != len(images):
        raise UserError(f"{labels_path} has {len(labels):,} labels for the {len(images):,} images of {images_path}")
    if labels.max() > 9:
        raise UserError(f"{labels_path} has a label {labels.max()}, beyond 9: is it the right file?")
    return images[:, None], labels.astype(np.int64)


def _find(edition: Edition, source: Source) -> list[Path]:
    """The four files, from the first folder that has any of them; if that one is incomplete, an error."""
    folders = _folders(edition, source)
    for folder in folders:
        found = [_existing(folder / name) for name in FILES]
        complete = [path for path in found if path is not None]
        if len(complete) == len(FILES):
            return complete
        if complete:
            missing = [name for name, path in zip(FILES, found, strict=True) if path is None]
            raise _missing(edition, missing, [folder])
    raise _missing(edition, FILES, folders)


def _folders(edition: Edition, source: Source) -> list[Path]:
    """Folders to search; the root comes after its subfolders, because their names identify the data set."""
    root = source.root
    given = [] if root is None else [root / edition.name, root / edition.torchvision / "raw", root]
    return [*given, *edition.installed]


def _existing(path: Path) -> Path | None:
    zipped = path.with_name(f"{path.name}.gz")
    return next((candidate for candidate in (path, zipped) if candidate.is_file()), None)


def _missing(edition: Edition, files: list[str] | tuple[str, ...], folders: list[Path]) -> UserError:
    looked = f"looked in {', '.join(map(str, folders))}" if folders else "no folder was named"
    return UserError(
        f"{edition.name} lacks {', '.join(files)} (plain or .gz); {looked}; "
        f"get them from {edition.origin} and name their folder with --data-root"
    )
