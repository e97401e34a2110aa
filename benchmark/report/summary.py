"""The summaries: a row a task and method, at the strongest intervention, with marks at what stands out."""

import pandas as pd

from benchmark.report.cells import Results, Table, as_table, cell, count
from benchmark.report.doubts import doubted, marked, warnings
from benchmark.report.marks import BEST, UNBEATEN, UNBEATEN_NOTE, Marks, unbeaten_in
from benchmark.report.notes import MORE, of_methods, of_metrics, of_run, of_tasks
from benchmark.report.trainings import about
from metrics import METRICS, Metric

TITLES = {
    "summary": "All methods",
    "plausibility": "Whether answers look real, and edits behave like edits,",
    "models": "What only some methods tell of their models",
    "truth": "Against the exact counterfactual",
}
"""Table -> title; a metric's line in the registry names its table."""


def summaries(records: Results, marks: Marks) -> list[Table]:
    """Four tables, a row a task and method, at the smallest relaxation; marks at what stands out.

    What was not asked at the smallest of all has its own smallest, which its row names. The first table has the notes
    that all share.
    """
    numbers = records.numbers
    strongest, jobs = numbers["relaxation"].min(), ["task", "method"]
    own = numbers.groupby(jobs)["relaxation"].transform("min")
    here = numbers["relaxation"].isna() | (numbers["relaxation"] == own)
    numbers = numbers[here & (numbers["subset"] == "all")]
    others = numbers.groupby(jobs)["relaxation"].min().loc[lambda smallest: smallest > strongest]
    references = {record.method for record in records if record.reference}
    alike = ~pd.MultiIndex.from_frame(numbers[jobs]).isin(others.index)
    unbeaten, doubts = unbeaten_in(numbers[alike], references), doubted(records.good)
    made: list[Table] = []
    for table, title in TITLES.items():
        shown = columns(table)
        rows = [
            {"task": str(task), "method": str(method), "r": _text(others.get((task, method))), "n": count(group)}
            | {
                marked(metric.title, name, doubts): cell(group[group["metric"] == name], metric)
                + (f" {BEST}" if (task, method, name) in marks.best else "")
                + (f" {UNBEATEN}" if (task, method, name) in unbeaten else "")
                for name, metric in shown.items()
            }
            for (task, method), group in numbers.groupby(["task", "method"], sort=False)
            if group["metric"].isin(shown).any()
        ]
        if rows:
            first = not made
            notes = [*of_run(records), *(of_tasks(records) if first else (MORE,)), *of_metrics(records.numbers, shown)]
            notes += of_methods(records) if first else ()
            notes += marks.notes if first or any(metric in shown for _, _, metric in marks.best) else ()
            notes += (UNBEATEN_NOTE,) if any(metric in shown for _, _, metric in unbeaten) else ()
            notes += warnings(records.good) if doubts & shown.keys() else []
            made.append(as_table(table, f"{title} at r = {strongest:g}; {about(numbers)}", rows, records, tuple(notes)))
    return made


def _text(relaxation: float | None) -> str:
    """Of a method that was asked at other r; an empty column is left out."""
    return "" if relaxation is None else f"{relaxation:g}"


def columns(table: str) -> dict[str, Metric]:
    """The metrics that have a column in `table`, by name, from the left."""
    found = {name: metric for name, metric in METRICS.items() if metric.table == table}
    return dict(sorted(found.items(), key=lambda item: item[1].place))
