"""The bias-discovery runs: every method on every planted bias, in parallel; a run that was killed resumes."""

import logging
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmark.bias import power
from benchmark.bias.changed import changed
from benchmark.bias.gates import CLASSIFIERS, blank, failed, gates, over_queries
from benchmark.bias.trial import KINDS, VERSION, Case, Planted, Trial, side, strict_side
from benchmark.errors import UserError, reason_of
from benchmark.jobs.fit import fit, fit_settings
from benchmark.jobs.measure import row
from benchmark.jobs.parallel import in_parallel
from benchmark.jobs.progress import Board
from benchmark.jobs.protocol import images_of
from benchmark.jobs.runner import limited
from benchmark.judges.attributes import TrainedAttributeOracles
from benchmark.records.record import Record, Row, read, write
from benchmark.records.store import Artefact, key_of
from methods import BASELINE, METHODS
from methods.base import Study
from methods.training import Advance
from metrics.bias import Bias, Side, bias, scores

log = logging.getLogger(__name__)

LEAKAGE = "leakage"


@dataclass(frozen=True)
class BiasOutcome:
    """The records of one planted bias."""

    gates: Record
    """The record of the classifiers: see `benchmark.bias.gates`."""
    records: list[Record] = field(default_factory=list)
    """One record per method; empty if the gates are closed."""
    opposite: list[Record] = field(default_factory=list)
    """One record per method asked about two opposite classifiers (`benchmark.bias.opposite`)."""

    @property
    def planted(self) -> Planted:
        """The bias that was planted."""
        return Planted.parse(self.gates.task)

    @property
    def open(self) -> bool:
        """Whether the gates are open; if not, no method is scored."""
        return bool(self.gates.data.get("open"))

    @property
    def ignores(self) -> bool:
        """Whether the "ignoring" classifiers ignore the bias; if not, they cannot serve as a control."""
        return bool(self.gates.data.get("ignores"))

    @property
    def dropped(self) -> list[str]:
        """Attributes that are not scored, because their oracle is wrong too often."""
        return list(self.gates.data.get("dropped", []))

    @property
    def evidence(self) -> list[Record]:
        """The records that have numbers, the classifiers' first; empty if the bias could not be planted."""
        good = [record for record in self.records if record.status == "ok"]
        return [self.gates, *good, *self.opposite] if self.gates.status == "ok" else []

    @property
    def unasked(self) -> str:
        """Why no method was run; empty if one was."""
        if self.gates.status != "ok":
            return f"{self.planted} could not be planted: {self.gates.reason}"
        return "" if self.open else f"the gates of {self.planted} are closed, so no method was run"


class Failure(NamedTuple):
    """Why a method has no numbers."""

    reason: str
    user_error: bool
    traceback: str


def discover(trials: Sequence[Trial], methods: Sequence[str], workers: int, board: Board) -> list[BiasOutcome]:
    """The outcome of every trial; results on disk are reused.

    Raises
    ------
    UserError
        If the queries cannot be loaded or a method refuses its settings (before any training), or if the training of
        a classifier fails.
    """
    for trial in trials:
        images_of(trial.task, trial.protocol, board.channel(trial.task))
        trial.edited()
        for method in methods:
            trial.work(Case(method, "unconfounded", trial.seeds[0])).check()
    _prepare(trials, workers, board)
    return [_outcome(trial, methods, workers, board) for trial in trials]


def _prepare(trials: Sequence[Trial], workers: int, board: Board) -> None:
    """Train all classifiers, and the attribute oracles, which all trials share."""
    for trial in trials:
        for kind in KINDS:
            images_of(trial.task, trial.protocol_of(kind), board.channel(trial.task))
    classifiers = [(trial, kind, seed) for trial in trials for kind in KINDS for seed in trial.seeds]
    calls: list[Callable[[], Any]] = [partial(_oracles, trials[0], board)]
    in_parallel([*calls, *(partial(_classifier, *each, board) for each in classifiers)], workers)


def _oracles(trial: Trial, board: Board) -> None:
    with limited(trial.protocol.threads):
        _oracles_of(trial, board.channel("oracles")).made()


