"""Avatars as pictures: attributes and noise -> parts and colours -> SVG -> pixels.

The parts are from the avataaars artwork by Pablo Stanley, as shipped with python-avatars; wrinkles, lashes and cheeks
are ours. The SVG's own view box does the cropping, so no picture is ever resized.
"""

import colorsys
import io
import os
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

import numpy as np
import python_avatars as pa
import resvg_py
from joblib import Parallel, delayed
from PIL import Image

from benchmark.data.avatars_model import COLUMNS, NAMES, Faces
from benchmark.errors import UserError

CHUNK = 250
"""Faces that a process draws between reports of progress; fewer faces are drawn without extra processes."""
CENTRE = (132.0, 114.0)
"""A point between the eyes and the mouth, in units of the artwork."""
CROP = (150.0, 162.0)
"""Smallest and largest side of the visible square: the face fills it, as in CelebA's crop."""
SHIFT = (5.0, 4.0)
"""Largest shift of the square, across and down."""

LONG = ("BOB", "CURLY", "CURVY", "LONG_NOT_TOO_LONG", "MIA_WALLACE", "STRAIGHT_1", "STRAIGHT_STRAND")
SHORT = ("CAESAR", "CAESAR_SIDE_PART", "SHORT_CURLY", "SHORT_DREADS_1", "SHORT_FLAT", "SHORT_ROUND", "SHORT_WAVED")
MOVES: Mapping[str, tuple[tuple[int, int], tuple[int, int]]] = MappingProxyType(
    {
        **dict.fromkeys(("CURLY", "LONG_NOT_TOO_LONG", "STRAIGHT_STRAND"), ((-1, 0), (-1, 0))),
        **dict.fromkeys(("SHORT_ROUND", "SHORT_WAVED"), ((-1, 0), (-1, 0))),
        "SHORT_CURLY": ((-1, 0), (-1, 1)),
    }
)
"""Hair -> how far it moves the beard and the glasses, across and down, in units of the artwork."""
HEAVY_BROWS = ("DEFAULT_NATURAL", "FLAT_NATURAL")
FINE_BROWS = ("DEFAULT", "RAISED_EXCITED")
GLASSES = ("PRESCRIPTION_1", "PRESCRIPTION_2", "ROUND")
BEARDS = ("BEARD_LIGHT", "BEARD_MEDIUM")
EYES = ("DEFAULT", "DEFAULT", "SIDE")
CLOTHES = ("SHIRT_CREW_NECK", "SHIRT_V_NECK", "HOODIE", "COLLAR_SWEATER")
MOUTHS = (("SAD", "CONCERNED", "SERIOUS"), ("DEFAULT", "SMILE"))
"""Not smiling, smiling."""

SKIN = ("#edb98a", "#d08b5b", "#ae5d29", "#8d5524", "#c68642")
PALE_SKIN = ("#ffe3d3", "#fbd9c6")
GRAY, BLACK, BLOND = "#b4b4b0", "#26221f", "#dcb85c"
BROWN = ("#724133", "#54341f")

FOREHEAD = "M108,73 Q132,66 156,73 M105,82 Q132,75 159,82"
BAGS = "M96,125 Q106,132 116,125 M148,125 Q158,132 168,125"
FOLDS = "M112,139 Q104,146 104,157 M152,139 Q160,146 160,157"
WRINKLES = ((FOREHEAD + BAGS + FOLDS, BAGS + FOLDS), ("",))
"""Not young, young."""
LASHES = "M98,109 l-8,-5 M166,109 l8,-5"
STROKE = '<path d="{}" fill="none" stroke="#000" stroke-opacity="{}" stroke-width="{}" stroke-linecap="round"/>'
CHEEKS = "".join(f'<ellipse cx="{x}" cy="137" rx="12" ry="9" fill="#e8506a" fill-opacity=".5"/>' for x in (93, 171))
BEHIND_HAIR = '<g id="transparent_Top"'
HEADER = (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
    'width="{size}" height="{size}" viewBox="{x} {y} {side} {side}">'
)

T = TypeVar("T")


