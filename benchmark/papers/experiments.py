"""What the papers do with a fitted method beyond a run: asked of the first queries, made once and kept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmark.jobs.evidence import AttributeNetwork
from benchmark.jobs.fit import fit, fitted
from benchmark.jobs.illustrate import kept
from benchmark.jobs.protocol import Job, Protocol
from benchmark.jobs.score import networks
from benchmark.jobs.work import Work
from benchmark.judges import classifier as classifiers
from benchmark.judges.classifier import ConvClassifier, TrainedClassifier
from benchmark.judges.workshop import timed
from benchmark.records.record import Record
from benchmark.records.store import Artefact, code_of, find, key_of
from benchmark.report.frequencies import Known
from methods.base import Illustration, Method, Study
from methods.pictures import unit
from metrics.intervals import mean, proportion

VERSION = 2
"""Raised whenever an experiment gives other answers than before."""
FEW = 100
"""Queries that an experiment asks, at most."""
ROWS = 6
"""Queries that a figure shows: the first ones."""

BUILDS: Mapping[str, Mapping[str, object]] = {
    "narrow": {"channels": (8, 16), "kernel_size": 5, "features": 32},
    "deep": {"channels": (16, 16, 32, 32, 64), "pooling": "average", "features": 128},
}
"""Classifiers unlike the investigated one and the oracle: in what they differ from the former."""

Row = dict[str, str | int | float]
Network = Callable[[Tensor], Tensor]
Redrawn = Callable[[str], tuple[Tensor, Tensor]]
"""Attribute -> the first training images, `FEW` at most, drawn without it and with it, (N, C, H, W) in [0, 1] each."""


@dataclass(frozen=True)
class Asked:
    """The first queries of a run, and what it was answered."""

    queries: Tensor
    """(N, C, H, W) in [0, 1]."""
    targets: Tensor
    """(N,)."""
    predicted: Tensor
    """(N,)."""
    intervention: Mapping[str, Tensor]
    """What the method said of its answers, each (N, ...)."""
    classifier: Network
    oracle: Network
    known: Known | None = None
    """Where the data set has attributes."""
    refitted: Callable[..., Method] | None = None
    """The same method, fitted under other settings: made once and kept, as every fit."""
    attributes: AttributeNetwork | None = None
    """Oracles of every attribute, of drawn faces."""
    exact: Callable[[str], Tensor] | None = None
    """An attribute -> the queries, had it been the opposite, where the data know that."""
    names: Sequence[str] = ()
    """Of the classes."""
    panel: Callable[[], Mapping[str, Network]] = dict
    """Trains, or takes up, four differently built classifiers: the investigated one, the oracle and two more."""
    redrawn: Redrawn | None = None
    """Where images are drawn from attributes."""


class Outcome(NamedTuple):
    """Pictures and numbers, by names that can be parts of a file's."""

    illustrations: Mapping[str, Illustration]
    studies: Mapping[str, Study]


Experiment = Callable[[Method, Asked], Outcome]


def conduct(experiment: Experiment, record: Record, protocol: Protocol) -> None:
    """Carry out `experiment` on the fitted method of a successful record, unless that is on disk."""
    job = Job(record.task, record.method, record.seed)
    _artefact(record, protocol.runs).make(partial(_conduct, experiment, record, Work(job, protocol)))


def outcome(record: Record, runs: Path) -> str:
    """The name of the artefact that keeps what the experiment on this record showed."""
    return _artefact(record, runs).name


def conducted(record: Record, runs: Path) -> bool:
    """Whether the experiment on this record is on disk."""
    return _artefact(record, runs).facts() is not None


def with_outcome(record: Record, runs: Path) -> Record:
    """The record with the studies of its experiment, where that has been carried out."""
    _, facts = find(runs, outcome(record, runs))
    found = {name: Study.model_validate(study) for name, study in facts.get("studies", {}).items()}
    return record.model_copy(update={"studies": record.studies | found})


def _artefact(record: Record, runs: Path) -> Artefact:
    rests = {stage: record.artefacts.get(stage) for stage in ("fit", "explain", "classifier", "oracle")}
    return Artefact(runs, "paper", key_of(method=record.method, version=VERSION, few=FEW, **rests))


@torch.no_grad()
def _conduct(
    experiment: Experiment, record: Record, work: Work, _: Artefact
) -> tuple[dict[str, Tensor], dict[str, object]]:
    runs, device = work.protocol.runs, work.workshop.device
    chunk = {name: part[:FEW].to(device) for name, part in _answered(record, runs).items()}
    told = {
        name.removeprefix("intervention."): part for name, part in chunk.items() if name.startswith("intervention.")
    }
    learnt = Artefact(runs, "fit", record.artefacts["fit"].removeprefix("fit-"))
    seeing = networks(work)
    asked = Asked(
        unit(chunk["queries"]),
        chunk["targets"],
        chunk["predicted"],
        told,
        seeing.classifier,
        work.oracle.network(),
        _known(work),
        refitted=partial(_refitted, work),
        attributes=seeing.attributes,
        exact=_exact(work, len(chunk["queries"])),
        names=work.question.data.class_names,
        panel=partial(differently_built, work),
        redrawn=partial(_redrawn, work) if work.question.data.exact else None,
    )
    torch.manual_seed(work.question.seed_for("show", 1))
    found = experiment(fitted(work, learnt), asked)
    return kept({}, found.illustrations, found.studies)


