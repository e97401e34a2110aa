"""The summaries: a row a task and method, at the strongest intervention, and marks at what stands out."""

import pandas as pd

from benchmark.report.cells import Results, Table, as_table, cell, count
from benchmark.report.compare import BEST, Marks
from metrics import METRICS, Metric

TITLES = {
    "summary": "All methods",
    "plausibility": "Whether answers look real, and edits behave like edits,",
    "models": "What only some methods tell of their models",
    "truth": "Against the exact counterfactual",
}
"""Table -> title; a metric's line in the registry names its table."""

UNBEATEN = "†"
"""At a reference's number that no method's is better than."""
UNBEATEN_NOTE = f"{UNBEATEN}: no method is better than this reference: the number alone does not tell an explanation"


def summaries(records: Results, notes: tuple[str, ...], marks: Marks) -> list[Table]:
    """Four tables, a row a task and method, at the smallest relaxation; marks at what stands out."""
    numbers = records.numbers
    strongest = numbers["relaxation"].min()
    here = numbers["relaxation"].isna() | (numbers["relaxation"] == strongest)
    numbers = numbers[here & (numbers["subset"] == "all")]
    references = {record.method for record in records if record.reference}
    unbeaten = _unbeaten(numbers, references)
    made = []
    for table, title in TITLES.items():
        shown = columns(table)
        rows = [
            {"task": str(task), "method": str(method), "n": count(group)}
            | {
                metric.title: cell(group[group["metric"] == name], metric)
                + (f" {BEST}" if (task, method, name) in marks.best else "")
                + (f" {UNBEATEN}" if (task, method, name) in unbeaten else "")
                for name, metric in shown.items()
            }
            for (task, method), group in numbers.groupby(["task", "method"], sort=False)
            if group["metric"].isin(shown).any()
        ]
        daggers = (UNBEATEN_NOTE,) if any(metric in shown for _, _, metric in unbeaten) else ()
        if rows:
            said = (*notes, *marks.notes, *daggers)
            made.append(as_table(table, f"{title} at r = {strongest:g}", rows, records, said))
    return made


def columns(table: str) -> dict[str, Metric]:
    """The metrics that have a column in `table`, by name, from the left."""
    found = {name: metric for name, metric in METRICS.items() if metric.table == table}
    return dict(sorted(found.items(), key=lambda item: item[1].place))


def _unbeaten(numbers: pd.DataFrame, references: set[str]) -> set[tuple[str, str, str]]:
    """(task, reference, metric) wherever no method's number is better than the reference's."""
    found: set[tuple[str, str, str]] = set()
    for (task, name), group in numbers.groupby(["task", "metric"]):
        metric = METRICS.get(str(name))
        if metric is None or not metric.better:
            continue
        means = group.groupby("method")["value"].mean().dropna() * (1 if metric.better == "higher" else -1)
        own = means.index.isin(references)
        best = means[~own].max()  # NaN if no method has the number
        found |= {(str(task), str(method), str(name)) for method in means[own & (means >= best)].index}
    return found


def is_yardstick(metric: str) -> bool:
    """Whether it is a Fréchet distance of real images to others, of which there is one an extractor."""
    return metric.startswith("fid") and metric.endswith("_real")
