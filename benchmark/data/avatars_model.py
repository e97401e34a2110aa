"""The structural causal model of the avatars: exogenous noise -> attributes.

Every face is a row of independent uniform numbers. The table `ATTRIBUTES` turns them into attributes, each with its
parents; `benchmark/data/avatars_drawing.py` turns attributes and the rest of the numbers into a picture. A
counterfactual keeps the row and changes an attribute, so it is exact.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

Box = tuple[float, float, float, float]
"""Left, upper, right, lower, in units of the artwork, which is 264 wide and 280 high."""


@dataclass(frozen=True)
class Attribute:
    """One line of the model."""

    name: str
    """Name of the attribute; CelebA's, if the meaning is the same."""
    parents: tuple[str, ...]
    probability: Mapping[tuple[int, ...], float]
    """Values of the parents, in their order -> probability that the attribute is 1."""
    draws: str
    """How the attribute looks, in words."""
    box: Box | None = None
    """Box in which the attribute is drawn; None for hair and skin, which have no fixed place."""


ATTRIBUTES = (
    Attribute("Male", (), {(): 0.5}, "short or long hair, heavy or fine brows, no lashes or lashes"),
    Attribute("Young", (), {(): 0.5}, "no wrinkles, or wrinkles", (80, 62, 184, 166)),
    Attribute("Smiling", (), {(): 0.5}, "the mouth", (104, 136, 160, 178)),
    Attribute("Eyeglasses", (), {(): 0.5}, "glasses", (62, 84, 202, 144)),
    Attribute("Pale_Skin", (), {(): 0.2}, "the skin's colour"),
    Attribute("No_Beard", ("Male",), {(0,): 0.99, (1,): 0.5}, "no beard, or a beard", (72, 92, 194, 198)),
    Attribute(
        "Bald",
        ("Male", "Young"),
        {(0, 0): 0.02, (0, 1): 0.02, (1, 0): 0.4, (1, 1): 0.05},
        "hair at the sides only, for any hair",
    ),
    Attribute("Gray_Hair", ("Young",), {(0,): 0.5, (1,): 0.05}, "the colour of hair and beard"),
    Attribute("Black_Hair", ("Gray_Hair",), {(0,): 0.35, (1,): 0.0}, "the same"),
    Attribute(
        "Blond_Hair",
        ("Gray_Hair", "Black_Hair"),
        {(0, 0): 0.45, (0, 1): 0.0, (1, 0): 0.0, (1, 1): 0.0},
        "the same; brown hair is none of the three",
    ),
    Attribute("Rosy_Cheeks", ("Male",), {(0,): 0.5, (1,): 0.2}, "the cheeks", (78, 126, 186, 150)),
)
"""The model, parents before their children."""

HALF: Mapping[tuple[int, ...], float] = {(): 0.5}
_ATTRIBUTE = {attribute.name: attribute for attribute in ATTRIBUTES}
NAMES = tuple(attribute.name for attribute in ATTRIBUTES)
HAIR_COLOURS = ("Gray_Hair", "Black_Hair", "Blond_Hair")
"""Attributes that exclude each other: setting one clears the others."""
NUISANCES = (
    *("mouth", "wrinkles", "long_hair", "short_hair", "brows", "glasses", "beard", "eyes"),
    *("skin", "pale_skin", "hair_jitter", "brown_hair", "clothes", "clothes_hue", "clothes_light"),
    *("background_hue", "background_light", "across", "down", "scale"),
)
"""Nuisances: other features of the picture, and variants in drawing an attribute; no attribute causes them."""
COLUMNS = (*NAMES, *NUISANCES)
"""The exogenous noise: one uniform number in [0, 1) each."""


