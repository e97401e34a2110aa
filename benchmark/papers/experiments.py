"""What the papers do with a fitted method beyond a run: asked of the first queries, made once and kept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from benchmark.jobs.fit import fitted
from benchmark.jobs.protocol import Job, Protocol
from benchmark.jobs.show import kept
from benchmark.jobs.work import Work
from benchmark.records.record import Record
from benchmark.records.store import Artefact, find, key_of
from benchmark.report.frequencies import FREQUENCIES, Known, frequencies
from methods.base import Illustration, Method, Study
from methods.pictures import unit
from metrics.intervals import mean, proportion

VERSION = 1
"""Raised whenever an experiment gives other answers than before."""
FEW = 100
"""Queries that an experiment asks, at most."""

Row = dict[str, str | int | float]
Network = Callable[[Tensor], Tensor]


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
    fit = Artefact(runs, "fit", record.artefacts["fit"].removeprefix("fit-"))
    classifier, oracle = work.classifier.network(), work.oracle.network()
    asked = Asked(unit(chunk["queries"]), chunk["targets"], chunk["predicted"], told, classifier, oracle, _known(work))
    torch.manual_seed(work.question.seed_for("show", 1))
    found = experiment(fitted(work, fit), asked)
    return kept({}, found.illustrations, found.studies)


def _answered(record: Record, runs: Path) -> dict[str, Tensor]:
    """What the run kept of its first queries, a row a query."""
    tensors, _ = find(runs, record.artefacts["explain"])
    return {name: part for name, part in tensors.items() if name != "images" and not name.startswith("evidence.")}


def _known(work: Work) -> Known | None:
    data, indices = work.question.data, work.question.train.indices
    if data.attributes is None or data.labels is None:
        return None
    return Known(data.attributes.iloc[indices], data.labels[indices], data.class_names)


def under(method: Method, **changes: object) -> Method:
    """The same fitted method under other settings, of those that do not touch what is fitted."""
    changed = type(method)(method.config.model_copy(update=changes))
    changed.network, changed.classifier = method.network, method.classifier
    return changed


# -- numbers -----------------------------------------------------------------------------------------------------------


def estimated(name: str, values: Tensor) -> Row:
    """The mean of (N,) values, of bool their share, with its 95 % interval and n, as columns of a table."""
    found = proportion(values.cpu()) if values.dtype == torch.bool else mean(values.cpu())
    return {name: float(found[0]), "low": float(found[1]), "high": float(found[2]), "n": len(values)}


# -- vaex --------------------------------------------------------------------------------------------------------------

FALLING = (1.0, 0.8, 0.6, 0.4, 0.2, 0.0)
ROWS = 6
"""Queries that a figure shows: the first ones."""


def own_class(method: Method, asked: Asked) -> Outcome:
    """Answers to the query's own class: what is lost when the posterior is let go of (Fig. 2)."""
    images = method.explain(asked.queries, asked.predicted, FALLING).images
    probability = torch.stack([asked.classifier(part).softmax(1) for part in images])
    keeps = probability.argmax(2) == asked.predicted
    errors = (images - asked.queries).square().flatten(2).mean(2)
    rows = [
        {"r": r, "MSE": float(error.mean()), **estimated("keeps its class", kept)}
        for r, error, kept in zip(FALLING, errors, keeps, strict=True)
    ]
    own = probability.gather(2, asked.predicted.expand(len(FALLING), -1)[..., None])[..., 0]
    captions = [
        [f"{{{c}}}", *(f"p({{{c}}}) = {float(p):.2f}" for p in own[:, query])]
        for query, c in enumerate(asked.predicted[:ROWS].tolist())
    ]
    shown = torch.cat([asked.queries[None], images])[:, :ROWS].transpose(0, 1)
    title = "answers to the query's own class as r falls; below each the classifier's probability of it"
    headings = ("query", *(f"r = {r:g}" for r in FALLING))
    note = "the condition is the query's own class, one-hot; MSE: to the query; [low, high]: of the share"
    return Outcome(
        {"own-class": Illustration(title, shown, captions, headings)},
        {"own-class": Study(title="pictures under their own class as r falls", rows=rows, notes=(note,))},
    )


# -- gan-search --------------------------------------------------------------------------------------------------------


