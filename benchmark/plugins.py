"""Methods, data sets and metrics of other packages and of plugin files, entered in the registries.

A plugin file is a Python file with any of three mappings: `METHODS`, name -> a class of `methods.base.Method`, or an
`Entry` for a variant; `DATASETS`, name -> a function as in `benchmark/data`; `METRICS`, name -> a `Metric`. A package
offers the same without being named, an entry point each: in the group `visual_counterfactuals.methods` a class, in
`.datasets` a function, in `.metrics` a `Metric`.
"""

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from inspect import getdoc
from pathlib import Path
from types import ModuleType
from typing import Any

import methods
import metrics
from benchmark import names
from benchmark.errors import STRANGE, UserError, reason_of

GROUP = "visual_counterfactuals"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
"""What can stand in a list, in a path and before the point of `--set`."""

KINDS: Mapping[str, tuple[str, Mapping[str, Any], dict[str, Any]]] = {
    "methods": ("method", methods.METHODS, methods.OUTSIDE),
    "datasets": ("data set", names.DATASETS, names.OUTSIDE_DATASETS),
    "metrics": ("metric", metrics.METRICS, metrics.OUTSIDE),
}
"""Kind -> its word, all that is known of it, and where others' are entered."""

origins: dict[tuple[str, str], str] = {}
"""(Kind, name) -> the package or the file that an entry of others comes from."""
_files: list[Path] = []


def load(files: Iterable[Path | str] | None = None) -> None:
    """Enter what installed packages offer and what plugin `files` hold, each once a process.

    Raises
    ------
    UserError
        For a file that is not there or cannot be imported, an entry that is of another kind, and a name that clashes.
    """
    _load_installed()
    for file in files or ():
        path = Path(file).resolve()
        if path not in _files:
            _load_file(path)
            _files.append(path)


def loaded() -> tuple[Path, ...]:
    """The plugin files of this process, for another one to load."""
    return tuple(_files)


# -- installed packages ------------------------------------------------------------------------------------------------


@cache
def _load_installed() -> None:
    for kind in KINDS:
        for point in entry_points(group=f"{GROUP}.{kind}"):
            where = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
            _enter({kind: {point.name: _installed(kind, point, where)}}, where)


def _installed(kind: str, point: EntryPoint, where: str) -> object:
    """What an entry point stands for; only a metric is imported, so that listing methods needs no torch."""
    if kind == "methods":
        summary = point.dist.metadata["Summary"] if point.dist else None
        return methods.Entry(point.value, summary or "")
    if kind == "datasets":
        return _data_set(point.name, lambda: _imported(point.load, where), where)
    return _imported(point.load, where)


# -- files -------------------------------------------------------------------------------------------------------------


def _load_file(path: Path) -> None:
    module = _module(path)
    offered = {kind: found for kind in KINDS if isinstance(found := getattr(module, kind.upper(), None), Mapping)}
    if not any(offered.values()):
        raise UserError(f"{path} has no METHODS, DATASETS or METRICS, as in METHODS = {{'mine': Mine}}")
    _enter(
        {
            kind: {name: _of_file(kind, name, entry, path) for name, entry in found.items()}
            for kind, found in offered.items()
        },
        str(path),
    )


def _module(path: Path) -> ModuleType:
    """The module in the file at `path`, under the file's name, by which other processes find it too."""
    name = path.stem
    if not path.is_file() or path.suffix != ".py":
        raise UserError(f"there is no Python file {path}; --plugin takes one")
    if not name.isidentifier():
        raise UserError(f"{path} cannot be imported under the name '{name}'; use letters, digits and _ alone")
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # at the end: a plugin hides no module of others
    spec = find_spec(name)
    if spec is None or spec.origin is None or Path(spec.origin).resolve() != path:
        raise UserError(f"Python knows another module called '{name}'; rename {path}")
    return _imported(lambda: import_module(name), str(path))