class AvatarsConfig(BaseModel):
    """Settings of the data set `avatars`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    size: Literal[33, 65, 129] = Field(65, description="side in pixels")
    count: int = Field(10_000, gt=0, description="faces")
    seed: int = Field(0, ge=0, description="seed of the faces: the first n are the same for any count")
    confounding: str = Field(
        "",
        description='"Eyeglasses-Young": Eyeglasses depends on Young alone, and is its opposite with probability '
        '`strength`; "": no such dependence',
    )
    strength: float = Field(
        0.9, ge=0, le=1, description="probability that a confounded attribute is the opposite of the other; .5: none"
    )
    evidence: float = Field(
        1.0,
        ge=0.5,
        le=1,
        description="probability that the mouth and the wrinkles show the face's own class, and so the best possible "
        "accuracy: 1 is clear, less is graded",
    )
    independent: bool = Field(
        False, description="whether attributes are independent, except that colours of hair exclude each other"
    )
    descendants: bool = Field(
        False, description="whether an attribute's descendants follow in the exact counterfactuals"
    )

    @model_validator(mode="after")
    def _can_be_confounded(self) -> Self:
        if not self.confounding:
            return self
        child, _, parent = self.confounding.partition("-")
        free = [name for name in NAMES if name not in HAIR_COLOURS]
        if child not in free or parent not in free[: free.index(child)]:
            raise ValueError(
                f"'{self.confounding}' is not child-parent of two of {', '.join(free)}, with the parent earlier in them"
            )
        if self.independent:
            raise ValueError("faces whose attributes are all independent cannot be confounded")
        return self

    def attributes(self) -> tuple[Attribute, ...]:
        """The model under these settings."""
        if self.independent:
            colours = {"Gray_Hair": replace(_ATTRIBUTE["Gray_Hair"], parents=(), probability={(): 0.25})}
            return tuple(
                colours.get(own.name, own if own.name in HAIR_COLOURS else replace(own, parents=(), probability=HALF))
                for own in ATTRIBUTES
            )
        child, _, parent = self.confounding.partition("-")
        opposite: Mapping[tuple[int, ...], float] = {(0,): self.strength, (1,): 1 - self.strength}
        return tuple(
            replace(own, parents=(parent,), probability=opposite) if own.name == child else own for own in ATTRIBUTES
        )


PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {"smoke": {"size": 33, "count": 1000}, "paper": {"size": 129}}
)
"""Preset -> the settings in which it differs."""


@dataclass(frozen=True)
class Faces:
    """Faces before they are drawn, the input of `render`."""

    config: AvatarsConfig
    noise: pd.DataFrame
    """(N, len(COLUMNS)) float64 in [0, 1): the exogenous noise."""
    attributes: pd.DataFrame
    """(N, len(NAMES)) int8 of 0 and 1."""
    seats: pd.DataFrame
    """(N, len(NAMES)): the attributes whose hair places beard and glasses, as in the artwork hair moves them a little.
    They are the face's own, except in a counterfactual without descendants, which keeps the original face's."""

    def __len__(self) -> int:
        return len(self.noise)

    def take(self, indices: np.ndarray) -> "Faces":
        """The faces at `indices` (n,), in that order, numbered anew."""
        frames = (self.noise, self.attributes, self.seats)
        parts = (frame.iloc[indices].reset_index(drop=True) for frame in frames)
        return Faces(self.config, *parts)


def sample_faces(config: AvatarsConfig) -> Faces:
    """`config.count` faces of the model; the same settings give the same faces to the bit."""
    uniform = np.random.default_rng(config.seed).random((config.count, len(COLUMNS)))
    noise = pd.DataFrame(uniform, columns=list(COLUMNS))
    attributes = _attributes(config, noise, {})
    return Faces(config, noise, attributes, seats=attributes)


def counterfactual(faces: Faces, do: Mapping[str, int | np.ndarray], *, descendants: bool | None = None) -> Faces:
    """The same faces with some attributes set: the noise is kept, so nuisances stay as they were.

    Colours of hair exclude each other: a colour set to 1 sets the others to 0, with or without `descendants`.

    Parameters
    ----------
    faces
        The N faces.
    do
        Attribute -> its value, 0 or 1, or one for each face, (N,).
    descendants
        False: nothing else changes. True: the descendants of these attributes follow, ignoring earlier settings. None:
        as the faces' settings say.

    Returns
    -------
    Faces
        The N counterfactual faces, in the same order; `render` draws them.

    Raises
    ------
    KeyError
        For an unknown attribute.
    ValueError
        For a value other than 0 and 1, and if two colours of hair are set to 1 at once.
    """
    follow = faces.config.descendants if descendants is None else descendants
    if unknown := do.keys() - set(NAMES):
        raise KeyError(f"no attributes of avatars: {', '.join(sorted(unknown))}")
    if wrong := [name for name, value in do.items() if not np.isin(value, (0, 1)).all()]:
        raise ValueError(f"attributes of avatars are 0 or 1: {', '.join(wrong)}")
    values = {name: np.broadcast_to(np.asarray(value, np.int8), len(faces)) for name, value in do.items()}
    if (np.sum([values[name] for name in HAIR_COLOURS if name in values], axis=0) > 1).any():
        raise ValueError("hair has one colour: of Gray_Hair, Black_Hair and Blond_Hair one can be set to 1")
    kept = {} if follow else {name: faces.attributes[name].to_numpy() for name in NAMES}
    found = _attributes(faces.config, faces.noise, {**kept, **values})
    for name in set(values) & set(HAIR_COLOURS):
        others = [other for other in HAIR_COLOURS if other != name]
        found.loc[values[name] == 1, others] = 0
    return replace(faces, attributes=found, seats=found if follow else faces.seats)


def _attributes(config: AvatarsConfig, noise: pd.DataFrame, given: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """(N, A) int8: each attribute as `given`, or else from its parents and its noise."""
    found: dict[str, np.ndarray] = {}
    for attribute in config.attributes():
        if attribute.name in given:
            found[attribute.name] = given[attribute.name]
            continue
        probability = np.zeros(len(noise))
        for values, p in attribute.probability.items():
            pairs = zip(attribute.parents, values, strict=True)
            here = np.all([found[parent] == value for parent, value in pairs], axis=0)
            probability = np.where(here, p, probability)
        found[attribute.name] = noise[attribute.name].to_numpy() < probability
    return pd.DataFrame(found).astype(np.int8)