def _classifier(trial: Trial, kind: str, seed: int, board: Board) -> None:
    advance = board.channel(f"{kind} classifier of {trial.planted}, seed {seed}")
    with limited(trial.protocol.threads):
        trial.classifier(kind, seed, advance).made()


def _oracles_of(trial: Trial, advance: Advance | None = None) -> TrainedAttributeOracles:
    """The attribute oracles of the trial's faces; they are the same for every method."""
    oracles = trial.work(Case(BASELINE, "unconfounded", trial.seeds[0]), advance).attributes
    assert oracles is not None  # noqa: S101 - drawn faces have some
    return oracles


def _outcome(trial: Trial, methods: Sequence[str], workers: int, board: Board) -> BiasOutcome:
    oracles = _oracles_of(trial).made().facts() or {}
    found = BiasOutcome(gates(trial, oracles))
    write(found.gates, _path(trial.protocol.runs, found.gates))
    if not found.open:
        return found
    failures = _answers(trial, methods, workers, board)
    baseline = BASELINE if BASELINE in methods and BASELINE not in failures else None
    for method in methods:
        if method in failures:
            record = _failed(trial, method, failures[method])
        else:
            record = _record(trial, method, oracles, baseline if method != baseline else None)
        write(record, _path(trial.protocol.runs, record))
        found.records.append(record)
    return found


# -- on disk -----------------------------------------------------------------------------------------------------------


def _path(runs: Path, record: Record) -> Path:
    return _folder(runs, record.preset, record.task) / f"{record.method}.json"


def _folder(runs: Path, preset: str, planted: str) -> Path:
    return runs / "bias" / preset / planted


def read_outcome(planted: str, preset: str, runs: Path) -> BiasOutcome | None:
    """Load the last outcome of a bias, with all methods that were run on the same classifiers.

    None if there is none, or if an older `VERSION` wrote it.
    """
    folder = _folder(runs, preset, planted)
    found = read(folder / f"{CLASSIFIERS}.json")
    if found is None or found.data.get("version") != VERSION:
        return None
    records = [read(folder / f"{method}.json") for method in METHODS]
    of_these = [one for one in records if one is not None and one.data.get("classifiers") == found.key]
    outcome = BiasOutcome(found)
    return BiasOutcome(found, of_these) if outcome.open else outcome


def finished(trial: Trial, methods: Sequence[str]) -> BiasOutcome | None:
    """The outcome on disk, if it is complete, up to date and free of failures; otherwise None."""
    found = read_outcome(str(trial.planted), trial.protocol.preset, trial.protocol.runs)
    if found is None or found.gates.status != "ok" or found.gates.key != trial.key():
        return None
    if not found.open:
        return found
    of_method = {record.method: record for record in found.records if record.status == "ok"}
    done = all(method in of_method and of_method[method].key == trial.key(method) for method in methods)
    beside = {method for method in methods if method != BASELINE} if BASELINE in methods else set()
    return found if done and all(_beside_baseline(of_method[method]) for method in beside) else None


def _beside_baseline(record: Record) -> bool:
    """True if the record has a `lead_over_baseline` row; it has none when the baseline was not run."""
    return any(row.metric == "lead_over_baseline" for row in record.rows)


def write_failure(trial: Trial, error: Exception) -> BiasOutcome:
    """Write the record of a trial that failed before any method was run."""
    found = BiasOutcome(failed(trial, error))
    write(found.gates, _path(trial.protocol.runs, found.gates))
    return found


# -- answers, several at once ------------------------------------------------------------------------------------------


def _answers(trial: Trial, methods: Sequence[str], workers: int, board: Board) -> dict[str, Failure]:
    """Run every method on every classifier; returns the methods that failed, with the reason."""
    todo = [Case(method, kind, seed) for method in methods for kind in KINDS for seed in trial.seeds]
    todo += [_leaking(trial, method) for method in methods if _can_leak(method)]
    firsts = dict.fromkeys(trial.first(case) for case in todo)
    fits = {key_of(**fit_settings(trial.work(case)), leaking=case.leaking): case for case in firsts}
    in_parallel([partial(_attempt, trial, case, board, fit_only=True) for case in fits.values()], workers)
    found = in_parallel([partial(_attempt, trial, case, board) for case in todo], workers)
    failures: dict[str, Failure] = {}
    for case, failure in zip(todo, found, strict=True):
        if failure is not None:
            failures.setdefault(case.method, failure)
    return failures


