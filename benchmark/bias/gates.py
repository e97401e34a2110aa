"""What is known of a planted bias before any method is asked, as a record: its faces, its classifiers, its gates."""

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
"""What stands for a method in the record of the classifiers."""


def gates(trial: Trial, oracles: Mapping[str, Any]) -> Record:
    """The record of the trained classifiers; `oracles` are the facts of the attribute oracles.

    Its rows are, for each kind of classifier, the shares of queries that are "right_KIND" and "flipped_KIND" by the
    exact do(attribute); and, of the queries that have the attribute, the mean probability of the label as they are,
    "before_KIND", without it, "after_KIND", and the difference, "raised_KIND".
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
    """The record of a trial that did not come to its methods."""
    return blank(trial).model_copy(
        update={
            "status": "failed",
            "reason": reason_of(error),
            "user_error": isinstance(error, UserError),
            "traceback": "".join(traceback.format_exception(error)),
        }
    )


def blank(trial: Trial, method: str = CLASSIFIERS, *, reference: bool = False) -> Record:
    """The record of one method, or of the classifiers, without its numbers."""
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
    """The share of (S, N) bool, with Wilson's interval over queries."""
    return mean_share(seen.double().mean(0))


def _rows(kind: str, found: Mapping[str, Tensor], having: Tensor) -> list[Row]:
    """The numbers of one kind of classifier: `found` (S, N) each, and which queries have the attribute (N,)."""
    before, after = (found[name][:, having].double().mean(0) for name in ("before", "after"))
    edited = {"before": mean(before), "after": mean(after), "raised": mean(after - before)}
    shares = {name: over_queries(found[name]) for name in ("right", "flipped")}
    return [row(f"{name}_{kind}", estimate) for name, estimate in {**shares, **edited}.items()]


def _open(rates: Mapping[str, float], rows: Iterable[Row]) -> bool:
    """Whether the confounded classifiers have the bias, in its direction, and the unconfounded ones have not."""
    raised = next(row.low for row in rows if row.metric == "raised_confounded")
    sure = raised is not None and raised > RAISED_ABOVE
    return sure and rates["confounded"] >= BIASED_AT_LEAST and rates["unconfounded"] <= UNBIASED_AT_MOST


def _facts(trial: Trial) -> dict[str, Any]:
    """What a reader has to know of the faces."""
    drawn = {name: getattr(trial.drawn, name) for name in ("size", "strength", "evidence")}
    return {**blank(trial).data, **drawn, "queries": len(trial.having())}


def _frequencies(trial: Trial) -> Study:
    """How often the planted family is there in either class of what the first classifiers with and without learn from.

    That of the planted attribute is so by construction.
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
    return Study(title="the planted attribute in the classes that classifiers learn from", rows=rows, notes=(note,))