def distance_term(method: Method, asked: Asked) -> Outcome:
    """The same searches with and without the distance term (Fig. 4), and walks to prototypes (Fig. 3)."""
    without = under(method, distance="none").explain(asked.queries, asked.targets, [0.0]).intervention["path"]
    found = [_of_paths(unit(paths), asked) for paths in (asked.intervention["path"], without)]
    rows: list[Row] = []
    for name, first in found[0].items():
        second = found[1][name]
        means = {"with": float(first.mean()), "without": float(second.mean())}
        rows.append({"quantity": name, **means, **estimated("difference", first - second)})
    notes = (
        "difference: with the distance term minus without, on the same real queries; paths as they are kept, in "
        f"{without.shape[1]} pictures",
        "L1: mean absolute difference of the answer to the query; path length: sum of those from picture to picture; "
        "over distance: divided by that from the first to the last, 1 where the path is straight",
        "third class: neither the query's nor the target, as the classifier sees it",
    )
    study = Study(title="searches with and without the distance term", rows=rows, notes=notes)
    studies = {"distance-term": study, "prototypes": _prototypes(method, asked)}
    return Outcome({}, studies if asked.known is None else studies | {FREQUENCIES: frequencies(asked.known)})


def _of_paths(paths: Tensor, asked: Asked) -> dict[str, Tensor]:
    """What is measured of paths (N, T, C, H, W), each (N,)."""
    length = (paths[:, 1:] - paths[:, :-1]).abs().flatten(2).mean(2).sum(1)
    ends = (paths[:, -1] - paths[:, 0]).abs().flatten(1).mean(1)
    classes = torch.stack([asked.classifier(frame).argmax(1) for frame in paths.unbind(1)], dim=1)
    third = (classes != asked.targets[:, None]) & (classes != asked.predicted[:, None])
    final = asked.classifier(paths[:, -1]).argmax(1)
    return {
        "L1 to the query": (paths[:, -1] - asked.queries).abs().flatten(1).mean(1),
        "path length": length,
        "length over distance": torch.where(ends > 0, length / ends, 1.0),
        "share of paths through a third class": third.any(1).double(),
        "share of answers that flip": (final == asked.targets).double(),
    }


def _prototypes(method: Method, asked: Asked) -> Study:
    """How much surer the classifier and the oracle are of a prototype than of its query, reconstructed."""
    path = unit(under(method, mode="prototype").explain(asked.queries, asked.targets, [0.0]).intervention["path"])
    rows: list[Row] = []
    for name, judge in (("classifier", asked.classifier), ("oracle", asked.oracle)):
        own = asked.predicted[:, None]
        before, after = (judge(path[:, end]).softmax(1).gather(1, own)[:, 0] for end in (0, -1))
        means = {"query": float(before.mean()), "prototype": float(after.mean())}
        rows.append({"judge": name, **means, **estimated("difference", after - before)})
    note = "probability of the query's class: of the query as the generator reconstructs it, and of the walk's end"
    return Study(title="walks to prototypes of the query's own class", rows=rows, notes=(note,))


# -- dvae --------------------------------------------------------------------------------------------------------------


def regulariser(method: Method, asked: Asked) -> Outcome:
    """Pictures of the same codes by the generators with and without the regulariser (Figs. 3 and 6).

    Bits are chosen by f_K alone, so that neither generator has a say in them.
    """
    from methods.dvae.flips import flipped  # noqa: PLC0415 - a paper's own method
    from methods.dvae.method import Dvae  # noqa: PLC0415

    assert isinstance(method, Dvae)  # noqa: S101 - registered so
    chooser = under(method, until_picture=False)
    told = chooser.explain(asked.queries, asked.targets, [0.0]).intervention
    codes = (told["bits"], flipped(told["bits"], told["ranks"], 0.0))
    phi = [method.network.dvae.decode(bits) for bits in codes]
    pictures = {
        name: [method.network.pixel_logits(name, part).sigmoid().view_as(asked.queries) for part in phi]
        for name in method.network.generators
    }
    answering = method.network.answering
    seen = [method.classifier.head(part).softmax(1) for part in phi]
    figures = {"concepts": _concepts(asked, pictures[answering], seen)}
    if len(pictures) > 1:
        figures["regulariser"] = _with_and_without(asked, pictures)
    rows, flips = [], {}
    for name, (_, after) in pictures.items():
        flips[name], agrees = (judge(after).argmax(1) == asked.targets for judge in (asked.classifier, asked.oracle))
        cells = {"generator": "without" if name == "plain" else "with", **estimated("flip rate", flips[name])}
        rows.append(cells | {"oracle agreement": float(agrees.double().mean())})
    if len(pictures) > 1:
        apart = flips["regularised"].double() - flips["plain"].double()
        rows.append({"generator": "with minus without", **estimated("flip rate", apart), "oracle agreement": ""})
    note = "g(ψ) of the same codes, flipped until f_K(ψ) is of the target class; [low, high]: of the flip rate"
    return Outcome(
        figures,
        {
            "regulariser": Study(
                title="pictures by generators with and without the regulariser", rows=rows, notes=(note,)
            )
        },
    )


