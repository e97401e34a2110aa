"""What a user says of a classifier of their own: where it lies, what it wants to be fed, and what its outputs mean."""

import tomllib
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from benchmark.errors import UserError
from benchmark.records.store import file_digest, key_of

Positive = Annotated[int, Field(gt=0)]
Output = Literal["logits", "probabilities", "one-logit"]
TORCHVISION = "torchvision"
EXECUTING = {".pt2", ".pt", ".pth", ".ts", ".pkl", ".pickle", ".joblib", ".bin"}
"""Suffixes of files that are no classifier by themselves, or that execute code as they are read."""
SIDECAR = "model.toml"
"""The file beside a classifier that may hold the same keys as the options."""


class Input(BaseModel):
    """What a classifier wants to be fed; pictures come as (B, C, H, W) in [0, 1], red first."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    size: tuple[Positive, Positive] | None = Field(None, description="height and width in pixels; the pictures' own")
    channels: Literal[1, 3] | None = Field(None, description="1: grey, 3: colour; the pictures' own")
    range: tuple[float, float] = Field((0.0, 1.0), description="what black and white become")
    mean: tuple[float, ...] = Field((0.0,), description="subtracted from each channel, in that range")
    std: tuple[Annotated[float, Field(gt=0)], ...] = Field((1.0,), description="each channel is then divided by it")
    layout: Literal["nchw", "nhwc"] = Field("nchw", description="order of the dimensions")
    order: Literal["rgb", "bgr"] = Field("rgb", description="order of the channels")
    invert: bool = Field(False, description="whether white and black are swapped first")

    @model_validator(mode="after")
    def _range_rises(self) -> Self:
        if self.range[0] >= self.range[1]:
            raise ValueError("range goes from a smaller to a larger number, as in 0..255")
        if {len(self.mean), len(self.std)} - {1, self.channels or 3}:
            raise ValueError("mean and std have one number, or one for each channel")
        return self

    def text(self) -> str:
        """As the option takes it: only what differs from the defaults."""
        return " ".join(
            f"{name}={_written(name, value)}" for name, value in self.model_dump(exclude_defaults=True).items()
        )


def _written(name: str, value: Any) -> str:  # noqa: ANN401 - of any key
    if name == "size":
        return f"{value[1]}x{value[0]}"
    if isinstance(value, tuple):
        return (".." if name == "range" else ",").join(f"{part:g}" for part in value)
    return str(value).lower()


class ClassifierSpec(BaseModel):
    """A classifier of the user's own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    """`model.onnx`, `path/file.py:build`, `package.module:build`, or `torchvision:resnet18`."""
    weights: Path | None = None
    """safetensors, or a state dict that torch reads without executing code."""
    input: Input = Field(default_factory=Input)
    output: Output = "logits"
    columns: tuple[int, ...] | None = None
    """Outputs that are the classes, in the order of the classes; all of them."""
    classes: tuple[str, ...] | None = None
    """Names of these, if their order is not the data's."""
    classes_file: Path | None = None
    """Where these names were read from."""
    features: str = ""
    """The module whose output is φ."""
    trust_code: bool = False
    """Whether a file may be loaded that executes code as it is read."""

    @property
    def name(self) -> str:
        """What tables call it."""
        where, colon, function = self.source.partition(":")
        return f"{Path(where).name}{colon}{function}"

    def digest(self) -> str:
        """A hash of all that determines its answers: the contents of its files, and what was said of it."""
        files = [path for path in (self.file or self.code, self.weights) if path is not None]
        said = self.model_dump(mode="json", exclude={"source", "weights", "classes_file", "trust_code"})
        return key_of(name=self.name, files=[file_digest(path) for path in files], said=said)

    @property
    def onnx(self) -> bool:
        """Whether it is an ONNX file, which brings its weights and no Python."""
        return _suffix(self.source) == ".onnx"

    @property
    def runs_code(self) -> bool:
        """Whether Python that is neither ours nor torchvision's runs where it is loaded."""
        named = self.source.rpartition(":")[0] == TORCHVISION and _suffix(self.source) not in EXECUTING
        return not self.onnx and not named

    @property
    def code(self) -> Path | None:
        """The file of the code that builds it; None if it comes as it is."""
        where, colon, _ = self.source.rpartition(":")
        if not colon or where == TORCHVISION:
            return None
        if where.endswith(".py"):
            return Path(where)
        try:
            found = find_spec(where)
        except (ImportError, ValueError):
            return None
        return Path(found.origin) if found is not None and found.origin else None

    @property
    def file(self) -> Path | None:
        """The file that `source` names; None if it names a module of a package."""
        where, colon, _ = self.source.rpartition(":")
        if colon:
            return Path(where) if where.endswith(".py") else None
        return Path(self.source)


