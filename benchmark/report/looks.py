"""Colour and marker of each method, the same in every figure: one hue per family, grey for references."""

from collections.abc import Sequence
from zlib import crc32

import seaborn as sns
from matplotlib.colors import to_rgb

from benchmark.records.record import Record
from methods import METHODS

Colour = tuple[float, float, float]

HUES = ("#0173b2", "#d55e00", "#029e73", "#9b59b6", "#8c6239", "#56b4e9", "#c8a000", "#e377c2")
"""Hues of the families in the order of the registry; they also differ in lightness, for colour-blind readers."""
SHADES = (0.0, 0.4, -0.4, 0.2, -0.2)
"""Shades of the methods of a family: the share of white mixed in (of black, below 0)."""
GREYS = (0.65, 0.3, 0.5, 0.15)
MARKERS = "os^Dv<>PX*ph"
"""Markers of the methods of a family; their number and the shades' differ, so equal shades get unequal markers."""
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
    return _shade(HUES[hues.index(family) % len(HUES)], SHADES[place % len(SHADES)]), marker


def _shade(hue: str, mixed: float) -> Colour:
    """A hue mixed with white, or below 0 with black."""
    end, part = float(mixed > 0), abs(mixed)
    red, green, blue = ((1 - part) * value + part * end for value in to_rgb(hue))
    return red, green, blue
