"""Two opposite classifiers, explained by one method on the same queries (dvae, Fig. 4).

Of the faces with the label, most lack the attribute in the training set of one classifier, and have it in the other's.
The two sets differ in nothing but the strength of this dependence. Discovery has gates, and this has none: a slight
majority may leave every class as it is.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from torch import Tensor

from benchmark.bias.gates import blank
from benchmark.bias.trial import MAJORITIES, Case, Planted, Trial
from benchmark.jobs.parallel import in_parallel
from benchmark.jobs.progress import Board
from benchmark.jobs.runner import limited
from benchmark.records.record import Record, read, write
from benchmark.records.store import key_of
from methods.base import Study
from metrics.bias import Side, standardised
from metrics.intervals import mean

VERSION = 1
"""Raised whenever the same answers give another table."""
OPPOSITE = "opposite"
"""Name of the study of both classifiers."""
DIFFERENCE = "difference"
"""Its row for the second classifier minus the first."""


def oppose(trial: Trial, method: str, workers: int, board: Board) -> Record:
    """The record of the method's answers for both classifiers of the trial's first seed, made unless it is on disk."""
    key = key_of(version=VERSION, majorities=dict(MAJORITIES), asked=trial.key(method))
    path = _path(blank(trial, method), method, trial.protocol.runs)
    found = read(path)
    if found is None or found.key != key:
        cases = [Case(method, kind, trial.seeds[0]) for kind in MAJORITIES]
        in_parallel([partial(_ask, trial, case, board) for case in cases], workers)
        found = _record(trial, cases, key)
        write(found, path)
    return found


def _ask(trial: Trial, case: Case, board: Board) -> None:
    with limited(trial.protocol.threads):
        trial.answer(case, board.channel(f"{trial.planted}: {case}"))


def _record(trial: Trial, cases: Sequence[Case], key: str) -> Record:
    """The record of the answers to `cases`, which are on disk."""
    record, answers = blank(trial, cases[0].method), {case.kind: trial.answer(case) for case in cases}
    seen = {kind: answer.tensors() for kind, answer in answers.items()}
    explained = {f"explain-{case.kind}": trial.explained(case)[0].name for case in cases}
    changes = {
        "key": key,
        "data": {**record.data, "classifiers": trial.key()},
        "studies": {OPPOSITE: majorities(seen, trial.planted, _place(trial))},
        "artefacts": {**explained, **{f"bias-{kind}": answer.name for kind, answer in answers.items()}},
    }
    return record.model_copy(update=changes)


def read_opposite(gates: Record, method: str, runs: Path) -> Record | None:
    """The record on disk for the classifiers' record `gates`; None if the method was not asked about these."""
    found = read(_path(gates, method, runs))
    return found if found is not None and found.data.get("classifiers") == gates.key else None


def _path(record: Record, method: str, runs: Path) -> Path:
    return runs / "opposite" / record.preset / record.task / f"{method}.json"


def _place(trial: Trial) -> int:
    """The planted attribute's column among those of the attribute oracles."""
    attributes = trial.faces().attributes
    assert attributes is not None  # noqa: S101 - drawn faces have some
    return list(attributes.columns).index(trial.planted.attribute)


def majority_names(planted: Planted) -> dict[str, str]:
    """Kind of classifier -> what most of its training faces with the label are."""
    return dict(zip(MAJORITIES, (f"mostly not {planted.attribute}", f"mostly {planted.attribute}"), strict=True))


def majorities(answers: Mapping[str, Mapping[str, Tensor]], planted: Planted, place: int) -> Study:
    """Shares of answers in which the attribute appears and vanishes, by classifier and target; and the difference.

    Parameters
    ----------
    answers
        Kind of classifier -> tensors of `Trial.answer` for the same N queries: (N, A) "changes" and "before", (N,)
        "target" and "valid".
    planted
        The bias.
    place
        Index of the planted one of the A attributes.

    """
    named = majority_names(planted)
    rows = [
        {"classifier": named[kind], "towards": towards, **_row(found, found["target"] == target, planted, place)}
        for kind, found in answers.items()
        for target, towards in ((1, planted.label), (0, f"not {planted.label}"))
        if (found["target"] == target).any()
    ]
    lacking, having = (_strict(answers[kind], place) for kind in MAJORITIES)
    rows.append({"classifier": DIFFERENCE, "towards": "both", **_signed(having - lacking)})
    shares = " and ".join(f"{100 * share:g} %" for share in MAJORITIES.values())
    return Study(
        title=f"{planted.attribute} in the answers for two opposite classifiers",
        rows=rows,
        notes=(
            f"two classifiers of {planted.label}: {shares} of their training faces with it are not {planted.attribute}",
            "shares of all answers, flipped or not, by the attribute oracle; x̃: reconstructions, x': answers",
            f"signed change: of {planted.attribute} towards {planted.label}, −1 to 1; last row: "
            f"{named['majority with']} minus {named['majority without']}, of the same queries, read strictly: answers "
            "that do not flip count as unchanged, and changes whatever the target cancel out",
        ),
    )


def _row(found: Mapping[str, Tensor], here: Tensor, planted: Planted, place: int) -> dict[str, str | int | float]:
    """One row: of the answers `here`, (N,) bool, at least one."""
    changes, before = found["changes"][here, place].double(), found["before"][here, place].double()
    after = before + changes * (2 * found["target"][here] - 1)
    shares = {
        "flips": found["valid"][here].double(),
        f"{planted.attribute} in x̃": before,
        f"{planted.attribute} in x'": after,
        "appears": (after > before).double(),
        "vanishes": (after < before).double(),
    }
    return {name: float(share.mean()) for name, share in shares.items()} | _signed(changes)


def _strict(found: Mapping[str, Tensor], place: int) -> Tensor:
    """Signed changes (N,), weighted so that changes whatever the target cancel out (`metrics.bias.standardised`)."""
    changes, before = (found[name][None, :, place, None] for name in ("changes", "before"))
    side = Side(changes, found["valid"][None]).all
    return standardised(side, before, found["target"][None]).changes[0, :, 0]


def _signed(changes: Tensor) -> dict[str, str | int | float]:
    value, low, high, n = mean(changes)
    return {"signed change": value, "low": low, "high": high, "n": n}
