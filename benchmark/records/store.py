"""Artefacts on disk: folders named by the hash of everything that determines them, complete or absent."""

import ast
import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib.util import find_spec, resolve_name
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from benchmark.errors import UserError
from benchmark.locks import SUFFIX, locked
from methods.files import write_whole

log = logging.getLogger(__name__)

DONE = "done.json"
"""File that is written last: the digests of the other files, and the artefact's facts."""


def key_of(**parts: Any) -> str:  # noqa: ANN401 - whatever JSON can hold
    """A short hash of everything that determines an outcome."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


OURS = ("benchmark.", "methods.", "metrics.")
"""Where the modules of ours lie."""
KEEPING = ("benchmark.errors", "benchmark.locks", "benchmark.records.store", "methods.files")
"""Modules of ours that say how results are kept, and do not change what they are."""


@cache
def code_of(*modules: str) -> str:
    """A short hash of the code of `modules` and of all modules of this repository that they import.

    Modules of the same package count too, and the files beside a module that is in no package. Comments, docstrings and
    layout do not count, nor do `KEEPING` and modules that are only named in a string.
    """
    found: dict[str, str] = {}
    theirs = tuple(_near([name for name in modules if not name.startswith(OURS)]))
    todo = list(modules)
    while todo:
        name = todo.pop()
        counts = name.startswith(OURS) or f"{name}.".startswith(theirs)
        if name in found or name in KEEPING or not counts or (path := _source(name)) is None:
            continue
        tree = ast.parse(path.read_bytes())
        found[name] = ast.dump(_without_docstrings(tree))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                base = _absolute(node, name, path)
                todo += [base, *(f"{base}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                todo += [alias.name for alias in node.names]
    return key_of(code=found)


def _near(modules: Iterable[str]) -> Iterator[str]:
    """How the names of modules begin that count as those of `modules`, which are no ours."""
    for name in modules:
        yield f"{name.partition('.')[0]}."
        if "." not in name and (path := _source(name)) is not None:
            yield from (f"{file.stem}." for file in path.parent.glob("*.py"))


def _absolute(node: ast.ImportFrom, importer: str, path: Path) -> str:
    """The module that `node` imports from, in the module `importer` at `path`."""
    if not node.level:
        return node.module or ""
    package = importer if path.name == "__init__.py" else importer.rpartition(".")[0]
    return resolve_name("." * node.level + (node.module or ""), package)


def _source(name: str) -> Path | None:
    """The file of the module called `name`; None if `name` is an object in a module."""
    try:
        spec = find_spec(name)
    except ModuleNotFoundError:
        return None
    return Path(spec.origin) if spec is not None and spec.origin else None


def _without_docstrings(tree: ast.Module) -> ast.Module:
    """`tree` without the statements that are only a string."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [
                part
                for part in body
                if not (
                    isinstance(part, ast.Expr)
                    and isinstance(part.value, ast.Constant)
                    and isinstance(part.value.value, str)
                )
            ]
            node.body = kept  # type: ignore[attr-defined] # looked up above
    return tree


def check_writable(*folders: Path, option: str = "--results") -> None:
    """Check that `folders` exist or can be created, and are writable.

    Nothing is created, not even for a moment, because another run may use the same folders.

    Raises
    ------
    UserError
        If a folder fails the check.
    """
    for folder in folders:
        try:
            there = next(place for place in (folder, *folder.parents) if place.exists() or place.is_symlink())
            with TemporaryFile(dir=there):
                pass
        except OSError as error:
            why = error.strerror
            raise UserError(f"cannot write to {folder} ({why}); choose another folder with {option}") from error


def check_file(path: Path, option: str = "--out") -> None:
    """Check that `path` is a file or can become one; nothing is created.

    Raises
    ------
    UserError
        If it is a folder or a device, or its folder is not writable.
    """
    if not path.name or (path.exists() and not path.is_file()):
        raise UserError(f"{option} takes a file to write, not '{path}'")
    check_writable(path.parent, option=option)


class Artefact:
    """A folder of tensors and facts that is computed once."""

    def __init__(self, runs: Path, stage: str, key: str) -> None:
        self.name = f"{stage}-{key}"
        self.folder = runs / "artefacts" / self.name
        self._lock = runs / "locks" / f"{self.name}{SUFFIX}"

    @property
    def checkpoints(self) -> Path:
        """Folder of checkpoints from which an interrupted computation resumes."""
        return self.folder / "checkpoints"

    def facts(self) -> dict[str, Any] | None:
        """The facts noted with the artefact; None if it is absent or (with a warning) damaged."""
        try:
            done: dict[str, Any] = json.loads((self.folder / DONE).read_bytes())
            if key_of(facts=done["facts"]) != done["facts_digest"] or done.get("name", self.name) != self.name:
                raise ValueError("facts that were not noted so, or for another artefact")
            files: dict[str, str] = dict(done["files"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError):
            log.warning("%s is damaged; benchmark run makes it again", self.folder / DONE)
            return None
        for name, digest in files.items():
            if _digest_there(path := self.folder / name) != digest:
                log.warning("%s is missing or damaged; benchmark run makes it again", path)
                return None
        facts: dict[str, Any] = done["facts"]
        return facts

    @property
    def digest(self) -> str:
        """A short hash of its content; empty if it is absent or damaged."""
        try:
            return key_of(files=json.loads((self.folder / DONE).read_bytes())["files"])
        except (OSError, ValueError, TypeError, KeyError):
            return ""

    def make(self, build: Callable[["Artefact"], tuple[Mapping[str, Tensor], dict[str, Any]]]) -> dict[str, Any]:
        """The facts of the artefact; if it is absent, `build` computes it: (tensors, facts)."""
        with locked(self._lock):
            facts = self.facts()
            if facts is None:
                tensors, facts = build(self)
                self._write(tensors, facts)
                shutil.rmtree(self.checkpoints, ignore_errors=True)
            return facts

    def tensors(self) -> dict[str, Tensor]:
        """The tensors; in safetensors format, so that reading executes no code."""
        return load((self.folder / "tensors.safetensors").read_bytes())

    def _write(self, tensors: Mapping[str, Tensor], facts: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in (DONE, "tensors.safetensors"):
            if (self.folder / name).is_dir():  # somebody's mistake, which nothing could be written over
                shutil.rmtree(self.folder / name)
        content = save({name: tensor.contiguous() for name, tensor in tensors.items()})
        files = {"tensors.safetensors": hashlib.sha256(content).hexdigest()}
        write_whole(self.folder / "tensors.safetensors", content)
        done = {"name": self.name, "files": files, "facts": facts, "facts_digest": key_of(facts=facts)}
        write_whole(self.folder / DONE, json.dumps(done, indent=1).encode())


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest_there(path: Path) -> str | None:
    """SHA-256 of a file; None if it cannot be read."""
    try:
        return file_digest(path)
    except OSError:
        return None


def find(runs: Path, name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts of the artefact called `name`; both empty if it no longer exists."""
    artefact = _named(runs, name)
    facts = artefact.facts()
    return ({}, {}) if facts is None else (artefact.tensors(), facts)


def is_damaged(runs: Path, name: str) -> bool:
    """Whether the artefact called `name` is there, but not as it was written; a warning says which file."""
    artefact = _named(runs, name)
    return (artefact.folder / DONE).exists() and artefact.facts() is None


def _named(runs: Path, name: str) -> Artefact:
    stage, _, key = name.rpartition("-")
    return Artefact(runs, stage, key)
