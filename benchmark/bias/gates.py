"""The record of a planted bias before any method is run: its faces, its classifiers, its gates."""

import traceback
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from benchmark.bias.trial import BIASED_AT_LEAST, KINDS, RAISED_ABOVE, UNBIASED_AT_MOST, VERSION, Trial
from benchmark.errors import UserError, reason_of
from benchmark.jobs.measure import row
from benchmark.records.record import Record, Row, environment
from benchmark.report.frequencies import FREQUENCIES, Known, frequencies
from methods.base import Study
from metrics.base import Estimate
from metrics.intervals import mean, mean_share

CLASSIFIERS = "classifiers"
"""Method name in the record of the classifiers."""


def gates(trial: Trial, oracles: Mapping[str, Any]) -> Record:
    """The record of the trained classifiers; `oracles` are the facts of the attribute oracles.

    Rows, for each KIND of classifier: "right_KIND", the share of queries classified correctly; "flipped_KIND", the
    share flipped by the exact do(attribute). Over the queries that have the attribute: "before_KIND" and "after_KIND",
    the mean probability of the label before and after the edit removes it; "raised_KIND", the difference.
    """
    seen = {kind: trial.gate(kind) for kind in KINDS}
    rates = {kind: float(found["flipped"].double().mean()) for kind, found in seen.items()}
    having, planted = trial.having(), trial.planted
    rows = [each for kind, found in seen.items() for each in _rows(kind, found, having)]
    rivals = set(oracles["kept"]) - {*planted.family(), planted.label}
    return blank(trial).model_copy(
        update={
            "key": trial.key(),
            "rows": rows,
            "data": {
                **_facts(trial),
                "open": _open(rates, rows) and planted.attribute in oracles["kept"] and bool(rivals),
                "rivals": sorted(rivals),
                "ignores": rates["ignoring"] <= UNBIASED_AT_MOST,
                "dropped": [name for name in oracles["accuracies"] if name not in oracles["kept"]],
            },
            "studies": {FREQUENCIES: _frequencies(trial)},
        }
    )


def failed(trial: Trial, error: Exception) -> Record:
    """The record of a trial that failed before any method was run."""
    return blank(trial).model_copy(
        update={
            "status": "failed",
            "reason": reason_of(error),
            "user_error": isinstance(error, UserError),
            "traceback": "".join(traceback.format_exception(error)),
        }
    )


def blank(trial: Trial, method: str = CLASSIFIERS, *, reference: bool = False) -> Record:
    """The record of one method, or of the classifiers, still without numbers."""
    protocol = trial.protocol
    return Record(
        task=str(trial.planted),
        method=method,
        seed=trial.seeds[0],
        preset=protocol.preset,
        split=protocol.split,
        reference=reference,
        status="ok",
        limit=protocol.limit,
        environment=environment(),
        data={"version": VERSION, "seeds": list(trial.seeds), "family": trial.planted.family()},
    )


def over_queries(seen: Tensor) -> Estimate:
    """The share of True in `seen` (S, N): mean over seeds, with Wilson's interval over queries."""
    return mean_share(seen.double().mean(0))


def _rows(kind: str, found: Mapping[str, Tensor], having: Tensor) -> list[Row]:
    """Rows of one kind of classifier, from the outcomes `found` (S, N) and the mask `having` (N,) of the attribute."""
    before, after = (found[name][:, having].double().mean(0) for name in ("before", "after"))
    edited = {"before": mean(before), "after": mean(after), "raised": mean(after - before)}
    shares = {name: over_queries(found[name]) for name in ("right", "flipped")}
    return [row(f"{name}_{kind}", estimate) for name, estimate in {**shares, **edited}.items()]


def _open(rates: Mapping[str, float], rows: Iterable[Row]) -> bool:
    """Whether the confounded classifiers have the bias, in the planted direction, and the unconfounded ones do not."""
    raised = next(row.low for row in rows if row.metric == "raised_confounded")
    sure = raised is not None and raised > RAISED_ABOVE
    return sure and rates["confounded"] >= BIASED_AT_LEAST and rates["unconfounded"] <= UNBIASED_AT_MOST


def _facts(trial: Trial) -> dict[str, Any]:
    """The settings and the number of the faces, for the notes of tables."""
    drawn = {name: getattr(trial.drawn, name) for name in ("size", "strength", "evidence")}
    return {**blank(trial).data, **drawn, "queries": len(trial.having())}


def _frequencies(trial: Trial) -> Study:
    """How often the planted family occurs in each class of the training faces, with the bias and without (first seed).

    For the planted attribute itself the frequencies follow from the construction.
    """
    rows: list[dict[str, str | int | float]] = []
    for kind in ("unconfounded", "confounded"):
        images, _ = trial.classifier(kind, trial.seeds[0]).learns_from()
        data, indices = images.data, images.indices
        assert data.attributes is not None and data.labels is not None  # noqa: S101, PT018 - drawn faces
        of_family = data.attributes[trial.planted.family()].iloc[indices]
        known = Known(of_family, data.labels[indices], data.class_names)
        rows += [{"classifier": kind, **each} for each in frequencies(known).rows]
    note = (
        f"shares of the training faces of each class that have the attribute; {trial.planted.attribute} and "
        f"{trial.planted.label} of the confounded ones are opposite by construction, with probability "
        f"{trial.drawn.strength:g}"
    )
    return Study(title="the planted attribute in the classes of the training faces", rows=rows, notes=(note,))