def _concepts(asked: Asked, drawn: Sequence[Tensor], seen: Sequence[Tensor]) -> Illustration:
    """Queries, g(φ') and g(ψ), with what f_K gives the target in each (Fig. 3)."""
    captions = []
    for query in range(min(ROWS, len(asked.queries))):
        own, target = int(asked.predicted[query]), int(asked.targets[query])
        captions.append(
            [f"{{{own}}} → {{{target}}}", *(f"p({{{target}}}) = {float(part[query, target]):.2f}" for part in seen)]
        )
    shown = torch.stack([asked.queries, *drawn], dim=1)[:ROWS]
    title = "concepts before and after flipped bits; below each f_K's probability of the target"
    return Illustration(title, shown, captions, ("query", "g(φ')", "g(ψ)"))


def _with_and_without(asked: Asked, pictures: Mapping[str, Sequence[Tensor]]) -> Illustration:
    """g(φ') and g(ψ) by both generators, with the class that the classifier sees in each (Fig. 6)."""
    columns = [asked.queries, *pictures["plain"], *pictures["regularised"]]
    classes = torch.stack([asked.classifier(part).argmax(1) for part in columns], dim=1)[:ROWS].tolist()
    targets = asked.targets.tolist()
    captions = [
        [f"{{{row[0]}}} → {{{target}}}", *(f"{{{c}}}" for c in row[1:])]
        for row, target in zip(classes, targets, strict=False)
    ]
    title = "pictures of the same codes without and with the regulariser; below each what the classifier sees"
    headings = ("query", "without:\ng(φ')", "\ng(ψ)", "with:\ng(φ')", "\ng(ψ)")
    return Illustration(title, torch.stack(columns, dim=1)[:ROWS], captions, headings)


# -- hybrid ------------------------------------------------------------------------------------------------------------

COUNTS = range(2, 9)
"""K that the influence of modules is told for."""


def influence_of_modules(method: Method, asked: Asked) -> Outcome:  # noqa: ARG001 - modules ask no queries
    """Influence of the modules of each layer against their number K, grouped anew for each (Fig. 8, top right)."""
    from methods.hybrid.influence import influence  # noqa: PLC0415 - a paper's own method
    from methods.hybrid.method import Hybridization  # noqa: PLC0415
    from methods.hybrid.modules import cluster  # noqa: PLC0415
    from methods.hybrid.network import Place  # noqa: PLC0415

    assert isinstance(method, Hybridization)  # noqa: S101 - registered so
    network, generator, config = method.network, method.generator, method.config
    own, other = generator.noise(FEW), generator.noise(FEW)
    height, width = network.maps.shape[1:]
    rows: list[Row] = []
    for single in network.single_places:
        patterns = network.patterns(single, config.window, config.percentile)
        for count in COUNTS:
            place = Place(single.layers, single.channels, count, (height, width)).to(network.maps.device)
            place.group(cluster(patterns, count))
            modules = [place.swapped(one) for one in place.singles if not place.is_empty(one)]
            effects = [influence(generator, place.layers, own, other, one).mean() for one in modules]
            each = torch.stack(effects or [torch.zeros(())])
            spread = float(each.std(correction=0))
            rows.append({"layers": place.name, "K": count, "influence": float(each.mean()), "std": spread})
    note = (
        f"mean ± std over the modules that have channels; mean absolute change of a pixel over {FEW} pairs of samples"
    )
    study = Study(
        title="influence of modules against their number K",
        rows=rows,
        notes=(note,),
        axes=("K", "influence", "layers"),
        spread="std",
    )
    return Outcome({}, {"module-count": study})