def render(
    faces: Faces, advance: Callable[[int, int], None] = lambda *_: None, numbers: np.ndarray | None = None
) -> np.ndarray:
    """The pictures of N faces, (N, 3, size, size) uint8; drawn in several processes if there are many.

    Parameters
    ----------
    faces
        The N faces.
    advance
        Called with (done, N).
    numbers
        Numbers of the faces in error messages, (N,); by default counted from 0.

    Raises
    ------
    UserError
        If a face cannot be drawn, naming the first.
    """
    numbers = np.arange(len(faces)) if numbers is None else numbers
    chunks = [np.arange(start, min(start + CHUNK, len(faces))) for start in range(0, len(faces), CHUNK)]
    images = np.empty((len(faces), 3, faces.config.size, faces.config.size), np.uint8)
    workers = min(len(chunks), os.cpu_count() or 1)
    # Drawing holds the interpreter lock, so processes, not threads.
    pool = Parallel(n_jobs=max(workers, 1), return_as="generator")
    drawn = pool(delayed(_draw_all)(faces.take(chunk), numbers[chunk]) for chunk in chunks)
    for chunk, pictures in zip(chunks, drawn, strict=True):
        images[chunk] = pictures
        advance(int(chunk[-1]) + 1, len(faces))
    return images


def _draw_all(faces: Faces, numbers: np.ndarray) -> np.ndarray:
    """(N, 3, size, size) uint8, one after another."""
    pictures = []
    for row, number in enumerate(numbers):
        has = dict(zip(NAMES, faces.attributes.iloc[row].tolist(), strict=True))
        before = dict(zip(NAMES, faces.seats.iloc[row].tolist(), strict=True))
        noise = dict(zip(COLUMNS, faces.noise.iloc[row].tolist(), strict=True))
        pictures.append(_draw(number, has, noise, _hair(before, noise), faces))
    return np.stack(pictures)


def _draw(number: int, has: Mapping[str, int], noise: Mapping[str, float], seat: str, faces: Faces) -> np.ndarray:
    """One picture, (3, size, size) uint8."""
    try:
        drawing = svg(has, noise, seat=seat, size=faces.config.size, evidence=faces.config.evidence)
        png = resvg_py.svg_to_bytes(svg_string=drawing, background=_background(noise), skip_system_fonts=True)
        with Image.open(io.BytesIO(bytes(png))) as image:
            return np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    except Exception as error:  # anything that python-avatars, resvg or Pillow raises
        raise UserError(
            f"face {number} of avatars cannot be drawn ({error}): install python-avatars 1.4.1 and resvg-py 0.5.0 again"
        ) from error


def svg(has: Mapping[str, int], noise: Mapping[str, float], *, seat: str, size: int, evidence: float) -> str:
    """One face as SVG, without its background.

    Parameters
    ----------
    has
        The attributes, by name.
    noise
        The exogenous noise, by name.
    seat
        The hair that places the beard and the glasses.
    size
        Side in pixels.
    evidence
        Probability that mouth and wrinkles show the face's own class.
    """
    skin = _of(PALE_SKIN, noise["pale_skin"]) if has["Pale_Skin"] else _of(SKIN, noise["skin"])
    hair, colour = _hair(has, noise), _hair_colour(has, noise)
    avatar = pa.Avatar(
        style=pa.AvatarStyle.TRANSPARENT,
        top=pa.HairType[hair],
        eyebrows=pa.EyebrowType[_of(HEAVY_BROWS if has["Male"] else FINE_BROWS, noise["brows"])],
        eyes=pa.EyeType[_of(EYES, noise["eyes"])],
        nose=pa.NoseType.DEFAULT,
        mouth=pa.MouthType[shown(MOUTHS, has["Smiling"], noise["mouth"], evidence)],
        facial_hair=pa.FacialHairType.NONE if has["No_Beard"] else pa.FacialHairType[_of(BEARDS, noise["beard"])],
        skin_color=skin,
        hair_color=colour,
        facial_hair_color=colour,
        accessory=pa.AccessoryType[_of(GLASSES, noise["glasses"])] if has["Eyeglasses"] else pa.AccessoryType.NONE,
        clothing=pa.ClothingType[_of(CLOTHES, noise["clothes"])],
        clothing_color=_colour(noise["clothes_hue"], 0.25 + 0.4 * noise["clothes_light"], 0.45),
    )
    _, _, body = avatar.render().partition("<svg")
    _, _, body = body.partition(">")
    face, top, rest = body.partition(BEHIND_HAIR)
    return _header(noise, size) + face + _ours(has, noise, evidence) + top + _seated(rest, hair, seat)


