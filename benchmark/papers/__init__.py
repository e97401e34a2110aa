"""Published numbers, one file a paper, so that ours can stand beside them."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType

PAPERS: Mapping[str, str] = MappingProxyType(
    {"vaex": "benchmark.papers.vaex:PAPER", "dvae": "benchmark.papers.dvae:PAPER"}
)
"""Name -> "module:constant", imported on use."""


@dataclass(frozen=True)
class Published:
    """One number that a paper prints, and what measures it here."""

    table: str
    method: str
    metric: str
    """As in METRICS."""
    value: str
    """As printed."""
    relaxation: float | None = None


@dataclass(frozen=True)
class Paper:
    """What a paper reports, and on what."""

    title: str
    setting: str
    """Data, size and classifier that the numbers rest on."""
    numbers: tuple[Published, ...]
    notes: tuple[str, ...]
    """Where a reader must not compare without thinking."""


def load(name: str) -> Paper:
    """The paper called `name`."""
    module, constant = PAPERS[name].split(":")
    paper: Paper = getattr(import_module(module), constant)
    return paper
