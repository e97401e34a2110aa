"""Notes under tables: each table has its own; the common ones are under the first table only."""

import math
from collections.abc import Collection, Sequence

import pandas as pd

from benchmark.records.record import Record
from benchmark.report.cells import Mean, Results, written
from benchmark.report.unlike import unlike
from metrics import METRICS
from metrics.metric import RATE

MORE = "notes common to all tables are under `summary`"
"""The note under every table but the first."""
UNKNOWN = "from a metrics.csv, which contains neither preset nor split, nor whether the run was partial"
INTERVALS = (
    "[low, high]: 95 % interval, about what the heading says; of one training: Wilson for rates, bootstrap for Fréchet "
    "distances, jackknife for KID (1.3 to 1.6 times too wide near 0); of three and more: Student's t of the trainings, "
    "never narrower than the queries alone make it"
)


def notes_of(records: Sequence[Record]) -> tuple[str, ...]:
    """All notes, for a page that is read on its own."""
    results = Results.of(records)
    return (*of_run(results), *of_tasks(results), *of_metrics(results.numbers, METRICS), *of_methods(results))


def of_run(records: Sequence[Record]) -> list[str]:
    """Notes on preset and split, and the warnings of every table: a partial run, failed jobs, what differs."""
    good = Results.of(records).good
    made = dict.fromkeys((record.preset, record.split) for record in good)
    notes = [f"preset `{preset}`, {split} split" if preset else UNKNOWN for preset, split in made]
    notes += [f"**partial run**: --limit {limit}" for limit in dict.fromkeys(r.limit for r in good) if limit]
    notes += [f"**not asked alike**: {line}" for line in unlike(good)]
    told = {"failed": "failed", "unasked": "not asked"}
    notes += [
        f"**{told[r.status]}**: {r.method} on {r.task}, seed {r.seed}: {r.reason}" for r in records if r.status in told
    ]
    return notes


def of_tasks(records: Sequence[Record]) -> list[str]:
    """Notes on seeds, accuracies and settings of the tasks, and on intervals."""
    good = Results.of(records).good
    notes = [of_task(good.on(task)) for task in good.tasks]
    for record in good:
        if changed := record.data.get("settings"):
            notes.append(
                f"{record.task}: drawn with {', '.join(f'{name} = {value}' for name, value in changed.items())}"
            )
        notes += [f"{record.task}: {remark}" for remark in record.data.get("remarks", [])]
    return [*dict.fromkeys(notes), INTERVALS]


def of_metrics(numbers: pd.DataFrame, shown: Collection[str]) -> list[str]:
    """Notes on the metrics `shown`: the features of Fréchet distances, and numbers over the first queries only."""
    there, notes = set(numbers["metric"]) & set(shown), []
    for yardstick in filter(is_yardstick, numbers["metric"].unique()):
        extractor = yardstick.removeprefix("fid_").removesuffix("_real")
        if any(name.partition("_")[2].startswith(extractor) for name in there):
            found = sorted({int(n) for n in numbers[numbers["metric"] == yardstick]["n"]}, reverse=True)
            features = {"oracle": "one oracle's penultimate features"}.get(extractor, f"{extractor} features")
            notes.append(
                f"FID, KID ({extractor}): {features}, n = {' and '.join(map(str, found))}, to as many other real "
                "images; real: distance of real images to real images"
            )
    probed = [name for name in METRICS if name in there and METRICS[name].probed]
    if probed:
        first = numbers[numbers["metric"].isin(probed) & (numbers["subset"] == "all")].groupby("task")["n"].max()
        counts = " and ".join(f"{n:.0f}" for n in sorted(set(first), reverse=True))
        headings = ", ".join(METRICS[name].heading for name in sorted(probed, key=lambda name: METRICS[name].place))
        notes.append(f"{headings}: of the first {counts} queries")
    return notes


def of_methods(records: Sequence[Record]) -> list[str]:
    """The methods' own remarks, each once with the names of its methods."""
    good = Results.of(records).good
    remarks = dict.fromkeys(remark for record in good for remark in record.remarks)
    return [f"{_of_whom(remark, good)}: {remark}" for remark in remarks]


def is_yardstick(metric: str) -> bool:
    """Whether `metric` is a Fréchet distance between real images; there is one per extractor."""
    return metric.startswith("fid") and metric.endswith("_real")


def _of_whom(remark: str, records: Sequence[Record]) -> str:
    """The methods with this remark, with the tasks if a method has it on some of its tasks only."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for method in dict.fromkeys(r.method for r in records if remark in r.remarks):
        asked = dict.fromkeys(r.task for r in records if r.method == method)
        saying = dict.fromkeys(r.task for r in records if r.method == method and remark in r.remarks)
        groups.setdefault(() if saying == asked else tuple(saying), []).append(method)
    return "; ".join(", ".join(who) + (f" on {', '.join(tasks)}" if tasks else "") for tasks, who in groups.items())


def of_task(records: Results) -> str:
    """The seeds of one task, and the test accuracy of its classifier and oracle, if known, with n and interval."""
    numbers = records.numbers.drop_duplicates(["seed", "metric"])
    clean, worst = (_accuracies(numbers, kind) for kind in ("accuracy", "accuracy_corrupted"))
    by_method: dict[tuple[int, ...], list[str]] = {}
    for method in dict.fromkeys(record.method for record in records):
        by_method.setdefault(tuple(sorted(r.seed for r in records if r.method == method)), []).append(method)
    told = {_seeds(seeds): f"{', '.join(who)}: " * (len(by_method) > 1) for seeds, who in by_method.items()}
    runs = "; ".join(who + seeds for seeds, who in told.items())
    accuracy = ""
    if clean:
        n = int(numbers[numbers["metric"].isin(["classifier_accuracy", "oracle_accuracy"])]["n"].max())
        accuracy = f"; test accuracy % of the {' and the '.join(clean)}, n = {n}"
    corrupted = f"; under the corruption that each reads worst: {' and '.join(worst)}" if worst else ""
    return f"{records[0].task}: {runs}{accuracy}{corrupted}"


def _accuracies(numbers: pd.DataFrame, kind: str) -> list[str]:
    """An accuracy of the classifier and of the oracle in per cent, mean over seeds, if there is one."""
    parts = []
    for role in ("classifier", "oracle"):
        here = numbers[numbers["metric"] == f"{role}_{kind}"]
        if len(here):
            mean = Mean.of(here)
            parts.append(f"{role} {written(RATE, mean.value, math.nan, mean.low, mean.high)}")
    return parts


def _seeds(seeds: Sequence[int]) -> str:
    """Description of a cell with results of `seeds`."""
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"mean ± std over seeds {', '.join(map(str, seeds))}"