def _imported(load: Callable[[], Any], where: str) -> Any:  # noqa: ANN401 - whatever a stranger's code holds
    try:
        return load()
    except STRANGE as error:
        raise UserError(f"cannot import the plugin {where}: {reason_of(error)}") from error


def _of_file(kind: str, name: object, entry: Any, path: Path) -> object:  # noqa: ANN401 - whatever a stranger's file holds
    """A class or a function as the registry names it, by its path; anything else as it is."""
    if kind == "methods" and isinstance(entry, type):
        from methods.base import Method  # noqa: PLC0415 - a file that has a method has loaded it, and torch

        if not issubclass(entry, Method):
            raise UserError(f"'{name}' in METHODS of {path} is no method: it must derive from methods.base.Method")
        place = f"{entry.__module__}:{entry.__qualname__}"
        meaning = (getdoc(entry) or "").partition("\n")[0]
        return methods.Entry(place, meaning, reference=getattr(entry, "reference", False))
    return _data_set(name, lambda: entry, str(path)) if kind == "datasets" and callable(entry) else entry


# -- data sets ---------------------------------------------------------------------------------------------------------


def _data_set(name: object, load: Callable[[], Callable[..., object]], where: str) -> str:
    """The path of a function of this module that loads a stranger's data set, or says in one line why it cannot."""

    def guarded(source: object) -> object:
        function = load()
        try:
            data = function(source)
        except UserError:
            raise
        except STRANGE as error:
            raise UserError(f"the data set '{name}' of {where} cannot be loaded: {reason_of(error)}") from error
        if wrong := _wrong(data):
            raise UserError(f"the data set '{name}' of {where} returns {wrong}")
        return data

    setattr(sys.modules[__name__], f"data set {name}", guarded)
    return f"{__name__}:data set {name}"


def _wrong(data: object) -> str:
    """What is wrong with a data set, in words; empty if it is one."""
    import numpy as np  # noqa: PLC0415 - listing data sets takes none

    from benchmark.data import ImageData  # noqa: PLC0415 - nor torch

    if not isinstance(data, ImageData):
        return f"{type(data).__name__}, not a benchmark.data.ImageData"
    images, labels = data.images, data.labels
    if (
        not isinstance(images, np.ndarray)
        or images.dtype != np.uint8
        or images.ndim != 4
        or images.shape[1] not in {1, 3}
    ):
        return "images that are no (N, 1 or 3, H, W) of uint8"
    if labels is None:
        return "neither labels nor attributes" if data.attributes is None else ""
    classes = len(data.class_names)
    whole = isinstance(labels, np.ndarray) and labels.dtype.kind in "iu" and labels.shape == images.shape[:1]
    if not whole or (len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < classes):
        return f"labels that are no (N,) of whole numbers from 0 to {classes - 1}, as it names {classes} class(es)"
    return ""


# -- entering ----------------------------------------------------------------------------------------------------------

TYPES: Mapping[str, type] = {"methods": methods.Entry, "datasets": str, "metrics": metrics.Metric}


def _enter(offered: Mapping[str, Mapping[str, object]], where: str) -> None:
    """Enter all that is offered, kind -> name -> entry, or refuse all of it."""
    for kind, entries in offered.items():
        for name, entry in entries.items():
            _check(kind, name, entry, where)
    for kind, entries in offered.items():
        KINDS[kind][2].update(entries)
        origins.update({(kind, name): where for name in entries})


def _check(kind: str, name: object, entry: object, where: str) -> None:
    word, known, _ = KINDS[kind]
    if not isinstance(name, str) or not NAME.fullmatch(name) or name in names.MANY:
        raise UserError(f"the {word} '{name}' of {where} needs another name: letters, digits, '-', '_', '.'")
    if name in known:
        whose = origins.get((kind, name), "this benchmark")
        raise UserError(f"the {word} '{name}' of {where} has the name of one of {whose}; rename it")
    if not isinstance(entry, TYPES[kind]):
        raise UserError(f"'{name}' in {kind.upper()} of {where} is no {word}, but {type(entry).__name__}")