def _can_leak(method: str) -> bool:
    """Whether the method is also fitted to biased faces: true of all but those that are given the exact answers."""
    return not METHODS[method].load().takes_truth


def _leaking(trial: Trial, method: str) -> Case:
    """The method fitted to biased faces, explaining an unbiased classifier."""
    return Case(method, "unconfounded", trial.seeds[0], leaking=True)


def _attempt(trial: Trial, case: Case, board: Board, *, fit_only: bool = False) -> Failure | None:
    """Fit or explain. An error fails this method only; if a fit fails, the explanation that needs it fails too."""
    advance = board.channel(f"{trial.planted}: {case}")
    try:
        with limited(trial.protocol.threads):
            if fit_only:
                fit(trial.work(case, advance))
            else:
                trial.answer(case, advance)
    except Exception as error:
        if trial.protocol.raise_errors:
            raise
        log.debug("%s on %s failed", case, trial.planted, exc_info=True)
        return Failure(reason_of(error), isinstance(error, UserError), traceback.format_exc())
    return None


# -- numbers -----------------------------------------------------------------------------------------------------------


def _blank(trial: Trial, method: str) -> Record:
    """The record of one method, still without numbers."""
    record = blank(trial, method, reference=METHODS[method].load().reference)
    return record.model_copy(update={"key": trial.key(method), "data": {**record.data, "classifiers": trial.key()}})


def _failed(trial: Trial, method: str, failure: Failure) -> Record:
    """The record of a method that failed."""
    return _blank(trial, method).model_copy(update={"status": "failed", **failure._asdict()})


def _record(trial: Trial, method: str, oracles: dict[str, Any], baseline: str | None) -> Record:
    """The record of one method, with its lead over the `baseline` if there is one."""
    names, blank = oracles["kept"], _blank(trial, method)
    kept = torch.tensor([name in names for name in oracles["accuracies"]])
    answers = {kind: trial.answers(method, kind) for kind in KINDS}
    sides = {kind: side(each, kept) for kind, each in answers.items()}
    found = _biases(trial, method, answers, names, kept)
    rows = _rows(sides, found)
    if baseline is not None:
        theirs = {kind: side(trial.answers(baseline, kind), kept) for kind in ("confounded", "unconfounded")}
        rows.append(_over(found["confounded", "all"], _planted(trial, theirs, names)))
    shown = _shown(sides, found["confounded", "all"], trial, names)
    cases = {kind: Case(method, kind, trial.seeds[0]) for kind in ("unconfounded", "confounded")}
    own = trial.work(cases["unconfounded"]).method()
    return blank.model_copy(
        update={
            "config": own.config.model_dump(mode="json"),
            "rows": rows,
            "data": {**blank.data, "shown": shown, "could miss": _missed(trial, answers, names, kept)},
            "studies": {"attributes": _attributes(sides, names), **changed(trial, method)},
            "artefacts": {
                **{f"explain-{kind}": trial.explained(each)[0].name for kind, each in cases.items()},
                **{f"bias-{kind}": trial.answer(each).name for kind, each in cases.items()},
            },
            "remarks": list(own.remarks()),
        }
    )


def _missed(trial: Trial, answers: Mapping[str, list[Artefact]], names: Sequence[str], kept: torch.Tensor) -> str:
    """What size of bias a discovery could have missed, by simulation from the answers to unbiased classifiers."""
    without = [answer.tensors() for kind in ("unconfounded", "another") for answer in answers[kind]]
    asked = torch.stack([answer.tensors()["target"].long() for answer in answers["confounded"]])
    directions, outside = _parties(trial, names)
    planted = power.Planted(directions, names.index(trial.planted.attribute), outside)
    return power.in_words(power.missed(power.unbiased_of(without, kept), asked, planted))


