"""One job's outcome on disk: numbers, n, seed, configuration, versions, commit, times."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from methods.base import Study
from methods.files import write_whole

PACKAGES = ("torch", "torchvision", "lightning-fabric", "numpy", "scipy", "scikit-learn", "pytorch-fid", "mlxtend")
"""Packages on whose versions numbers can depend."""


SCHEMA = 1
"""The form of a record. Raised when a record of before cannot be read any more."""
SOURCE = "source"
"""The key that only a classifier of the user's own has in its settings."""


class Row(BaseModel):
    """One number of a job; `value`, `low` and `high` are None if they are not defined."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    relaxation: float | None
    metric: str
    subset: Literal["all", "flipped"]
    value: float | None
    low: float | None
    high: float | None
    n: int


class Judge(BaseModel):
    """The investigated classifier, the panel of oracles or one of its members, as described in a record."""

    model_config = ConfigDict(extra="forbid")

    config: dict[str, Any]
    digest: str
    validation_accuracy: float
    test_accuracy: float
    test_n: int
    trained_on: str
    fit_seconds: float
    corrupted: dict[str, float] = Field(default_factory=dict)
    """Corruption -> accuracy on the test pictures under it, of `test_n` as the others."""
    members: "list[Judge]" = Field(default_factory=list)
    """Of a panel; its own accuracies are those of its members' mean probability."""


class Record(BaseModel):
    """A job's outcome: its numbers, or the reason for its failure."""

    model_config = ConfigDict(extra="forbid")

    schema_version: int = Field(SCHEMA, ge=0, le=SCHEMA)
    task: str
    method: str
    seed: int
    preset: str
    split: str
    reference: bool
    status: Literal["ok", "failed", "unasked"]
    """Unasked: the method does not suit the task or the classifier, and `reason` says why."""
    reason: str = ""
    user_error: bool = False
    traceback: str = ""
    key: str = ""
    """Hash of everything that determines the numbers; a record with another key is outdated."""
    limit: int | None = None
    plugins: list[str] = Field(default_factory=list)
    """Files with methods, data sets and metrics of the user's that the run was told of."""
    relaxations: list[float] = Field(default_factory=list)
    config: dict[str, Any] = Field(default_factory=dict)
    data: dict[str, Any] = Field(default_factory=dict)
    classifier: Judge | None = None
    oracle: Judge | None = None
    rows: list[Row] = Field(default_factory=list)
    timings: list[Row] = Field(default_factory=list)
    """Seconds and memory: the only numbers that differ when a run is repeated."""
    remarks: list[str] = Field(default_factory=list)
    studies: dict[str, Study] = Field(default_factory=dict)
    """Tables that only this method has, by name."""
    weights: str = ""
    """Hash of the trained networks: classifier, oracle and method."""
    artefacts: dict[str, str] = Field(default_factory=dict)
    """Stage -> folder of its artefact, relative to the runs folder."""
    environment: dict[str, Any] = Field(default_factory=dict)


def on_ours(record: Record) -> bool:
    """Whether it is about a data set and a classifier of the benchmark's, of which papers' claims can be asked."""
    own = record.classifier is not None and SOURCE in record.classifier.config
    return not own and "folder" not in record.data


def write(record: Record, path: Path) -> None:
    """Write `record` to `path`, whole or not at all."""
    write_whole(path, (json.dumps(record.model_dump(mode="json"), indent=1) + "\n").encode())


def read(path: Path) -> Record | None:
    """The record at `path`; None if it is missing or unreadable."""
    try:
        return Record.model_validate_json(path.read_bytes())
    except (OSError, ValueError):
        return None


def unread(path: Path) -> str:
    """Why the record at `path` cannot be read, and what to do about it, as the end of a sentence."""
    try:
        form = json.loads(path.read_bytes()).get("schema_version", 0)
    except (OSError, ValueError, AttributeError):
        form = SCHEMA
    if not isinstance(form, int) or form == SCHEMA:
        return "is damaged and left out; benchmark run makes it again"
    if form > SCHEMA:
        return "was written by a newer version of the benchmark and is left out; install that version to read it"
    return "was written by an older version of the benchmark and is left out; benchmark run makes it again"


def environment() -> dict[str, Any]:
    """Versions, commit and machine, to explain differences between runs."""
    return {
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "commit": _commit(),
        "machine": platform.machine(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
    }


def peak_memory() -> float:
    """Peak memory of this process so far, in MiB; NaN if the system does not report it.

    In a process with several jobs it is the peak of the largest job so far.
    """
    if sys.platform == "win32":
        return float("nan")
    import resource  # noqa: PLC0415 - not on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def _commit() -> str:
    """The commit of this checkout, with "+" if code was changed since; empty outside a checkout."""
    folder = Path(__file__).parent
    head = _git(folder, ["rev-parse", "HEAD"])
    code = [":/", ":(top,exclude)results"]  # a run writes to the latter
    return head + ("+" if head and _git(folder, ["status", "--porcelain", "--untracked-files=no", *code]) else "")


def _git(folder: Path, arguments: Sequence[str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments
            ["git", *arguments],  # noqa: S607 - the user's own git
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
        )
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _cpu() -> str:
    """The processor's model, if the system reports it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor())
