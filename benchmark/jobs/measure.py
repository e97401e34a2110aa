"""Counterfactuals -> numbers: every metric that has its evidence, and tables that no single number replaces."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.jobs.evidence import Answers, Networks, Reals, at_relaxation, once
from benchmark.records.record import Row
from methods.base import Study
from metrics import METRICS, Estimate, Metric
from metrics.base import Average
from metrics.frechet import frechet_distance


def measure(answers: Answers, reals: Reals, networks: Networks) -> tuple[list[Row], dict[str, Tensor]]:
    """Every metric that has its evidence, and the outcome of every single query.

    Parameters
    ----------
    answers
        A method's answers to N queries at R relaxations.
    reals
        Real images; Fréchet distances compare M of them with as many answers.
    networks
        The networks to apply.

    Returns
    -------
    rows
        One number each.
    outcomes
        "answer_classes", "answer_oracle_classes" (by the panel's mean probability), "target_probability",
        "answer_probability" (of the class that the classifier sees) and "answer_oracle_probability" (R, N);
        "answer_oracle_votes" (R, N, M), the class that each oracle sees; "predicted" and "targets" (N,); of drawn faces
        "attributes" and "reconstruction_attributes" (N, A) and "answer_attributes" (R, N, A), bool; and, as
        "value.METRIC", what each metric averages that is a mean over all queries at all relaxations, (R, N) or (N,).
    """
    fixed = once(answers, reals, networks)
    rows, single = _measure(fixed, len(answers.targets))
    outcomes: dict[str, list[Tensor]] = {}
    for place, relaxation in enumerate(answers.relaxations):
        evidence, sureness = at_relaxation(answers, place, len(reals), fixed, networks)
        more, values = _measure({**fixed, **evidence}, len(answers.targets), relaxation)
        rows += more
        kept = ("answer_classes", "answer_oracle_classes", "answer_oracle_votes", "answer_attributes")
        values |= {name: evidence[name] for name in kept if name in evidence}
        for name, value in {**values, **sureness}.items():
            outcomes.setdefault(name, []).append(value)
    everywhere = {name: parts for name, parts in outcomes.items() if len(parts) == len(answers.relaxations)}
    per_relaxation = {name: torch.stack(parts) for name, parts in everywhere.items()}
    names = ("predicted", "targets", "attributes", "reconstruction_attributes")
    return rows, {**single, **per_relaxation, **{name: fixed[name] for name in names if name in fixed}}


def _measure(
    evidence: Mapping[str, Any], count: int, relaxation: float | None = None
) -> tuple[list[Row], dict[str, Tensor]]:
    """Rows and "value.METRIC" of `count` queries, for the metrics of one relaxation or those without relaxation."""
    rows, values = [], {}
    for name, metric in METRICS.items():
        if metric.per_relaxation == (relaxation is not None) and all(need in evidence for need in metric.needs):
            for subset, estimate in _estimates(metric, evidence):
                rows.append(row(name, estimate, relaxation, subset))
                if subset == "all" and isinstance(estimate, Average) and estimate.n == count:
                    values[f"value.{name}"] = estimate.values
    return rows, values


def normalised_distances(sets: Mapping[str, Tensor], reals: Tensor, networks: Networks) -> dict[str, Study]:
    """Fréchet distances between all sets that a method generates, divided by the distance of "samples" to real images.

    The form is Table 2 of Besserve et al. 2020. A method with fewer than two sets has no such table.

    Parameters
    ----------
    sets
        Name -> (M, C, H, W) uint8, "samples" among them.
    reals
        (M, C, H, W) uint8.
    networks
        The networks to apply.

    """
    if len(sets) < 2 or "samples" not in sets:
        return {}
    others = {name: images for name, images in sets.items() if name != "samples"}
    named = {"real": reals, "generated": sets["samples"], **others}
    return {
        f"normalised-fid-{name}": _normalised({key: networks.apply(extractor, of) for key, of in named.items()}, name)
        for name, extractor in networks.extractors.items()
    }


def attribute_changes(outcomes: Mapping[str, Tensor], answers: Answers, networks: Networks) -> dict[str, Study]:
    """A table of how often each attribute changes from the query, by the oracles; empty without oracles.

    Parameters
    ----------
    outcomes
        The outcomes from `measure`.
    answers
        A method's answers.
    networks
        The networks that were applied.

    """
    if networks.attributes is None or answers.reconstructions is None:
        return {}
    changed = {"reconstruction": outcomes["reconstruction_attributes"] != outcomes["attributes"]}
    for r, seen in zip(answers.relaxations, outcomes["answer_attributes"], strict=True):
        changed[f"r = {r:g}"] = seen != outcomes["attributes"]
    rows: list[dict[str, str | int | float]] = [
        {
            "attribute": name + (" (the task's)" if name == networks.attributes.asked else ""),
            "oracle's accuracy": accuracy,
            **{column: f"{100 * part[:, place].double().mean():.1f}" for column, part in changed.items()},
        }
        for place, (name, accuracy) in enumerate(networks.attributes.accuracies.items())
        if name in networks.attributes.kept
    ]
    dropped = [name for name in networks.attributes.accuracies if name not in networks.attributes.kept]
    notes = [f"% of answers whose value, by the oracle, differs from the query's, n = {len(answers.targets)}"]
    if dropped:
        notes.append(f"dropped, because their oracle is wrong too often on unseen pictures: {', '.join(dropped)}")
    return {"attributes": Study(title="Attributes that change", rows=rows, notes=tuple(notes))} if rows else {}


def _normalised(features: Mapping[str, Tensor], extractor: str) -> Study:
    """Distances of each set of features (M, F) to the sets before it; the first two are "real" and "generated"."""
    names = list(features)
    distances = {
        (name, earlier): frechet_distance(features[name], features[earlier], replicates=0).value
        for i, name in enumerate(names)
        for earlier in names[:i]
    }
    unit = distances["generated", "real"]
    rows: list[dict[str, str | int | float]] = []
    for i, name in enumerate(names[1:], start=1):
        cells = {f"to {earlier}": distances[name, earlier] / unit for earlier in names[:i]}
        rows.append({"set": name, **cells, **{f"to {later}": "" for later in names[i:-1]}})
    return Study(
        title="Fréchet distances, divided by the distance of generated to real images",
        rows=rows,
        notes=(
            f"FID ({extractor}), n = {len(features['generated'])} of each set, without intervals",
            f"generated to real, not divided: {unit:.1f}",
        ),
    )


def _estimates(metric: Metric, evidence: Mapping[str, Any]) -> Iterator[tuple[str, Estimate]]:
    """(subset, estimate) of the metric: over all queries and, if `also_flipped`, over the flipped ones."""
    inputs = [evidence[need] for need in metric.needs]
    yield "all", metric.load()(*inputs)
    if metric.also_flipped:
        flipped = evidence["answer_classes"] == evidence["targets"]
        # Costly evidence exists for the first queries only.
        yield "flipped", metric.load()(*[part[flipped[: len(part)]] for part in inputs])


def row(metric: str, estimate: Sequence[float], relaxation: float | None = None, subset: str = "all") -> Row:
    """The row of an estimate (value, low, high, n), with None for undefined parts."""
    value, low, high = (float(part) if np.isfinite(part) else None for part in estimate[:3])
    return Row(
        relaxation=relaxation,
        metric=metric,
        subset=subset,
        value=value,
        low=low,
        high=high,
        n=int(estimate[3]),
    )
