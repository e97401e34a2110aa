"""Colour and marker of each method, the same in every figure; references are grey."""

from collections.abc import Sequence
from zlib import crc32

import seaborn as sns
from matplotlib.colors import to_rgb

from benchmark.records.record import Record
from methods import METHODS

Colour = tuple[float, float, float]

HUES = ("#165ed8", "#af1500", "#0ea154", "#6a00ff", "#b88f00", "#159fd2", "#ff3bc8", "#8b417c")
"""Hues of the first methods of the families, in the order of the registry; colour-blind readers can tell any two."""
STEP = 3
"""Hues from one method of a family to the next, so that neighbours differ; no divisor of the number of hues."""
GREYS = (0.65, 0.3, 0.5, 0.15)
MARKERS = "os^Dv<>PX*ph"
"""Markers of the methods of a family: methods of two families that share a hue differ in them."""
REFERENCES = "references"
OTHERS = "others"
"""Family of methods that are not registered, such as those of other programs."""


def family_of(method: str, *, reference: bool) -> str:
    """The family of a method."""
    if reference:
        return REFERENCES
    return METHODS[method].family.rpartition(".")[2].replace("_", "-") if method in METHODS else OTHERS


def families_of(records: Sequence[Record]) -> dict[str, list[str]]:
    """Family -> its methods, in the order of the records; references last."""
    found: dict[str, list[str]] = {}
    for record in sorted(records, key=lambda record: record.reference):
        methods = found.setdefault(family_of(record.method, reference=record.reference), [])
        if record.method not in methods:
            methods.append(record.method)
    return found


def look(method: str, *, reference: bool) -> tuple[Colour, str]:
    """Colour and marker of a method: by its place in the registry, or by its name if it is not registered."""
    family = family_of(method, reference=reference)
    number = crc32(method.encode())
    if method not in METHODS:
        part = number / 2**32
        grey = 0.15 + 0.55 * part
        return (grey, grey, grey) if reference else sns.husl_palette(1, h=part)[0], MARKERS[number % len(MARKERS)]
    peers: dict[str, list[str]] = {}
    for name, entry in METHODS.items():
        peers.setdefault(family_of(name, reference=entry.reference), []).append(name)
    place = peers[family].index(method)
    marker = MARKERS[place % len(MARKERS)]
    if reference:
        grey = GREYS[place % len(GREYS)]
        return (grey, grey, grey), marker
    hues = [name for name in peers if name != REFERENCES]
    return to_rgb(HUES[(hues.index(family) + STEP * place) % len(HUES)]), marker
