"""All that the page knows, collected from records and artefacts, as JSON can hold it."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.records.record import Record
from benchmark.report.cells import Results
from benchmark.report.doubts import DOUBTED, doubted, first_words
from benchmark.report.notes import notes_of
from benchmark.report.page.chapters import unmarked
from benchmark.report.page.colours import colours_of, mark_of
from benchmark.report.page.columns import ALL_SEEDS, Cells, cells_of, choices_of, columns, relaxations_of
from benchmark.report.page.queries import pictured, set_of
from benchmark.report.page.sentence import most_convincing, sentences, warnings
from benchmark.report.page.significance import significance
from benchmark.report.trainings import about

TOLD = {"failed": "failed", "unasked": "not asked"}
"""Status -> what the page says of it."""


def collect(records: Sequence[Record], runs: Path) -> dict[str, Any]:
    """Everything that the page shows of `records`, of success and failure; `runs` holds what they rest on.

    The task that most methods were asked about comes first: the page opens with it.
    """
    results = Results.of(records)
    good, count = results.good, pictured([record for record in results if record.status == "ok"])
    by_task = sorted(map(results.on, results.tasks), key=lambda some: -len({record.method for record in some.good}))
    return {
        "columns": [column.facts() for column in columns()],
        "methods": {one.method: _method(one) for one in sorted(chain(*by_task), key=lambda one: one.reference)},
        "tasks": [_task(some[0].task, some.good, some, runs, count) for some in by_task],
        "doubt": DOUBTED,
        "notes": [unmarked(note) for note in notes_of(good)] if good else [],
    }


def _method(record: Record) -> dict[str, Any]:
    light, dark = colours_of(record.method, reference=record.reference)
    mark = mark_of(record.method, reference=record.reference)
    return {"light": light, "dark": dark, "mark": mark, "reference": record.reference}


def _task(task: str, good: Results, all_of_it: Results, runs: Path, count: int) -> dict[str, Any]:
    """One task: its numbers, what they say, its queries, and what failed."""
    relaxations = relaxations_of(good)
    cells = cells_of(good, relaxations) if good else {}
    seeds, references = sorted({record.seed for record in good}), {one.method for one in good if one.reference}
    sets = {str(seed): set_of([one for one in good if one.seed == seed], relaxations, runs, count) for seed in seeds}
    return {
        "name": task,
        "warnings": warnings(all_of_it),
        "classes": good[0].data.get("classes", []) if good else [],
        "relaxations": relaxations,
        "choices": choices_of(seeds),
        "about": {choice: about(_chosen(good, choice)) for choice in choices_of(seeds)},
        "doubted": sorted(doubted(good)),
        "cells": cells,
        "words": significance(good, relaxations, runs),
        "said": _said(task, cells, good, references, relaxations),
        "best": {
            choice: [most_convincing(rows, references, place) for place in range(len(relaxations))]
            for choice, rows in cells.items()
        },
        "sets": {seed: found for seed, found in sets.items() if found is not None},
        "failed": [
            {"method": record.method, "seed": record.seed, "told": TOLD[record.status], "reason": record.reason}
            for record in all_of_it
            if record.status != "ok"
        ],
    }


def _chosen(good: Results, choice: str) -> pd.DataFrame:
    """The numbers of one choice of seeds."""
    return good.numbers if choice == ALL_SEEDS else good.numbers[good.numbers["seed"] == int(choice)]


def _said(
    task: str, cells: Cells, good: Results, references: set[str], relaxations: Sequence[float]
) -> dict[str, list[list[str]]]:
    """Choice -> the sentences at each relaxation; first of all, that the oracle cannot judge, where it cannot."""
    first = first_words(task, good)
    return {
        choice: [
            [*first, *sentences(task, rows, references, relaxation, place, choice)]
            for place, relaxation in enumerate(relaxations)
        ]
        for choice, rows in cells.items()
    }
