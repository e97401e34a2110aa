"""Which attributes change with flips, beside how often they go with the label in the data, as a chapter of the page."""

from collections.abc import Sequence

from benchmark.records.record import Record
from benchmark.records.screens import SCREEN
from benchmark.report.page.chapters import Chapter, Part
from benchmark.report.tables import studies


def chapters(records: Sequence[Record]) -> list[Chapter]:
    """One chapter of all screens; none where no attributes are known."""
    screened = [record for record in records if record.status == "ok" and set(SHOWN) & record.studies.keys()]
    if not screened:
        return []
    kept = [
        one.model_copy(update={"studies": {name: one.studies[name] for name in SHOWN if name in one.studies}})
        for one in screened
    ]
    return [
        Chapter(
            name="attributes",
            title="Which attributes change with flips",
            texts=[sentence(task, kept) for task in dict.fromkeys(record.task for record in kept)],
            parts=[Part.of(table, is_open=table.name.startswith(SCREEN)) for table in studies(kept)],
        )
    ]


SHOWN = (SCREEN, "attributes")
"""The studies that the chapter shows, first those that it is about."""


def sentence(task: str, records: Sequence[Record]) -> str:
    """What moves most with flips on a task, of the methods' answers; references explain nothing, and are left out."""
    rows = [
        (record.method, row)
        for record in records
        if record.task == task and not record.reference and SCREEN in record.studies
        for row in record.studies[SCREEN].rows
        if float(row["low"]) > 0 or float(row["high"]) < 0
    ]
    if not rows:
        return f"On {task} no attribute moves with the flips of any method by more than chance."
    method, row = max(rows, key=lambda item: abs(float(item[1]["with flips"])))
    return (
        f"On {task}, {row['attribute']} moves most: by {float(row['with flips']):+.2f} [{float(row['low']):+.2f}, "
        f"{float(row['high']):+.2f}] towards {row['towards']} in {row['n']} flips of {method}. In the data it goes "
        f"with {row['towards']} by {float(row['in the data']):+.2f}."
    )
