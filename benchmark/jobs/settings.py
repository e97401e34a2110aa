"""Settings of a run, resolved from defaults, presets and ``--set``."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchmark.data.avatars_model import PRESETS as AVATARS_PRESETS
from benchmark.data.avatars_model import AvatarsConfig
from benchmark.errors import UserError, unknown
from benchmark.judges.attributes import PRESETS as ATTRIBUTES_PRESETS
from benchmark.judges.attributes import AttributesConfig
from benchmark.judges.autoencoders import PRESETS as AUTOENCODER_PRESETS
from benchmark.judges.autoencoders import AutoencoderConfig
from benchmark.judges.classifier import PRESETS as CLASSIFIER_PRESETS
from benchmark.judges.classifier import ClassifierConfig
from benchmark.judges.panel import PANEL
from methods import METHODS
from methods.base import MethodConfig

Overrides = Mapping[str, Mapping[str, Any]]
"""Section (a method, or one of `SECTIONS`) -> field -> value."""

C = TypeVar("C", bound=BaseModel)


class DataConfig(BaseModel):
    """How many images a run uses."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    train_images: int | None = Field(None, gt=0, description="maximal number of training images; null: all")
    queries: int = Field(1000, gt=0, description="maximal number of queries: the first of the split")
    probes: int = Field(
        100, gt=0, le=250, description="maximal number of queries for composition, reversibility, diversity and COUT"
    )


DATA_PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "smoke": {"train_images": 600, "queries": 60, "probes": 10},
        "faces": {"queries": 500, "probes": 50},
        "paper": {"queries": 2048},
    }
)


def parse_overrides(assignments: Iterable[str]) -> dict[str, dict[str, Any]]:
    """``["vaex.epochs=30"]`` as ``{"vaex": {"epochs": 30}}``; values are parsed as JSON, or else taken as text.

    Raises
    ------
    UserError
        For an assignment of another form, or an unknown section.
    """
    overrides: dict[str, dict[str, Any]] = {}
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        section, dot, name = path.partition(".")
        if not (equals and dot and name):
            raise UserError(f"--set takes section.field=value, as in --set vaex.epochs=30, not '{assignment}'")
        if section not in {**METHODS, **SECTIONS}:
            raise unknown("section in --set", section, [*METHODS, *SECTIONS])
        overrides.setdefault(section, {})[name] = _value(text)
    return overrides


def _value(text: str) -> Any:  # noqa: ANN401 - whatever JSON can hold
    try:
        return json.loads(re.sub(r"^(-?)\.", r"\g<1>0.", text))  # .9 is a number to everyone but JSON
    except (ValueError, RecursionError):
        return text


def resolve(section: str, config: type[C], preset: Mapping[str, Any], overrides: Overrides) -> C:
    """The defaults of `config`, then what the preset changes, then what the user sets.

    Raises
    ------
    UserError
        For an unknown field, or a value of the wrong type or range.
    """
    asked = overrides.get(section, {})
    for name in asked:
        if not config.model_fields:
            raise UserError(f"--set {section}.{name}: {section} has no settings")
        if name not in config.model_fields:
            raise unknown(f"setting of {section}", name, config.model_fields)
    try:
        base = config.model_validate(dict(preset)).model_dump(mode="json")
        return config.model_validate_json(json.dumps({**base, **asked}), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"][:1])
        setting = f"{name} = {json.dumps(asked[name])} is" if name in asked else "together its settings are"
        reason = first["msg"].removeprefix("Value error, ")
        raise UserError(f"--set {section}: {setting} refused: {reason}") from error


def method_config(name: str, preset: str, overrides: Overrides, channels: int = 1) -> MethodConfig:
    """The resolved settings of the method registered as `name`, for images with `channels` channels.

    The defaults are for small grey images; for images in colour the default preset applies a class's "faces".
    """
    entry = METHODS[name]
    method = entry.load()
    preset = _part(preset, channels)
    return resolve(name, method.Config, {**method.presets.get(preset, {}), **entry.settings}, overrides)


def _part(preset: str, channels: int) -> str:
    """The key in a class's presets: the preset, or "faces" for the default preset in colour."""
    return "faces" if preset == "default" and channels > 1 else preset


@dataclass(frozen=True)
class Section(Generic[C]):
    """A section of ``--set`` that is no method: its settings, and the presets that change them."""

    name: str
    config: type[C]
    presets: Mapping[str, Mapping[str, Any]]
    own: Mapping[str, Any] = field(default_factory=dict)
    """Settings of this section that differ from its class's defaults under every preset."""

    def resolved(self, preset: str, overrides: Overrides, channels: int = 1) -> C:
        """The resolved settings for images with `channels` channels, as `method_config`."""
        changes = self.presets.get(_part(preset, channels), {})
        return resolve(self.name, self.config, {**self.own, **changes}, overrides)


DATA = Section("data", DataConfig, DATA_PRESETS)
AVATARS = Section("avatars", AvatarsConfig, AVATARS_PRESETS)
CLASSIFIER = Section("classifier", ClassifierConfig, CLASSIFIER_PRESETS)
ORACLES: Mapping[str, Section[ClassifierConfig]] = MappingProxyType(
    {role: Section("oracle", ClassifierConfig, member.presets, member.own) for role, member in PANEL.items()}
)
"""Role of each member of the panel -> its settings; one section of ``--set`` changes all members."""
AUTOENCODERS = Section("autoencoders", AutoencoderConfig, AUTOENCODER_PRESETS)
ATTRIBUTE_ORACLES = Section("attributes", AttributesConfig, ATTRIBUTES_PRESETS)
_SECTIONS: tuple[Section[Any], ...] = (CLASSIFIER, *ORACLES.values(), AUTOENCODERS, ATTRIBUTE_ORACLES, DATA, AVATARS)
SECTIONS: Mapping[str, Section[Any]] = MappingProxyType({section.name: section for section in _SECTIONS})


def source_settings(data_set: str, preset: str, overrides: Overrides) -> BaseModel | None:
    """Settings for drawing the images of `data_set`; None if they are read from files."""
    return AVATARS.resolved(preset, overrides) if data_set == AVATARS.name else None


def check_overrides(methods: Iterable[str], preset: str, overrides: Overrides) -> None:
    """Raise UserError for a bad setting, before any computation."""
    asked = dict.fromkeys([*methods, *(section for section in overrides if section in METHODS)])
    for channels in (1, 3):
        for name in asked:
            method_config(name, preset, overrides, channels)
        for section in SECTIONS.values():
            section.resolved(preset, overrides, channels)