def _suffix(source: str) -> str:
    return Path(source).suffix.lower()


def _size(text: str) -> tuple[int, int]:
    """Height and width: "28", or "48x64" for 48 wide and 64 high."""
    width, x, height = text.partition("x")
    return int(height if x else width), int(width)


PIECES: Mapping[str, Callable[[str], Any]] = {
    "size": _size,
    "channels": int,
    "range": lambda text: tuple(map(float, text.split(".."))),
    "mean": lambda text: tuple(map(float, text.split(","))),
    "std": lambda text: tuple(map(float, text.split(","))),
    "layout": str,
    "order": str,
    "invert": lambda text: {"true": True, "false": False}[text],
}
"""Key of --input -> how its text is read."""


def parse_input(text: str) -> Input:
    """What --input says: "size=28 channels=1 range=0..1 mean=.1307 std=.3081 layout=nchw order=rgb".

    Raises
    ------
    UserError
        For an unknown key, and for a value that cannot be one.
    """
    found: dict[str, Any] = {}
    for piece in text.split():
        key, equals, value = piece.partition("=")
        if not equals or key not in PIECES:
            raise UserError(f"--input takes {', '.join(f'{known}=' for known in PIECES)}, not '{piece}'")
        try:
            found[key] = PIECES[key](value)
        except (ValueError, KeyError) as error:
            raise UserError(f"--input: '{value}' is no {key}") from error
    try:
        return Input(**found)
    except ValidationError as error:
        raise UserError(f"--input: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from error


def classifier_spec(source: str, **said: Any) -> ClassifierSpec:  # noqa: ANN401 - as the options have them
    """What is known of the classifier at `source`: from its `model.toml`, and above that what is `said`.

    Raises
    ------
    UserError
        If a file is not there, or something that is said cannot be.
    """
    beside = _sidecar(source)
    given = {name: value for name, value in said.items() if value not in (None, "", False)}
    known = {**beside, **given}
    if isinstance(known.get("input"), str):
        known["input"] = parse_input(known["input"])
    if isinstance(known.get("classes"), str | Path):
        known["classes_file"] = Path(known["classes"])
        known["classes"] = _lines(known["classes_file"])
    if isinstance(known.get("columns"), str):
        known["columns"] = _columns(known["columns"])
    try:
        spec = ClassifierSpec(source=source, **known)
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"--classifier: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    for path in (spec.file, spec.weights):
        if path is not None and not path.is_file():
            raise UserError(f"--classifier: there is no file {path}")
    _check_file(spec)
    return spec


def _check_file(spec: ClassifierSpec) -> None:
    """Refuse what a file with a whole network in it would leave unheard."""
    if spec.weights is not None and (spec.onnx or _suffix(spec.source) in EXECUTING):
        raise UserError(f"{spec.name} holds its own weights: leave --classifier-weights out")
    if spec.features and spec.onnx:
        raise UserError(f"{spec.name} shows no modules, as no ONNX file does: leave --features out, or give code")


def _sidecar(source: str) -> Mapping[str, Any]:
    """The keys of the `model.toml` beside the classifier's file; a path in it is relative to it."""
    path = ClassifierSpec(source=source).file
    if path is None or not (file := path.parent / SIDECAR).is_file():
        return {}
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {file}: {error}") from error
    if "trust_code" in found:
        raise UserError(f"{file} cannot allow itself to execute code; say --trust-code")
    if "source" in found:
        raise UserError(f"{file} cannot name a source, which --classifier does: take it out")
    paths = [key for key in ("weights", "classes") if isinstance(found.get(key), str)]
    return {**found, **{key: file.parent / found[key] for key in paths}}


def _lines(path: Path) -> tuple[str, ...]:
    try:
        return tuple(line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip())
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}; --classes takes a file with a class a line") from error


def _columns(text: str) -> tuple[int, ...]:
    entries = text.split(",")
    if not all(entry.strip().isdecimal() for entry in entries):
        raise UserError(f"--output-columns takes numbers from 0, as in 248,269, not '{text}'")
    return tuple(int(entry) for entry in entries)