def _biases(
    trial: Trial, method: str, answers: Mapping[str, list[Artefact]], names: Sequence[str], kept: torch.Tensor
) -> dict[tuple[str, str], Bias]:
    """(contrast, reading) -> the bias found. Contrasts: the planted bias, the two controls, the leakage.

    Readings: "all" answers; only those that "flipped"; and "strict", the planted attribute alone over all answers,
    standardised.
    """
    directions, outside = _parties(trial, names)
    alone = directions * torch.tensor([name == trial.planted.attribute for name in names])
    pairs = {kind: (answers[kind], answers["unconfounded"]) for kind in ("confounded", "ignoring", "another")}
    if _can_leak(method):
        pairs[LEAKAGE] = ([trial.answer(_leaking(trial, method))], answers["unconfounded"][:1])
    found = {}
    for name, pair in pairs.items():
        biased, unbiased = (side(part, kept) for part in pair)
        found[name, "all"] = bias(biased.all, unbiased.all, directions, outside)
        found[name, "flipped"] = bias(biased, unbiased, directions, outside)
        strict, beside = (strict_side(part, kept) for part in pair)
        found[name, "strict"] = bias(strict, beside, alone, outside)
    return found


def _parties(trial: Trial, names: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """The directions of the planted family, and a mask of the `names` outside it, (K,) each."""
    directions = trial.planted.directions(images_of(trial.task, trial.protocol), names)
    return directions, (directions == 0) & torch.tensor([name != trial.planted.label for name in names])


def _planted(trial: Trial, sides: dict[str, Side], names: Sequence[str]) -> Bias:
    """The planted bias as the counterfactuals show it, over all queries."""
    return bias(sides["confounded"].all, sides["unconfounded"].all, *_parties(trial, names))


def _over(mine: Bias, theirs: Bias) -> Row:
    """The difference of two leads, paired: both use the same bootstrap draws of queries and seeds."""
    low, high = torch.quantile(mine.leads - theirs.leads, mine.leads.new_tensor([0.025, 0.975])).tolist()
    return row("lead_over_baseline", (mine.lead.value - theirs.lead.value, low, high, mine.lead.n), 0.0)


def _rows(sides: dict[str, Side], found: dict[tuple[str, str], Bias]) -> list[Row]:
    """The flip rate for each kind of classifier; lead, rank and strict lead for each contrast."""
    rows = [row(f"flips_{kind}", over_queries(part.valid), 0.0) for kind, part in sides.items()]
    for (contrast, subset), outcome in found.items():
        if subset == "strict":
            rows.append(row(f"strict_lead_{contrast}", outcome.lead, 0.0))
            continue
        rows.append(row(f"lead_{contrast}", outcome.lead, 0.0, subset))
        rows.append(row(f"rank_{contrast}", (outcome.rank, *2 * (float("nan"),), outcome.lead.n), 0.0, subset))
    return rows


def _shown(sides: dict[str, Side], found: Bias, trial: Trial, names: Sequence[str]) -> dict[str, str]:
    """Table cells beside the lead: the planted attribute's scores, and the greatest gap outside its family."""
    place = names.index(trial.planted.attribute)
    each = {kind: float(scores(sides[kind].all)[place]) for kind in ("confounded", "unconfounded")}
    _, outside = _parties(trial, names)
    rival = int(torch.where(outside, found.gaps.abs(), -1.0).argmax())
    return {
        **{f"{trial.planted.attribute}, {kind}": _signed(value) for kind, value in each.items()},
        "greatest other gap": f"{names[rival]} {_signed(float(found.gaps[rival]))}",
    }


def _signed(value: float) -> str:
    return f"{round(value, 2) + 0.0:+.2f}"  # never "-0.00"


def _attributes(sides: dict[str, Side], names: Sequence[str]) -> Study:
    """The scores of every attribute over all queries, for the bar chart."""
    found = {kind: scores(part.all).tolist() for kind, part in sides.items()}
    rows: list[dict[str, str | int | float]] = [
        {"attribute": name, "classifier": kind, "signed change": values[place]}
        for place, name in enumerate(names)
        for kind, values in found.items()
    ]
    return Study(
        title="signed change of each attribute towards the label, over all queries",
        rows=rows,
        axes=("attribute", "signed change", "classifier"),
        bars=True,
    )
