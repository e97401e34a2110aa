"""Cache of images: a memory-mapped array with its digest beside it, complete or absent."""

import logging
import os
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmark.errors import UserError
from benchmark.locks import SUFFIX, locked

log = logging.getLogger(__name__)

DIGEST = re.compile(r"[0-9a-f]{64}")

CHECKED = 2**30
"""Bytes up to which images are held against their digest whenever they are opened, which takes a second at most."""
CHUNK = 32
"""Images that a thread decodes before it reports."""

Shape = tuple[int, int, int, int]


def in_threads(work: Callable[[int], None], count: int, advance: Callable[[int, int], None]) -> None:
    """`work` for each index below `count`; threads, because Pillow lets go of the interpreter while it decodes.

    `advance` is called with (done, count).
    """

    def chunk(start: int) -> int:
        end = min(start + CHUNK, count)
        for index in range(start, end):
            work(index)
        return end

    pool = ThreadPoolExecutor()
    try:
        for done in pool.map(chunk, range(0, count, CHUNK)):
            advance(done, count)
    finally:  # an error or Ctrl-C does not wait for the other 200,000 images
        pool.shutdown(cancel_futures=True)


def cached_images(
    path: Path,
    shape: Shape,
    fill: Callable[[np.ndarray], None],
    digest: Callable[[np.ndarray], str],
    what: str | None = None,
) -> tuple[np.ndarray, str]:
    """Images (memory-mapped, read-only) and digest at `path`, written by the first process that needs them.

    Parameters
    ----------
    path
        An npy file whose name contains a hash of everything that determines its content; the digest is beside it.
    shape
        (N, C, H, W) of the images, uint8.
    fill
        Writes the images into an array of that shape.
    digest
        Images -> SHA-256 of them and of all else that affects a result, 64 hexadecimal digits.
    what
        What they are, for a user who has too little space; by default the file's name up to its hash.

    Raises
    ------
    UserError
        If the disk has too little space, and any error of `fill`; no file is left behind then.
    """
    found = _open(path, shape, digest)
    if found is not None:
        return found
    path.parent.mkdir(parents=True, exist_ok=True)
    what = what or path.name.partition("-")[0]
    with locked(path.with_suffix(SUFFIX)):
        found = _open(path, shape, digest)  # another process may have been faster
        return _make(path, shape, fill, digest, what) if found is None else found


def _open(path: Path, shape: Shape, digest: Callable[[np.ndarray], str]) -> tuple[np.ndarray, str] | None:
    """The cached images and digest at `path`; None if absent, incomplete, of another shape or damaged."""
    try:
        images, noted = np.load(path, mmap_mode="r"), _digest_path(path).read_text()
    except (OSError, EOFError, ValueError):
        return None
    if images.shape != shape or images.dtype != np.uint8 or not DIGEST.fullmatch(noted):
        return None
    if images.nbytes <= CHECKED and digest(images) != noted:
        log.warning("%s is damaged; it is made again", path)
        return None
    return images, noted


def _digest_path(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _make(
    path: Path, shape: Shape, fill: Callable[[np.ndarray], None], digest: Callable[[np.ndarray], str], what: str
) -> tuple[np.ndarray, str]:
    """Fill a temporary file; the digest is moved into place first, so that existing images mean "complete"."""
    _require_space(path, shape, what)
    partial, digest_partial = path.with_suffix(".npy.partial"), path.with_suffix(".sha256.partial")
    try:
        images = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)
        _reserve(partial)
        fill(images)
        images.flush()
        digest_partial.write_text(digest(images))
        digest_partial.replace(_digest_path(path))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
        digest_partial.unlink(missing_ok=True)
    return np.load(path, mmap_mode="r"), _digest_path(path).read_text()


def _reserve(path: Path) -> None:
    """Take the space now, because a disk that becomes full under a memory map kills the process without a message."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def _require_space(path: Path, shape: Shape, what: str) -> None:
    """Say in advance what does not fit, before hours of decoding."""
    needed, free = int(np.prod(shape)), shutil.disk_usage(path.parent).free
    if needed > free:
        raise UserError(
            f"{what} needs {needed / 1e9:.1f} GB for its images in {path.parent}, {free / 1e9:.1f} GB are free"
        )
