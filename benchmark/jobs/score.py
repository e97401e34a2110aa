"""The last stage of a job: apply the judges to its answers, and compute the metrics."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmark.data import Subset
from benchmark.data.question import Question
from benchmark.jobs.evidence import Answers, AttributeNetwork, Networks, Reals
from benchmark.jobs.measure import attribute_changes, measure, normalised_distances
from benchmark.jobs.screen import attribute_screen
from benchmark.jobs.work import Work
from benchmark.judges.features import inception_network, penultimate, pooled
from benchmark.records.store import Artefact, key_of

NEIGHBOURS = 4000
"""Training images among which an answer's neighbours are looked for, at most."""


def exact(work: Work, chunks: Sequence[Artefact]) -> Artefact:
    """The exact counterfactuals of the queries, the same for all methods; only for data that have them."""
    data, indices = work.question.data, work.question.queries.indices
    targets = torch.cat([chunk.tensors()["targets"] for chunk in chunks]).numpy()
    key = key_of(data=data.digest, queries=indices.tolist(), targets=targets.tolist())
    artefact = Artefact(work.protocol.runs, "exact", key)

    def make(_: Artefact) -> tuple[dict[str, Tensor], dict[str, Any]]:
        images = data.counterfactuals(indices, targets)
        return {} if images is None else {"images": torch.from_numpy(images)}, {}

    artefact.make(make)
    return artefact


def score(work: Work, key: str, made: Mapping[str, Sequence[Artefact]]) -> Artefact:
    """Every number of the job, and the outcome of every query; `key` is the record's.

    `made` has the artefacts of the other stages by name, with "exact" only for data with exact counterfactuals.
    """
    names = [artefact.name for stage in made.values() for artefact in stage]
    artefact = Artefact(work.protocol.runs, "score", key_of(record=key, chunks=names))
    artefact.make(partial(_score, work, made))
    return artefact


def _score(work: Work, made: Mapping[str, Sequence[Artefact]], _: Artefact) -> tuple[dict[str, Tensor], dict[str, Any]]:
    question = work.question
    shown = made["show"][0].tensors()
    samples = {name.removeprefix("sample."): shown[name] for name in sorted(shown) if name.startswith("sample.")}
    answers, reals, seeing = _answers(work, made, samples.get("samples")), reals_of(question), networks(work)
    rows, outcomes = measure(answers, reals, seeing)
    studies = normalised_distances(samples, reals.images, seeing) | attribute_changes(outcomes, answers, seeing)
    studies |= attribute_screen(outcomes, answers, seeing.attributes, question.data)
    return {**outcomes, "asked": torch.from_numpy(question.queries.indices)}, {
        "rows": [row.model_dump() for row in rows],
        "studies": {name: study.model_dump(mode="json") for name, study in studies.items()},
    }


def reals_of(question: Question, real: Subset | None = None) -> Reals:
    """The real images that the answers to `question` are compared with: its own, or `real`."""
    real, train = real or question.real(), question.train.first(NEIGHBOURS)
    return Reals(real.pixels, real.labels, train.pixels, train.labels)


def _answers(work: Work, made: Mapping[str, Sequence[Artefact]], samples: Tensor | None) -> Answers:
    parts = [chunk.tensors() for chunk in made["explain"]]
    return Answers(
        queries=torch.cat([part["queries"] for part in parts]),
        targets=torch.cat([part["targets"] for part in parts]),
        images=torch.cat([part["images"] for part in parts], dim=1),
        reconstructions=torch.cat([part["reconstructions"] for part in parts]),
        relaxations=work.protocol.relaxations,
        diagnostics=_joined(parts, "diagnostic", 0),
        samples=samples,
        evidence=_joined(parts, "evidence", 1),
        labels=None if work.question.foreign else work.question.queries.labels,
        probed=work.settings.probes,
        probes=made["probe"][0].tensors(),
        exact=made["exact"][0].tensors()["images"] if "exact" in made else None,
    )


def _joined(parts: Sequence[Mapping[str, Tensor]], kind: str, queries: int) -> dict[str, Tensor]:
    """Name -> tensor "<kind>.<name>", joined over all chunks along the dimension `queries`."""
    names = [name for name in parts[0] if name.startswith(f"{kind}.")]
    return {name.removeprefix(f"{kind}."): torch.cat([part[name] for part in parts], queries) for name in names}


def networks(work: Work) -> Networks:
    """The networks that judge answers."""
    panel, device = work.oracle.network(), work.workshop.device
    extractors: dict[str, Callable[[Tensor], Tensor]] = {}
    if "oracle" in work.protocol.extractors:
        extractors["oracle"] = penultimate(panel)
    if "inception" in work.protocol.extractors:
        extractors["inception"] = pooled(inception_network(work.protocol.inception_weights).to(device))
    seeing = Networks(
        work.classifier.network(),
        panel.each,
        extractors,
        device,
        work.autoencoders.networks(),
        retrained=[classifier.network() for classifier in work.retrained],
    )
    if work.attributes is None:
        return seeing
    network, facts = work.attributes.network()
    asked, names = work.question.data.attribute, list(facts["accuracies"])
    correlations = label_correlations(work.question.train.described(names), names, asked)
    found = AttributeNetwork(network, facts["accuracies"], facts["kept"], asked, correlations)
    return replace(seeing, attributes=found)


def label_correlations(labels: Tensor, names: Sequence[str], asked: str) -> dict[str, float]:
    """Attribute -> correlation of its labels, a column of (N, A), with the asked one's; 0 where all are the same.

    Empty where the task asks for no attribute, but for a class.
    """
    if asked not in names:
        return {}
    found = torch.corrcoef(labels.double().T)[names.index(asked)].nan_to_num(0)
    return dict(zip(names, found.tolist(), strict=True))
