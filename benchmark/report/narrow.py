"""A narrow table of chosen methods and metrics, for a paper: mean ± std over seeds, the best in bold."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import pandas as pd

from benchmark.errors import UserError
from benchmark.report.cells import Mean, Results, Table, as_table, count, written
from benchmark.report.notes import of_run, of_task
from benchmark.report.numbers import at
from metrics import METRICS

BOLD = (
    "bold: the best mean of a task as it is printed, where the better direction is known; references do not compete; "
    "it says nothing of chance"
)


def narrow(results: Results, metrics: Sequence[str], relaxations: Sequence[float] | None = None) -> Table:
    """A row a task and method, a column a metric and r; by default at the smallest r that was run.

    Raises
    ------
    UserError
        If nothing was run at one of the `relaxations`, or a metric has no number at any.
    """
    parts = [at(results.numbers, r) for r in relaxations or (None,)]
    shown = [(name, r, rows) for r, rows in parts for name in metrics if _belongs(name, r, parts)]
    several = len(parts) > 1
    columns = {_heading(name, r if several else None): (name, rows[rows["metric"] == name]) for name, r, rows in shown}
    for name, rows in columns.values():
        if rows["value"].isna().all():
            raise UserError(f"no {name} of these methods at r = {', '.join(f'{r:g}' for r, _ in parts)}")
    references = {(record.task, record.method): record.reference for record in results}
    jobs = list(references)
    cells = pd.DataFrame(jobs, columns=["task", "method"])
    numbers = results.numbers
    cells["n"] = [count(numbers[(numbers["task"] == task) & (numbers["method"] == method)]) for task, method in jobs]
    for heading, (name, rows) in columns.items():
        cells[heading] = _column(name, rows, jobs, ~np.array(list(references.values())))
    if len(results.tasks) == 1:
        cells = cells.drop(columns="task")
    where = ", ".join(f"{r:g}" for r, _ in parts)
    notes = (*of_run(results), *(of_task(results.on(task)) for task in results.tasks), BOLD)
    return as_table(
        "table",
        f"{', '.join(results.tasks)} at r = {where}",
        cast(list[dict[str, str]], cells.to_dict("records")),
        results,
        notes,
    )


def _belongs(name: str, r: float, parts: Sequence[tuple[float, pd.DataFrame]]) -> bool:
    """Whether a metric has a column of this r: of what no r applies to there is one column, under the first."""
    return METRICS[name].per_relaxation or r == parts[0][0]


def _heading(name: str, r: float | None) -> str:
    metric = METRICS[name]
    title = metric.title if metric.heading else f"{name} {metric.title}".strip()
    return title if r is None or not metric.per_relaxation else f"{title} (r = {r:g})"


def _column(name: str, rows: pd.DataFrame, jobs: Sequence[tuple[str, str]], competing: np.ndarray) -> list[str]:
    """The cells of a metric, a cell a job; those in bold that print the best value of their task."""
    metric = METRICS[name]
    means = [Mean.of(rows[(rows["task"] == task) & (rows["method"] == method)]) for task, method in jobs]
    printed = np.array([float(metric.shown.text(mean.value)) for mean in means])  # NaN where there is none
    texts = ["" if np.isnan(mean.value) else written(metric.shown, *mean[:2], np.nan, np.nan) for mean in means]
    if metric.better:
        for task in dict.fromkeys(task for task, _ in jobs):
            here = competing & np.isfinite(printed) & [of == task for of, _ in jobs]
            if here.sum() > 1:
                best = (max if metric.better == "higher" else min)(printed[here])
                texts = [
                    f"**{text}**" if wins else text for text, wins in zip(texts, here & (printed == best), strict=True)
                ]
    return texts