def _seated(top: str, hair: str, seat: str) -> str:
    """The group of `hair`, with the beard and the glasses placed as the hair `seat` places them."""
    here, there = (MOVES.get(name, ((0, 0), (0, 0))) for name in (hair, seat))
    for group, own, wanted in zip(("Facial-Hair", "Accessory"), here, there, strict=True):
        place = re.search(rf'_{group}" transform="translate\(([\d.]+), ([\d.]+)\)', top)
        if own != wanted and place:
            x, y = (float(at) + by - already for at, by, already in zip(place.groups(), wanted, own, strict=True))
            top = top.replace(place[0], f'_{group}" transform="translate({x}, {y})')
    return top


def shown(halves: tuple[Sequence[T], Sequence[T]], value: int, uniform: float, evidence: float) -> T:
    """The part that shows an attribute: with probability `evidence` from the half of its value, else from the other.

    For the same `uniform`, the part for value 1 never comes before the part for value 0. So a counterfactual never
    changes in the wrong direction, though under graded evidence it may not change at all.
    """
    upper = evidence if value else 1 - evidence
    if uniform >= 1 - upper:
        return _of(halves[1], (uniform - (1 - upper)) / upper)
    return _of(halves[0], uniform / (1 - upper))


def _of(choices: Sequence[T], uniform: float) -> T:
    return choices[min(int(uniform * len(choices)), len(choices) - 1)]


def _header(noise: Mapping[str, float], size: int) -> str:
    """The opening tag: the view box crops, moves and scales."""
    side = CROP[0] + (CROP[1] - CROP[0]) * noise["scale"]
    moved = (SHIFT[0] * (2 * noise["across"] - 1), SHIFT[1] * (2 * noise["down"] - 1))
    x, y = (middle + by - side / 2 for middle, by in zip(CENTRE, moved, strict=True))
    return HEADER.format(size=size, x=x, y=y, side=side)


def _hair(has: Mapping[str, int], noise: Mapping[str, float]) -> str:
    if has["Bald"]:
        return "SIDES"
    return _of(SHORT, noise["short_hair"]) if has["Male"] else _of(LONG, noise["long_hair"])


def _hair_colour(has: Mapping[str, int], noise: Mapping[str, float]) -> str:
    named = {"Gray_Hair": GRAY, "Black_Hair": BLACK, "Blond_Hair": BLOND}
    base = next((colour for name, colour in named.items() if has[name]), _of(BROWN, noise["brown_hair"]))
    by = round(24 * (noise["hair_jitter"] - 0.5))
    return "#" + "".join(f"{max(0, min(255, int(base[i : i + 2], 16) + by)):02x}" for i in (1, 3, 5))


def _ours(has: Mapping[str, int], noise: Mapping[str, float], evidence: float) -> str:
    """Cheeks, wrinkles and lashes, on the skin and behind hair and glasses."""
    cheeks = CHEEKS if has["Rosy_Cheeks"] else ""
    wrinkles = STROKE.format(shown(WRINKLES, has["Young"], noise["wrinkles"], evidence), 0.4, 3)
    lashes = "" if has["Male"] else STROKE.format(LASHES, 0.8, 3)
    return cheeks + wrinkles + lashes


def _background(noise: Mapping[str, float]) -> str:
    """A muted colour."""
    return _colour(noise["background_hue"], 0.45 + 0.35 * noise["background_light"], 0.18)


def _colour(hue: float, lightness: float, saturation: float) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in colorsys.hls_to_rgb(hue, lightness, saturation))
