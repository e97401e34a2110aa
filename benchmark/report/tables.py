"""Records -> tables: one tidy file, and what is pivoted from it as csv, Markdown and LaTeX."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmark.records.record import Record
from benchmark.report.cells import Results, Table, as_table, cell, count, tidy
from benchmark.report.marks import UNMARKED, Marks, best
from benchmark.report.summary import TITLES, columns, is_yardstick, summaries
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
    flips = [_flip_rates(good.on(task), notes_of(results.on(task))) for task in good.tasks]
    return [*summaries(good, notes_of(results), marks), *flips, *studies(good)]


def write_tables(records: Sequence[Record], folder: Path, runs: Path | None = None) -> list[Table]:
    """Everything that is made of `records`, written to `folder`; returns the tables to show.

    With the outcomes of single queries, which lie in `runs`, the summaries mark what is significantly best.
    """
    results = Results.of(records)
    for name, numbers in (("metrics", results.numbers), ("timings", tidy(records, timings=True))):
        write_whole(folder / f"{name}.csv", numbers.to_csv(index=False).encode())
    made = tables(results, UNMARKED if runs is None else best(records, runs))
    for table in made:
        table.write(folder)
    return made


# -- pivoting ----------------------------------------------------------------------------------------------------------


def _flip_rates(results: Results, notes: tuple[str, ...]) -> Table:
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
    flips, agreement = METRICS["flip_rate"].title, METRICS["oracle_agreement"].title
    title = f"{task}: {flips} [95 % interval] / {agreement}, against r"
    return as_table(f"flip-rate-{task.replace('/', '_')}", title, rows, results, notes)


def _flips(numbers: pd.DataFrame) -> str:
    """The flip rate of one method at one relaxation, its interval, and the oracle's agreement."""
    flips, agreement = (numbers[numbers["metric"] == name] for name in ("flip_rate", "oracle_agreement"))
    return f"{cell(flips, METRICS['flip_rate'])} / {100 * agreement['value'].mean():.1f}"


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


# -- notes -------------------------------------------------------------------------------------------------------------


def notes_of(records: Sequence[Record]) -> tuple[str, ...]:
    """What a reader has to know before the numbers mean anything, without repeating itself."""
    good = Results.of(records).good
    notes = [f"preset `{preset}`, {split} split" for preset, split in dict.fromkeys((r.preset, r.split) for r in good)]
    notes += [f"**partial run**: --limit {limit}" for limit in dict.fromkeys(r.limit for r in good) if limit]
    notes += [_task_note(good.on(task)) for task in good.tasks]
    for record in good:
        if changed := record.data.get("settings"):
            note = f"{record.task}: drawn with {', '.join(f'{name} = {value}' for name, value in changed.items())}"
            notes += [note] if note not in notes else []
    notes.append(
        "[low, high]: 95 % interval (Wilson for rates, bootstrap for Fréchet distances, jackknife for KID, too "
        "narrow near 0)"
    )
    numbers = good.numbers
    for name in (name for name in numbers["metric"].unique() if is_yardstick(name)):
        counts = " and ".join(map(str, sorted({int(n) for n in numbers[numbers["metric"] == name]["n"]}, reverse=True)))
        extractor = name.removeprefix("fid_").removesuffix("_real")
        features = {"oracle": "the oracle's penultimate features"}.get(extractor, f"{extractor} features")
        notes.append(
            f"FID, KID ({extractor}): {features}, n = {counts}, to as many other real images; real: of real to real"
        )
    probed = [name for table in TITLES for name, metric in columns(table).items() if metric.probed]
    there = numbers[numbers["metric"].isin(probed) & (numbers["subset"] == "all")]
    if len(there):
        names = ", ".join(METRICS[name].heading for name in probed if name in set(there["metric"]))
        counts = " and ".join(f"{n:.0f}" for n in sorted(set(there.groupby("task")["n"].max()), reverse=True))
        notes.append(f"{names}: of the first {counts} queries")
    for remark in dict.fromkeys(remark for record in good for remark in record.remarks):
        notes.append(f"{_of_whom(remark, good)}: {remark}")
    notes += [f"**failed**: {r.method} on {r.task}, seed {r.seed}: {r.reason}" for r in records if r.status != "ok"]
    return tuple(notes)


def _of_whom(remark: str, records: Sequence[Record]) -> str:
    """The methods that say it, and on which tasks, where a method does not say it of all that it was asked."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for method in dict.fromkeys(r.method for r in records if remark in r.remarks):
        asked = dict.fromkeys(r.task for r in records if r.method == method)
        saying = dict.fromkeys(r.task for r in records if r.method == method and remark in r.remarks)
        groups.setdefault(() if saying == asked else tuple(saying), []).append(method)
    return "; ".join(", ".join(who) + (f" on {', '.join(tasks)}" if tasks else "") for tasks, who in groups.items())


def _task_note(records: Results) -> str:
    """The seeds of one task, and the test accuracy of its classifier and oracle, with n and interval."""
    numbers = records.numbers.drop_duplicates(["seed", "metric"])
    parts = []
    for role in ("classifier", "oracle"):
        here = numbers[numbers["metric"] == f"{role}_accuracy"]
        value, low, high = (100 * here[column].mean() for column in ("value", "low", "high"))
        parts.append(f"{role} {value:.1f} [{low:.1f}, {high:.1f}]")
    n = int(numbers[numbers["metric"] == "classifier_accuracy"]["n"].max())
    by_method: dict[tuple[int, ...], list[str]] = {}
    for method in dict.fromkeys(record.method for record in records):
        by_method.setdefault(tuple(sorted(r.seed for r in records if r.method == method)), []).append(method)
    told = {_seeds(seeds): f"{', '.join(who)}: " * (len(by_method) > 1) for seeds, who in by_method.items()}
    runs = "; ".join(who + seeds for seeds, who in told.items())
    return f"{records[0].task}: {runs}; test accuracy % of the {' and the '.join(parts)}, n = {n}"


def _seeds(seeds: Sequence[int]) -> str:
    """What a cell shows of a method that was asked under `seeds`."""
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"mean ± std over seeds {', '.join(map(str, seeds))}"
