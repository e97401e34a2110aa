"""A blind sheet: answers of unnamed methods for a person to judge; and how the oracle agrees with what people said."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from benchmark.errors import UserError
from benchmark.records.record import Record
from benchmark.records.store import find
from benchmark.report.page.chapters import Chapter, Part
from benchmark.report.page.html import fill
from benchmark.report.page.sprites import fitting, sheet
from methods.files import write_whole
from metrics.intervals import proportion
from metrics.metric import RATE

NAME = "blind.html"
SAVED = "blind*.json"
"""What the sheet saves is called blind.json; several people's files can lie side by side."""
REAL = 5
"""One picture of so many is a real one, so that what people call real can be held against it."""
SEED = 0
"""The same records always make the same sheet."""


class Shown(NamedTuple):
    """A picture of a sheet, with all that its reader must not know."""

    code: str
    """What it is called on the sheet: a hash, which names nothing."""
    task: str
    method: str
    """Empty of a real picture."""
    picture: Tensor
    """(C, H, W) uint8."""
    target: str
    """The class that it should become; of a real picture the one that the classifier sees."""
    classifier: str
    """The class that the classifier sees in it."""
    oracle: str


class Said(BaseModel):
    """What a person said of one picture."""

    model_config = ConfigDict(extra="forbid")

    code: str
    seen: str
    """A class, or "" for none of them."""
    real: bool


class Sheet(BaseModel):
    """The file that a sheet saves."""

    model_config = ConfigDict(extra="forbid")

    answers: list[Said]


def write_sheet(records: Sequence[Record], runs: Path, folder: Path, count: int) -> Path:
    """Write `blind.html`, with so many pictures, or as many as there are.

    Raises
    ------
    UserError
        If the pictures of these records are not on disk any more.
    """
    drawn = chosen(pictures_of(records, runs), count)
    if not drawn:
        raise UserError("the pictures of these records are not on disk any more; benchmark run makes them again")
    classes = {record.task: record.data["classes"] for record in records if record.status == "ok"}
    data = {"pictures": [_told(shown, classes[shown.task]) for shown in drawn]}
    write_whole(folder / NAME, fill("blind", "What do you see?", data).encode())
    return folder / NAME


def _told(shown: Shown, classes: Sequence[str]) -> dict[str, object]:
    """What the sheet knows of a picture."""
    picture = sheet(fitting(shown.picture)[None, None])
    return {"code": shown.code, "picture": picture, "classes": list(classes)}


def pictures_of(records: Sequence[Record], runs: Path) -> list[Shown]:
    """The answers at the smallest r of the lowest seed of each task, with pictures on disk; and their queries."""
    found: dict[str, Shown] = {}
    for record in records:
        lowest = min(other.seed for other in records if other.task == record.task)
        if record.status == "ok" and record.seed == lowest:
            found |= {shown.code: shown for shown in _of_record(record, runs)}
    return list(found.values())


def _of_record(record: Record, runs: Path) -> list[Shown]:
    answered, scored = (find(runs, record.artefacts.get(stage, ""))[0] for stage in ("explain", "score"))
    if not answered or "answer_oracle_classes" not in scored:
        return []
    place = int(np.argmin(record.relaxations))
    count, classes = len(answered["queries"]), record.data["classes"]
    names = [
        [classes[label] if label >= 0 else "" for label in labels[:count].tolist()]
        for labels in (
            answered["targets"],
            scored["answer_classes"][place],
            scored["answer_oracle_classes"][place],
            scored["predicted"],
        )
    ]
    answers = [
        Shown(_code(picture, target), record.task, record.method, picture, target, seen, judged)
        for picture, target, seen, judged in zip(answered["images"][place], *names[:3], strict=True)
        if seen  # a query without an answer stands there itself
    ]
    if record.reference:
        answers = []  # an explanation is to be judged, not what gives the scale
    own = [
        Shown(_code(picture, seen), record.task, "", picture, seen, seen, "")
        for picture, seen in zip(answered["queries"], names[3], strict=True)
    ]
    return [*answers, *own]


