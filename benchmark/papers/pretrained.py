"""What a paper does with pretrained networks in a folder of the user's: nothing is trained, no query is asked."""

from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from benchmark.errors import UserError
from benchmark.jobs import protocol as jobs
from benchmark.jobs.estimate import Forecast
from benchmark.jobs.illustrate import kept
from benchmark.locks import tables_locked
from benchmark.papers import Paper, load
from benchmark.papers.experiments import VERSION, Outcome
from benchmark.papers.pages import write_pages
from benchmark.records.record import Record, environment
from benchmark.records.store import Artefact, key_of
from benchmark.report.figures import drawings, write_drawings
from benchmark.report.layout import FIGURES
from methods.base import Study
from methods.training import Trainer


class Pretrained(Protocol):
    """Networks of the user's, and what a paper does with them."""

    pairs: Sequence[str]
    """What it does so to, each a task of its own."""
    names: Sequence[str]
    """Of the classes."""
    settings: Mapping[str, Any]
    """What results depend on beside the files."""
    digests: Mapping[str, str]
    """File -> digest."""

    def outcome(self, pair: str) -> Outcome:
        """Pictures and numbers of one of the `pairs`."""

    def forecast(self) -> Forecast:
        """What all of them need."""


def read(name: str, folder: Path, protocol: jobs.Protocol) -> Pretrained:
    """The networks in `folder`, for the paper called `name`.

    Raises
    ------
    UserError
        If the paper has none, or something in the folder is missing or broken.
    """
    paper = load(name)
    if paper.pretrained is None:
        raise UserError(f"--pretrained is for papers with pretrained networks, which {name} is not")
    module, _, kind = paper.pretrained[1].partition(":")
    made: Pretrained = getattr(import_module(module), kind).of(folder, Trainer(0, protocol.devices).device)
    return made


def show(name: str, networks: Pretrained, protocol: jobs.Protocol) -> list[Record]:
    """Make what the paper shows of `networks`: figures and tables, and a page of its claims."""
    records = [_record(load(name), networks, pair, protocol.runs) for pair in networks.pairs]
    with tables_locked(protocol.runs):
        for record in records:
            write_drawings(drawings(record, protocol.runs), protocol.results / FIGURES)
        write_pages(records, protocol.runs, protocol.results, [name])
    return records


def _record(paper: Paper, networks: Pretrained, pair: str, runs: Path) -> Record:
    assert paper.pretrained is not None  # noqa: S101 - `read` looked
    method, _ = paper.pretrained
    key = key_of(pair=pair, files=networks.digests, settings=networks.settings, version=VERSION)
    artefact = Artefact(runs, "pretrained", key)
    facts = artefact.make(partial(_make, networks, pair))
    return Record(
        task=f"imagenet/{pair}",
        method=method,
        seed=0,
        preset="paper",
        split="none",
        reference=False,
        status="ok",
        key=key,
        config=dict(networks.settings),
        data={"classes": list(networks.names)},
        remarks=[f"pretrained networks: {', '.join(networks.digests)}; nothing was trained"],
        studies={name: Study.model_validate(study) for name, study in facts["studies"].items()},
        artefacts={"show": artefact.name},
        environment=environment(),
    )


def _make(networks: Pretrained, pair: str, _: Artefact) -> tuple[dict[str, Tensor], dict[str, object]]:
    with torch.no_grad():
        found = networks.outcome(pair)
    return kept({}, found.illustrations, found.studies)
