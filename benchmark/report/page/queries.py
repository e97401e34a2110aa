"""Every query of a task and seed: what each method answered, what the judges saw in it, and the first pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.records.record import Record
from benchmark.records.store import find
from benchmark.report.page.sprites import fitting, packed, rows_of, sheet
from methods.base import DONOR

AGREED = "value.oracle_agreement"
KEPT = ("asked", "targets", "predicted", "answer_probability", "answer_oracle_probability", "value.l1", AGREED)
"""What the score stage keeps of single queries, and a gallery needs."""
PARTS = 10_000
"""Parts of an L1 of 1: as many digits as tables show."""
VOTES = 240
"""Parts of a whole vote: the share of two, three, four, five, six or eight oracles is then a whole number."""
PICTURES = 21_000
"""Answers of which the page holds the pictures, over all tasks, seeds, methods and relaxations."""
FEWEST, MOST = 8, 250
"""Queries with pictures, of each task and seed."""
KIND = "intervention."
"""What the names of what a method intervened on begin with."""
ROWS = (KIND + DONOR, KIND + "bank_row")
"""Rows of training images, whose numbers mean nothing to a reader."""
READ = {"flipped": "reaches the target", "modules": "modules swapped", "weight": "weight of the distance"}
"""What a reader of the page understands better than the name."""
LONG = 64
"""Numbers of one intervention that are told, at most."""


def pictured(records: Sequence[Record]) -> int:
    """Queries of each task and seed whose pictures the page holds: more, where there are fewer answers."""
    answers = sum(max(1, len(record.relaxations)) * _weight(record) for record in records)
    return max(FEWEST, min(MOST, PICTURES // max(1, answers)))


def _weight(record: Record) -> int:
    """How many digits a picture is as large as."""
    channels, high, wide = record.data.get("shape", (1, 28, 28))
    return max(1, round(channels * high * wide / 784))


def set_of(records: Sequence[Record], relaxations: Sequence[float], runs: Path, count: int) -> dict[str, Any] | None:
    """The queries of one task and seed, and the answers of all `records` to them; None if nothing is on disk.

    A record that was asked something else than the first of them, or whose outcomes are gone, is left out.
    """
    made: dict[str, Any] | None = None
    first: Mapping[str, Tensor] = {}
    for record in records:
        scored = find(runs, record.artefacts.get("score", ""))[0]
        if not all(name in scored for name in KEPT):
            continue
        answered = find(runs, record.artefacts.get("explain", ""))[0]
        if made is None:
            first, made = scored, _questions(scored, answered, count)
        if _same(scored, first):
            made["methods"][record.method] = _answers(record, relaxations, scored, answered, made["pictures"])
    return made


def _same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in ("asked", "targets", "predicted"))


def _questions(scored: Mapping[str, Tensor], answered: Mapping[str, Tensor], count: int) -> dict[str, Any]:
    """What is asked: n queries, their classes as the classifier sees them, their targets, and the first pictures."""
    made: dict[str, Any] = {
        "n": len(scored["asked"]),
        "own": packed(_bytes(scored["predicted"])),
        "targets": packed(_bytes(scored["targets"])),
        "pictures": 0,
        "methods": {},
    }
    if answered:
        queries = fitting(answered["queries"][:count])
        queries = queries[: rows_of(queries)]
        made |= {"pictures": len(queries), "side": list(queries.shape[-2:]), "sheet": sheet(queries[:, None])}
    return made


def _answers(
    record: Record,
    relaxations: Sequence[float],
    scored: Mapping[str, Tensor],
    answered: Mapping[str, Tensor],
    count: int,
) -> dict[str, Any]:
    """What one method answered; `places` says which of the page's relaxations its columns are."""
    order = np.argsort(record.relaxations).copy()
    surely = {
        name: packed(_bytes((100 * scored[f"answer_{kind}probability"][order]).round()))
        for name, kind in (("sure", ""), ("oracleSure", "oracle_"))
    }
    seen = {
        name: packed(_bytes(scored[f"answer_{kind}classes"][order]))
        for name, kind in (("seen", ""), ("oracle", "oracle_"))
    }
    l1 = (PARTS * scored["value.l1"][order].double()).round().numpy().astype(np.uint16)
    places = [relaxations.index(record.relaxations[place]) for place in order]
    votes = packed(_bytes((VOTES * scored[AGREED][order]).round()))
    made = {"places": places, "l1": packed(l1), "votes": votes, **seen, **surely}
    if answered and count:
        pictures = fitting(answered["images"][order][:, :count])
        made["sheet"] = sheet(pictures.transpose(0, 1))
        made |= _interventions(answered, count)
    return made


def _bytes(values: Tensor) -> Any:  # noqa: ANN401 - an array
    return values.numpy().astype(np.uint8)


def _interventions(answered: Mapping[str, Tensor], count: int) -> dict[str, Any]:
    """What a method intervened on in each pictured query: path and donor as pictures, what is short in words."""
    found: dict[str, Any] = {}
    told: dict[str, list[str]] = {}
    if DONOR in answered:
        found["donor"] = sheet(fitting(answered[DONOR][:count])[:, None])
    for key in sorted(name for name in answered if name.startswith(KIND) and name not in ROWS):
        name, values = key.removeprefix(KIND), answered[key][:count]
        if values.dtype == torch.uint8 and values.dim() == 5:
            found["path"] = sheet(fitting(values))
            found["steps"] = values.shape[1]
        elif words := _words(values):
            told[READ.get(name, name.replace("_", " "))] = words
    return found | ({"told": told} if told else {})


def _words(values: Tensor) -> list[str]:
    """One text a query, of values (Q,) or marks (Q, K); none of what would be long."""
    if values.dtype == torch.bool and values.dim() == 2 and values.shape[1] <= LONG:
        return [_marked(row) for row in values]
    if values.dim() != 1:
        return []
    if values.dtype == torch.bool:
        return ["yes" if value else "no" for value in values.tolist()]
    return [f"{value:.3g}" if isinstance(value, float) else str(value) for value in values.tolist()]


def _marked(row: Tensor) -> str:
    """Which of K are marked, counted from 1."""
    places = [str(place + 1) for place in row.nonzero().flatten().tolist()]
    return f"{', '.join(places) or 'none'} of {len(row)}"
