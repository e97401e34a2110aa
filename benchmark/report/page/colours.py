"""Colours and marks of the methods on a light and a dark page: those of all figures, if they can be told there."""

from math import cos, pi, sin

from matplotlib.colors import to_hex

from benchmark.report.looks import Colour, look

LIGHT, DARK = (1.0, 1.0, 1.0), (0.09, 0.1, 0.12)
"""What a page's charts are drawn on."""
CONTRAST = 3.0
"""Of a line to what it is drawn on (WCAG 2.1, 1.4.11)."""
STEP = 0.05
SHAPES = {
    "o": (24, 0, 1),
    "s": (4, 45, 1),
    "^": (3, 0, 1),
    "D": (4, 0, 1),
    "v": (3, 180, 1),
    "<": (3, 270, 1),
    ">": (3, 90, 1),
    "P": (4, 0, 0.4),
    "X": (4, 45, 0.4),
    "*": (5, 0, 0.45),
    "p": (5, 0, 1),
    "h": (6, 0, 1),
}
"""Marker -> its corners, how far they are turned (degrees), and how far from the middle it is between two of them."""


def colours_of(method: str, *, reference: bool) -> tuple[str, str]:
    """The colour of a method on a light and on a dark page, as #rrggbb."""
    colour, _ = look(method, reference=reference)
    return to_hex(readable(colour, LIGHT)), to_hex(readable(colour, DARK))


def mark_of(method: str, *, reference: bool) -> str:
    """The corners of a method's marker, no further than 1 from the middle, as an SVG polygon's points."""
    corners, turned, waist = SHAPES[look(method, reference=reference)[1]]
    rays = [(pi * (step / corners + turned / 180), waist if step % 2 else 1) for step in range(2 * corners)]
    if waist == 1:
        rays = rays[::2]
    return " ".join(f"{far * sin(angle):.2f},{-far * cos(angle):.2f}" for angle, far in rays)


def readable(colour: Colour, ground: Colour) -> Colour:
    """A colour mixed with black or white, as little as it takes to be seen on the `ground`."""
    end = 0.0 if luminance(ground) > 0.5 else 1.0
    for step in range(int(1 / STEP) + 1):
        part = step * STEP
        red, green, blue = ((1 - part) * value + part * end for value in colour)
        if contrast((red, green, blue), ground) >= CONTRAST:
            break
    return red, green, blue


def contrast(one: Colour, other: Colour) -> float:
    """The contrast of two colours, in [1, 21], as WCAG 2.1 defines it."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: Colour) -> float:
    """Relative luminance of an sRGB colour, in [0, 1]."""
    red, green, blue = (value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
