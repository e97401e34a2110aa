"""A user's own folder of pictures as a data set: surveyed, decoded once to one size, and said what was done to it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np

from benchmark.data import ImageData, Source, digest_of
from benchmark.data.cache import cached_images, in_threads
from benchmark.data.decoding import BrokenPictureError, Facts, decode, facts_of
from benchmark.data.folder_config import SMALLEST, FolderConfig
from benchmark.data.folder_remarks import counted, remarks_of
from benchmark.data.listing import Listing, list_folder
from benchmark.errors import UserError
from methods.files import write_whole

OWN = 128
"""Pixels of a side up to which pictures of one size keep it."""
SIZE = (64, 64)
"""Width and height of all other pictures, unless the user says another."""
VERSION = 1
"""Raised whenever the same files are decoded to other pictures, so that all are decoded again."""


def load(source: Source) -> ImageData:
    """The pictures of the folder that `source` names.

    With `source.cache` they are decoded there once, to a memory-mapped file, and again when a file has changed since.

    Returns
    -------
    ImageData
        `images` (N, C, H, W) uint8, with `labels`, `twins`, the given splits, attributes if there are any, and
        `remarks` on all that was done to the pictures.

    Raises
    ------
    UserError
        As `list_folder`; for broken pictures, all in one message; for pictures that are too small; and if there are
        fewer than two classes.
    """
    config = source.folder
    assert config is not None  # noqa: S101 - `benchmark.data.load` looked
    listing = list_folder(config.path)
    if len(listing.class_names) < 2:
        raise UserError(f"{config.path} has one class only, '{listing.class_names[0]}': a task needs two or more")
    survey = _survey(listing, source)
    listing, facts, left_out = _whole(listing, survey, skip=config.skip_broken)
    chosen = _chosen(config, facts)
    images, digest, twins = _pixels(listing, chosen, source)
    official, doubled = _official(listing, twins)
    return ImageData(
        name=config.name,
        images=images,
        labels=listing.labels,
        class_names=listing.class_names,
        digest=digest,
        attributes=listing.attributes,
        official=official,
        twins=twins,
        remarks=(*left_out, *remarks_of(listing, facts, chosen, twins, doubled)),
    )


# -- the survey --------------------------------------------------------------------------------------------------------


def _survey(listing: Listing, source: Source) -> list[Facts | str]:
    """What there is to know of each picture, or why it is broken; kept in the cache."""
    kept = source.cache and source.cache / f"folder-{_key(listing)[:16]}.json"
    if kept and (before := _kept_survey(kept)):
        return before
    found: list[Facts | str] = [""] * len(listing)

    def look(row: int) -> None:
        try:
            facts = facts_of(listing.path(row))
        except BrokenPictureError as error:
            found[row] = str(error)
        else:
            found[row] = replace(facts, transparent=bool(facts.transparent))  # numpy's bool is none to JSON

    in_threads(look, len(listing), lambda done, total: source.advance(done, 2 * total))
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_whole(kept, json.dumps([row if isinstance(row, str) else asdict(row) for row in found]).encode())
    return found


def _kept_survey(path: Path) -> list[Facts | str]:
    """What an earlier survey found; empty if there is none that can be read."""
    try:
        return [row if isinstance(row, str) else Facts(**row) for row in json.loads(path.read_bytes())]
    except (OSError, ValueError, TypeError):
        return []


def _whole(
    listing: Listing, survey: Sequence[Facts | str], *, skip: bool
) -> tuple[Listing, list[Facts], tuple[str, ...]]:
    """The pictures that can be read, with their facts, and a remark on the others.

    Raises
    ------
    UserError
        Naming the broken ones, unless they are to be skipped; and if a class has no other.
    """
    facts = [row for row in survey if isinstance(row, Facts)]
    broken = [f"{name} ({row})" for name, row in zip(listing.names, survey, strict=True) if isinstance(row, str)]
    if not broken:
        return listing, facts, ()
    if not skip:
        raise UserError(
            f"{counted(len(broken), 'broken picture')} in {listing.folder}: {'; '.join(broken)}; "
            "mend or remove them, or leave them out by --skip-broken"
        )
    kept = listing.only(np.array([row for row, found in enumerate(survey) if isinstance(found, Facts)], np.int64))
    if lost := set(listing.class_names) - set(kept.class_names):
        raise UserError(f"all pictures of class '{min(lost)}' of {listing.folder} are broken: mend or remove them")
    some = "; ".join(broken[:3]) + (f"; and {len(broken) - 3} more" if len(broken) > 3 else "")
    return kept, facts, (f"left out: {counted(len(broken), 'broken picture')} (--skip-broken): {some}",)


def _chosen(config: FolderConfig, facts: Sequence[Facts]) -> FolderConfig:
    """The settings with size and channels decided.

    Raises
    ------
    UserError
        If the pictures have one size, and that is too small.
    """
    sizes = {(fact.width, fact.height) for fact in facts}
    own = sizes.pop() if len(sizes) == 1 else None
    size = config.size or (own if own and max(own) <= OWN else SIZE)
    if min(size) < SMALLEST:
        raise UserError(
            f"the pictures of {config.path} are {size[0]} x {size[1]} pixels, less than {SMALLEST} along a side: "
            f"enlarge them by --image-size {SMALLEST} or more"
        )
    channels = config.channels or (1 if all(fact.grey for fact in facts) else 3)
    return config.model_copy(update={"size": size, "channels": channels})


# -- pixels ------------------------------------------------------------------------------------------------------------


def _pixels(listing: Listing, chosen: FolderConfig, source: Source) -> tuple[np.ndarray, str, np.ndarray]:
    """Images (N, C, H, W) uint8, their digest and their twins."""
    assert chosen.size is not None  # noqa: S101 - it was decided
    assert chosen.channels is not None  # noqa: S101 - likewise
    width, height = chosen.size
    shape = (len(listing), chosen.channels, height, width)
    decoded = partial(decode, size=chosen.size, resize=chosen.resize, channels=chosen.channels)

    def fill(images: np.ndarray) -> None:
        def place(row: int) -> None:
            try:
                images[row] = decoded(listing.path(row))
            except BrokenPictureError as error:
                raise UserError(
                    f"{listing.path(row)} has changed since it was first read ({error}): try again"
                ) from error

        in_threads(place, len(listing), lambda done, total: source.advance(total + done, 2 * total))

    if source.cache is None:
        images = np.empty(shape, np.uint8)
        fill(images)
        return images, _digest(images, listing), _twins(images)
    settings = json.dumps([chosen.size, chosen.resize, chosen.channels])
    path = source.cache / f"folder-{digest_of(_key(listing), settings)[:16]}.npy"
    what = f"{chosen.name} at {width} x {height} pixels (--image-size)"
    images, digest = cached_images(path, shape, fill, partial(_digest, listing=listing), what)
    return images, digest, _kept_twins(images, path.with_suffix(".twins.npy"))


def _key(listing: Listing) -> str:
    """A name for everything that decides what is read, without opening a picture; the folder may move."""
    stamps = np.array([_stamp(listing.path(row)) for row in range(len(listing))], np.int64)
    return digest_of(f"folder {VERSION}", *_words(listing), json.dumps(listing.names), stamps)


def _stamp(path: Path) -> tuple[int, int]:
    """Size in bytes and time of change in nanoseconds; of a link to nothing, which is found broken later, -1."""
    try:
        status = path.stat()
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _digest(images: np.ndarray, listing: Listing) -> str:
    """Of what was decoded and what is said of it; no path and no time has a part in it."""
    return digest_of(images, listing.labels, *_words(listing))


def _words(listing: Listing) -> list[np.ndarray | bytes | str]:
    attributes = [] if listing.attributes is None else [listing.attributes.to_numpy()]
    columns = [] if listing.attributes is None else list(listing.attributes.columns)
    return [json.dumps([listing.classes, listing.parts, columns]), *attributes]


def _kept_twins(images: np.ndarray, path: Path) -> np.ndarray:
    """The twins, from the disk if they were found before."""
    try:
        twins: np.ndarray = np.load(path, allow_pickle=False)
    except (OSError, EOFError, ValueError):
        twins = _twins(images)
        np.save(file := BytesIO(), twins)
        write_whole(path, file.getvalue())
    return twins if twins.shape == images.shape[:1] else _twins(images)


def _twins(images: np.ndarray) -> np.ndarray:
    """(N,) int64: for each picture the first one of the same pixels, which is itself where there is no other."""
    first: dict[bytes, int] = {}
    hashes = (hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in images)
    return np.array([first.setdefault(each, row) for row, each in enumerate(hashes)], np.int64)


def _official(listing: Listing, twins: np.ndarray) -> tuple[dict[str, np.ndarray], int]:
    """Indices of the given splits in random order, and how many pictures were left out of one.

    A picture that is also in the test split is in no other, and one that is in validation is not trained on.
    """
    parts, random = np.array(listing.parts), np.random.default_rng(0)
    official: dict[str, np.ndarray] = {}
    taken, doubled = np.array([], np.int64), 0
    for part in ("test", "validation", "train"):
        rows = np.flatnonzero(parts == part)
        kept = rows[~np.isin(twins[rows], taken)]
        if len(rows):
            official[part] = random.permutation(kept)
        taken, doubled = np.union1d(taken, twins[rows]), doubled + len(rows) - len(kept)
    return official, doubled