def _code(picture: Tensor, target: str) -> str:
    return hashlib.sha256(picture.contiguous().numpy().tobytes() + target.encode()).hexdigest()[:16]


def chosen(pictures: Sequence[Shown], count: int) -> list[Shown]:
    """So many of them, shuffled: one in `REAL` is real, and methods have turns; the same for the same pictures."""
    random = np.random.default_rng(SEED)
    piles: dict[str, list[Shown]] = {}
    for place in random.permutation(len(pictures)):
        piles.setdefault(pictures[place].method, []).append(pictures[place])
    real = piles.pop("", [])[: max(1, count // REAL)]
    turns = [shown for turn in _turns(list(piles.values())) for shown in turn][: count - len(real)]
    drawn = [*real, *turns]
    return [drawn[place] for place in random.permutation(len(drawn))]


def _turns(piles: Sequence[Sequence[Shown]]) -> list[list[Shown]]:
    """The first of each pile, then the second of each, and so on."""
    return [[pile[turn] for pile in piles if turn < len(pile)] for turn in range(max(map(len, piles), default=0))]


# -- what people said --------------------------------------------------------------------------------------------------


def read_sheets(folder: Path) -> list[Said]:
    """What people have said, of all files in a results folder.

    Raises
    ------
    UserError
        If a file is not what a sheet saves.
    """
    found: list[Said] = []
    for path in sorted(folder.glob(SAVED)):
        try:
            found += Sheet.model_validate_json(path.read_bytes()).answers
        except (OSError, ValidationError) as error:
            raise UserError(f"{path} is not what a blind sheet saves; take it away or save it again") from error
    return found


def chapters(records: Sequence[Record], runs: Path, folder: Path) -> list[Chapter]:
    """How classifier and oracle agree with people, if a person has said anything of these records' answers."""
    said = read_sheets(folder)
    known = {shown.code: shown for shown in pictures_of(records, runs)} if said else {}
    pairs = [(known[one.code], one) for one in said if one.code in known]
    if not pairs:
        return []
    answers = [(shown, one) for shown, one in pairs if shown.method]
    agreed = _rate([one.seen == shown.oracle for shown, one in answers])
    classified = _rate([one.seen == shown.classifier for shown, one in answers])
    texts = [
        f"People and the oracle see the same class in {agreed} % of {len(answers)} answers, people and the classifier "
        f"in {classified} %.",
        *([f"{len(said) - len(pairs)} judgements are of other pictures than these."] * (len(said) > len(pairs))),
    ]
    columns = ("pictures of", "n", "people see the target %", "both networks do %", "people see what the oracle sees %")
    rows = [_row(method, [pair for pair in pairs if pair[0].method == method]) for method in _methods(pairs)]
    part = Part("What people see", (*columns, "called real %"), rows, open=True)
    return [Chapter("people", "What people see in the answers", texts, parts=[part])]


def _methods(pairs: Sequence[tuple[Shown, Said]]) -> list[str]:
    """Methods, and last the real pictures."""
    return sorted({shown.method for shown, _ in pairs}, key=lambda method: (not method, method))


def _row(method: str, pairs: Sequence[tuple[Shown, Said]]) -> list[str]:
    both = [shown.target == shown.classifier == shown.oracle for shown, _ in pairs]
    judged = [one.seen == shown.oracle for shown, one in pairs]
    return [
        method or "real pictures",
        str(len(pairs)),
        _rate([one.seen == shown.target for shown, one in pairs]),
        _rate(both) if method else "",
        _rate(judged) if method else "",
        _rate([one.real for _, one in pairs]),
    ]


def _rate(yes: Sequence[bool]) -> str:
    """A share in per cent, with its 95 % interval."""
    found = proportion(torch.tensor(yes, dtype=torch.bool))
    return f"{RATE.text(found.value)} [{RATE.text(found.low)}, {RATE.text(found.high)}]" if yes else ""
