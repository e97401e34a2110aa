"""What a reader of numbers has to know of a user's own pictures: what was passed over, changed and left out."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from benchmark.data.decoding import Facts
from benchmark.data.folder_config import FolderConfig, Size
from benchmark.data.listing import Listing

DARK = 64
"""The highest level, of 255, of pictures that hold 14 bits or fewer in files of 16."""


def remarks_of(
    listing: Listing, facts: Sequence[Facts], chosen: FolderConfig, twins: np.ndarray, doubled: int
) -> tuple[str, ...]:
    """A sentence each.

    Parameters
    ----------
    listing, facts
        The pictures that are used, and what there is to know of each.
    chosen
        The settings with size and channels decided.
    twins
        (N,) int64: the first picture that is identical to each.
    doubled
        How many were left out of a given split, because another one has them.

    """
    return (*_on_files(listing, facts), *_on_pixels(facts, chosen), *_on_twins(listing, twins, doubled))


def counted(number: int, what: str) -> str:
    """The number and the noun, in the plural where it is one."""
    return f"{number} {what}" + "s" * (number != 1)


def _on_files(listing: Listing, facts: Sequence[Facts]) -> list[str]:
    remarks = []
    if listing.passed_over:
        what = ", ".join(f"{kind} ({number})" for kind, number in listing.passed_over.items())
        remarks.append(f"passed over: {what}")
    if several := sum(fact.frames > 1 for fact in facts):
        remarks.append(f"the first frame alone is taken of {counted(several, 'file')} with several")
    return remarks


def _on_pixels(facts: Sequence[Facts], chosen: FolderConfig) -> list[str]:
    """What was done to sizes and colours."""
    assert chosen.size is not None  # noqa: S101 - it was decided
    remarks, grey = [], sum(fact.grey for fact in facts)
    if transparent := sum(fact.transparent for fact in facts):
        remarks.append(f"{counted(transparent, 'transparent picture')} set on white")
    if facts and (brightest := max(fact.brightest for fact in facts)) <= DARK:
        remarks.append(
            f"no pixel is brighter than {brightest} of 255: if these are, say, 12-bit pictures in 16-bit files, "
            "scale them to all 16 bits"
        )
    if chosen.channels == 1 and grey < len(facts):
        remarks.append(f"{counted(len(facts) - grey, 'colour picture')} read as grey")
    if chosen.channels == 3 and grey:
        remarks.append(f"{counted(grey, 'grey picture')} read as colour")
    sizes = Counter((fact.width, fact.height) for fact in facts)
    if set(sizes) != {chosen.size}:
        least, most = (f"{size[0]} x {size[1]}" for size in (min(sizes, key=_area), max(sizes, key=_area)))
        had = f"of {least}" if len(sizes) == 1 else f"of {len(sizes)} sizes, {least} to {most},"
        how = {
            "crop": "cropped to their middle and resized",
            "fit": "fitted with black margins",
            "stretch": "stretched",
        }
        width, height = chosen.size
        remarks.append(f"pictures {had} {how[chosen.resize]} to {width} x {height} pixels (--image-size, --resize)")
    return remarks


def _area(size: Size) -> int:
    return size[0] * size[1]


def _on_twins(listing: Listing, twins: np.ndarray, doubled: int) -> list[str]:
    """Identical pictures: how many, whether they have two labels, and what was left out for them."""
    remarks, copies = [], np.flatnonzero(twins != np.arange(len(twins)))
    if len(copies):
        remarks.append(f"{counted(len(copies), 'picture')} identical to another one; no two splits share them")
    if disagreeing := int((listing.labels[copies] != listing.labels[twins[copies]]).sum()):
        remarks.append(f"{disagreeing} of them in another class than the first of the kind: one of the labels is wrong")
    if doubled:
        remarks.append(
            f"{counted(doubled, 'picture')} left out of training or validation, because test or validation has it"
        )
    return remarks
