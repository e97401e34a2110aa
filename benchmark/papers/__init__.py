"""What the papers printed, one file a paper: their numbers as data, what measures each here, and their claims."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType
from typing import NamedTuple

from benchmark.names import DIGITS
from benchmark.papers.experiments import Experiment
from benchmark.papers.measures import Measure, Setting
from benchmark.papers.verdicts import Evidence, Verdict

PAPERS: Mapping[str, str] = MappingProxyType(
    {
        "vaex": "benchmark.papers.vaex:PAPER",
        "gan-search": "benchmark.papers.gan_search:PAPER",
        "hybrid": "benchmark.papers.hybrid:PAPER",
        "dvae": "benchmark.papers.dvae:PAPER",
        "leap": "benchmark.papers.leap:PAPER",
        "diffusion": "benchmark.papers.diffusion:PAPER",
    }
)
"""Name -> "module:constant", imported on use."""

GREY = ("mnist", "mnist-full", "fashion-mnist")
"""Data sets that stand for a paper's digits."""
FACES = ("avatars", "celeba")
"""Data sets that stand for a paper's faces."""


class Cell(NamedTuple):
    """One number that a paper prints, with its place."""

    table: str
    row: str
    column: str
    printed: str
    """To the letter."""
    value: float | None
    """What holds, a rate as a fraction; None where the cell is no number."""
    setting: str
    """Data set and what else it rests on."""
    n: int | None
    """Where the paper gives it."""


@dataclass(frozen=True)
class Printed:
    """A table that a paper prints, or numbers in its text; and the same table here."""

    name: str
    """As the paper calls it, or the section whose text has it."""
    title: str
    setting: str
    """The paper's data and size."""
    columns: tuple[str, ...]
    published: Mapping[str, tuple[str, ...]]
    """Row -> what is printed in each column; empty where nothing is."""
    here: Mapping[str, tuple[Measure | Setting | None, ...]] = field(default_factory=dict)
    """Row -> what measures each column here. A row that the paper has too stands against it, another against all."""
    n: int | None = None
    """Images, where the paper says so."""
    percent: bool = False
    """Whether it prints per cent without the sign."""
    corrected: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """(row, column) -> what holds where the paper misprints."""
    incomparable: Mapping[str, str] = field(default_factory=dict)
    """Row of ours or column -> why no difference is given."""
    tolerance: float | None = None
    """A difference up to this, in our own judgement, is none."""
    studies: tuple[str, ...] = ()
    """Tables of methods that ask the same here."""
    of: tuple[str, ...] = ()
    """Data sets and planted biases that stand beside it; empty: all tasks, and no planted bias."""
    missing: str = ""
    """Why there is nothing of ours."""
    notes: tuple[str, ...] = ()

    def cells(self) -> Iterator[Cell]:
        """What the paper prints here, row by row."""
        for row, texts in self.published.items():
            for column, printed in zip(self.columns, texts, strict=True):
                if printed:
                    yield Cell(self.name, row, column, printed, self.value(row, column), self.setting, self.n)

    def value(self, row: str, column: str) -> float | None:
        """What holds in a cell, a rate as a fraction; None where it is no number."""
        text = self.published[row][self.columns.index(column)]
        found = number(self.corrected.get((row, column), text))
        return found if found is None or not self.percent else found / 100


@dataclass(frozen=True)
class Shown:
    """A numbered figure of a paper, and what shows the same here."""

    name: str
    what: str
    files: tuple[str, ...] = ()
    """Stems of pictures; {task} stands for the task's, or for the planted bias."""
    studies: tuple[str, ...] = ()
    """Tables of methods with the numbers behind it."""
    of: tuple[str, ...] = ()
    """Data sets and planted biases that it is shown of; empty: all tasks, and no planted bias."""
    missing: str = ""
    """Why there is none, or none on some tasks."""


@dataclass(frozen=True)
class Claim:
    """What a paper says of its results, in our words, and what tests it here."""

    source: str
    text: str
    test: Callable[[Evidence], Verdict]


@dataclass(frozen=True)
class Paper:
    """What a paper printed and claims, and on what."""

    title: str
    methods: tuple[str, ...]
    """What has to be run to stand beside it."""
    tables: tuple[Printed, ...]
    figures: tuple[Shown, ...]
    claims: tuple[Claim, ...]
    notes: tuple[str, ...] = ()
    """Where a reader must not compare without thinking."""
    experiments: Mapping[str, Experiment] = field(default_factory=dict)
    """Method -> what the paper does with it beyond a run."""
    pretrained: tuple[str, str] | None = None
    """The method, and "module:class", imported on use, of what it does with networks in a folder of the user's."""
    beside: tuple[str, ...] = ()
    """Methods whose answers one figure shows under one another."""
    task: str = "celeba/Male"
    """What the preset `paper` asks, unless it is told."""
    tasks: tuple[str, ...] = DIGITS
    """What the other presets ask."""
    planted: tuple[str, ...] = ()
    """Biases of drawn faces that its methods are asked about too, such as "Male-on-Smiling"; not by preset `paper`."""
    planted_methods: tuple[str, ...] = ()
    """Those of `methods` that are asked about `planted`; empty: all of them."""
    opposed: Mapping[str, str] = field(default_factory=dict)
    """Of `planted`: bias -> the method that is asked about two classifiers of opposite majorities."""
    told: tuple[str, ...] = ()
    """Biases of which its page tells what the command `bias` has found: to ask would take longer than all the rest."""

    def cells(self) -> Iterator[Cell]:
        """All that it prints, table by table."""
        for table in self.tables:
            yield from table.cells()


def number(text: str) -> float | None:
    """The number in a printed cell, per cent as a fraction; None if there is none.

    A bound such as "> 90%" is the number that it names.
    """
    found = re.fullmatch(r"[<>≥≤~]?\s*([-−]?[\d,]*\.?\d+)\s*(%?)", text.strip())
    if found is None:
        return None
    value = float(found[1].replace("−", "-").replace(",", ""))
    return value / 100 if found[2] else value


def load(name: str) -> Paper:
    """The paper called `name`."""
    module, constant = PAPERS[name].split(":")
    paper: Paper = getattr(import_module(module), constant)
    return paper
