"""Records -> tables: one tidy file, and what is pivoted from it as csv, Markdown and LaTeX."""

from collections.abc import Collection, Sequence
from pathlib import Path

import pandas as pd

from benchmark.records.record import Record
from benchmark.report.cells import FORMATS, Results, Table, as_table, cell, count, means, tidy
from benchmark.report.doubts import doubted, marked, warnings
from benchmark.report.layout import TABLES
from benchmark.report.marks import UNMARKED, Marks, best
from benchmark.report.notes import MORE, of_run, of_task
from benchmark.report.summary import summaries
from benchmark.report.trainings import about
from methods.base import Study
from methods.files import write_whole
from metrics import METRICS


def tables(records: Sequence[Record], marks: Marks = UNMARKED) -> list[Table]:
    """The summaries, flip rates against r for each task, and what methods found out about themselves.

    `marks` says what the summaries mark as significantly best.
    """
    results = Results.of(records)
    if not (good := results.good):
        return []
    flips = [_flip_rates(results.on(task)) for task in good.tasks]
    return [*summaries(results, marks), *flips, *studies(good)]


def write_tables(
    records: Sequence[Record], folder: Path, runs: Path | None = None, formats: Collection[str] = FORMATS
) -> list[Table]:
    """The numbers of `records` in `folder`, and their tables in its folder of these; returns the tables to show.

    The tables are written as the `formats` say; with "csv" there is also means.csv, the means that are printed.
    With the outcomes of single queries, which lie in `runs`, the summaries mark what is significantly best.
    """
    results = Results.of(records)
    made = tables(results, UNMARKED if runs is None else best(records, runs))
    write_whole(folder / "metrics.csv", results.numbers.to_csv(index=False).encode())
    if not (timings := tidy(records, timings=True)).empty:  # a metrics.csv knows none
        write_whole(folder / "timings.csv", timings.to_csv(index=False).encode())
    if "csv" in formats:
        write_whole(folder / TABLES / "means.csv", means(results.numbers).to_csv(index=False).encode())
    for table in made:
        table.write(folder / TABLES, formats)
    return made


# -- pivoting ----------------------------------------------------------------------------------------------------------


def _flip_rates(results: Results) -> Table:
    """Of one task: a row a method, a column a relaxation: flip rate, its interval, and the oracle's agreement."""
    task, numbers = results[0].task, results.numbers[results.numbers["subset"] == "all"]
    rows = []
    for method, group in numbers.groupby("method", sort=False):
        row = {
            "method": str(method),
            "n": count(group),
            METRICS["mse"].title: cell(group[group["metric"] == "mse"], METRICS["mse"]),
        }
        for relaxation in sorted(group["relaxation"].dropna().unique()):
            row[f"r = {relaxation:g}"] = _flips(group[group["relaxation"] == relaxation])
        rows.append(row)
    notes = (*of_run(results), of_task(results.good), *warnings(results.good), MORE)
    flips = METRICS["flip_rate"].title
    agreement = marked(METRICS["oracle_agreement"].title, "oracle_agreement", doubted(results.good))
    title = f"{task}: {flips} [95 % interval] / {agreement}, against r; {about(numbers)}"
    return as_table(f"flip-rate-{task.replace('/', '_')}", title, rows, results, notes)


def _flips(numbers: pd.DataFrame) -> str:
    """The flip rate of one method at one relaxation, its interval, and the oracle's agreement, if known."""
    flips, agreement = (numbers[numbers["metric"] == name] for name in ("flip_rate", "oracle_agreement"))
    beside = "" if agreement.empty else f" / {100 * agreement['value'].mean():.1f}"
    return f"{cell(flips, METRICS['flip_rate'])}{beside}"


def studies(records: Sequence[Record]) -> list[Table]:
    """A table for each task and study: the rows of every method and seed that made it."""
    found: dict[tuple[str, str], list[tuple[Record, Study]]] = {}
    for record in records:
        for name, study in record.studies.items():
            found.setdefault((record.task, name), []).append((record, study))
    made = []
    for (task, name), parts in found.items():
        rows = [
            {"method": record.method, "seed": str(record.seed)} | {key: _number(value) for key, value in row.items()}
            for record, study in parts
            for row in study.rows
        ]
        title = f"{task}: {parts[0][1].title}"
        made.append(as_table(f"{name}-{task.replace('/', '_')}", title, rows, records, _study_notes(parts)))
    return made


def _study_notes(parts: Sequence[tuple[Record, Study]]) -> tuple[str, ...]:
    """The notes of a study; what only some of its records say is said of them."""
    sayers: dict[str, list[str]] = {}
    for record, study in parts:
        for note in study.notes:
            sayers.setdefault(note, []).append(f"{record.method}, seed {record.seed}")
    return tuple(note if len(who) == len(parts) else f"{'; '.join(who)}: {note}" for note, who in sayers.items())


def _number(value: str | float) -> str:
    """A study's cell: text and whole numbers as they are, others to four significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
