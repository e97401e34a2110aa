"""One method asked about two opposite classifiers: of one most of the label lack the attribute, of the other have it.

Both learn from faces that differ by the strength of the dependence alone, and both are explained on the same queries
(dvae, Fig. 4). Unlike discovery this asks no gate: a slight majority may leave every class as it is.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from torch import Tensor

from benchmark.bias.gates import blank
from benchmark.bias.trial import MAJORITIES, Case, Planted, Trial
from benchmark.jobs.progress import Board
from benchmark.jobs.runner import in_parallel, limited
from benchmark.records.record import Record, read, write
from benchmark.records.store import key_of
from methods.base import Study
from metrics.intervals import mean

VERSION = 1
"""Raised whenever the same answers give another table."""
OPPOSITE = "opposite"
"""The study of both classifiers."""
DIFFERENCE = "difference"
"""The row of it that sets one against the other."""


def oppose(trial: Trial, method: str, workers: int, board: Board) -> Record:
    """What the method shows of both classifiers of the trial's first seed; what is on disk is not made again."""
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
    """The table of the answers to `cases`, which are on disk."""
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
    """What was written down beside these gates; None if the method was never asked."""
    found = read(_path(gates, method, runs))
    return found if found is not None and found.data.get("classifiers") == gates.key else None


def _path(record: Record, method: str, runs: Path) -> Path:
    return runs / "opposite" / record.preset / record.task / f"{method}.json"


def _place(trial: Trial) -> int:
    """The column of the planted attribute in what the attribute oracles see."""
    attributes = trial.faces().attributes
    assert attributes is not None  # noqa: S101 - drawn faces have some
    return list(attributes.columns).index(trial.planted.attribute)


def majority_names(planted: Planted) -> dict[str, str]:
    """Kind of classifier -> what faces of the label mostly are, of those that it learns from."""
    return dict(zip(MAJORITIES, (f"mostly not {planted.attribute}", f"mostly {planted.attribute}"), strict=True))


def majorities(answers: Mapping[str, Mapping[str, Tensor]], planted: Planted, place: int) -> Study:
    """In how many answers the planted attribute appears and vanishes, by classifier and target; and the contrast.

    Parameters
    ----------
    answers
        Kind of classifier, both on the same N queries -> what `Trial.answer` keeps: (N, A) "changes" and "before", (N,)
        "target" and "valid".
    planted
        The bias.
    place
        Which of the A attributes is planted.

    """
    named = majority_names(planted)
    rows = [
        {"classifier": named[kind], "towards": towards, **_row(found, found["target"] == target, planted, place)}
        for kind, found in answers.items()
        for target, towards in ((1, planted.label), (0, f"not {planted.label}"))
        if (found["target"] == target).any()
    ]
    lacking, having = (answers[kind]["changes"][:, place].double() for kind in MAJORITIES)
    rows.append({"classifier": DIFFERENCE, "towards": "both", **_signed(having - lacking)})
    return Study(
        title=f"{planted.attribute} in the answers for two opposite classifiers",
        rows=rows,
        notes=(
            f"classifiers of {planted.label}; of the faces of {planted.label} that they learn from "
            f"{' and '.join(f'{100 * share:g} %' for share in MAJORITIES.values())} are not {planted.attribute}",
            "shares of all answers, valid or not, as the attribute oracle sees them; x̃: reconstructions, x': answers",
            f"signed change: of {planted.attribute} towards {planted.label}, −1 to 1; the last row: of the same query, "
            f"{named['majority with']} minus {named['majority without']}",
        ),
    )


def _row(found: Mapping[str, Tensor], here: Tensor, planted: Planted, place: int) -> dict[str, str | int | float]:
    """Of the answers `here`, (N,) bool, not none of them."""
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


def _signed(changes: Tensor) -> dict[str, str | int | float]:
    value, low, high, n = mean(changes)
    return {"signed change": value, "low": low, "high": high, "n": n}
