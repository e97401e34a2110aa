"""The colours of the methods on a light and on a dark page: those of all figures, as far as they can be told there."""

from matplotlib.colors import to_hex

from benchmark.report.looks import Colour, look

LIGHT, DARK = (1.0, 1.0, 1.0), (0.09, 0.1, 0.12)
"""What a page's charts are drawn on."""
CONTRAST = 3.0
"""Of a line to what it is drawn on (WCAG 2.1, 1.4.11)."""
STEP = 0.05


def colours_of(method: str, *, reference: bool) -> tuple[str, str]:
    """The colour of a method on a light and on a dark page, as #rrggbb."""
    colour, _ = look(method, reference=reference)
    return to_hex(readable(colour, LIGHT)), to_hex(readable(colour, DARK))


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