def _refitted(work: Work, **changes: object) -> Method:
    """The method of `work`, fitted with other settings on the same images and classifier."""
    overrides = work.protocol.overrides or {}
    own = {**overrides.get(work.job.method, {}), **changes}
    other = Work(work.job, replace(work.protocol, overrides={**overrides, work.job.method: own}), work.advance)
    with torch.enable_grad():
        learnt = fit(other)
    return fitted(other, learnt)


def differently_built(work: Work) -> dict[str, Network]:
    """The investigated classifier, the oracle, and classifiers of the builds in `BUILDS`, trained once and kept."""
    own: dict[str, Network] = {role: judge.network() for role, judge in work.judges.items()}
    return own | {name: _built(work, {**build}) for name, build in BUILDS.items()}


def _built(work: Work, build: dict[str, object]) -> ConvClassifier:
    question, workshop = work.question, work.workshop
    assert isinstance(work.classifier, TrainedClassifier)  # noqa: S101 - the papers train their own
    config = work.classifier.config.model_copy(update=build)
    artefact = workshop.artefact("panel", config=config.model_dump(), code=code_of(classifiers.__name__))

    @torch.enable_grad()  # an experiment needs none, but this is trained within one
    def make(artefact: Artefact) -> tuple[Mapping[str, Tensor], dict[str, object]]:
        training = partial(classifiers.train, config, question.train, question.class_count)
        network, seconds = timed("classifier", workshop.trainer("panel", artefact), training)
        return network.state_dict(), {"fit_seconds": seconds}

    artefact.make(make)
    network = ConvClassifier(config, question.data.shape, question.class_count)
    network.load_state_dict(artefact.tensors())
    return network.eval().requires_grad_(False).to(workshop.device)


def _redrawn(work: Work, attribute: str) -> tuple[Tensor, Tensor]:
    data, indices = work.question.data, work.question.train.indices[:FEW]
    assert data.exact is not None  # noqa: S101 - `_conduct` looked
    without, with_it = (data.exact(attribute, indices, np.full(len(indices), value)) for value in (0, 1))
    return unit(torch.from_numpy(without)), unit(torch.from_numpy(with_it))


def all_of(*experiments: Experiment) -> Experiment:
    """One after another, as one."""
    return lambda method, asked: merged([experiment(method, asked) for experiment in experiments])


def merged(outcomes: Sequence[Outcome]) -> Outcome:
    """All of `outcomes`, whose names differ, in one."""
    illustrations = {name: shown for one in outcomes for name, shown in one.illustrations.items()}
    return Outcome(illustrations, {name: study for one in outcomes for name, study in one.studies.items()})


def _answered(record: Record, runs: Path) -> dict[str, Tensor]:
    """What the run kept of its first queries, a row a query."""
    tensors, _ = find(runs, record.artefacts["explain"])
    return {name: part for name, part in tensors.items() if name != "images" and not name.startswith("evidence.")}


def _known(work: Work) -> Known | None:
    data, indices = work.question.data, work.question.train.indices
    if data.attributes is None or data.labels is None:
        return None
    return Known(data.attributes.iloc[indices], data.labels[indices], data.class_names)


def _exact(work: Work, count: int) -> Callable[[str], Tensor] | None:
    """The exact counterfactuals of the first `count` queries."""
    data, indices = work.question.data, work.question.queries.indices[:count]
    exact, attributes = data.exact, data.attributes
    if exact is None or attributes is None:
        return None

    def opposite(name: str) -> Tensor:
        edited = exact(name, indices, 1 - attributes[name].to_numpy()[indices])
        return unit(torch.from_numpy(edited)).to(work.workshop.device)

    return opposite


def under(method: Method, **changes: object) -> Method:
    """The same fitted method under other settings, of those that do not touch what is fitted."""
    changed = type(method)(method.config.model_copy(update=changes))
    changed.network, changed.classifier, changed.attributes = method.network, method.classifier, method.attributes
    return changed


# -- numbers -----------------------------------------------------------------------------------------------------------


def estimated(name: str, values: Tensor) -> Row:
    """The mean of (N,) values, of bool their share, with its 95 % interval and n, as columns of a table."""
    found = proportion(values.cpu()) if values.dtype == torch.bool else mean(values.cpu())
    return {name: float(found[0]), "low": float(found[1]), "high": float(found[2]), "n": len(values)}
