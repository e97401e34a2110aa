"""How the numbers came about: settings, judges, versions, commit, processor, seconds."""

from collections.abc import Sequence
from typing import Any

from benchmark.records.record import Judge, Record
from benchmark.report.page.chapters import Part


def parts(records: Sequence[Record]) -> list[Part]:
    """Tables that fold; what all records share stands once."""
    good = [record for record in records if record.status == "ok"]
    made = [_settings(good), _judges(good), _machine(good), _seconds(good)]
    return [part for part in made if part.rows]


def _settings(records: Sequence[Record]) -> Part:
    """A row a method and setting; where tasks differ, all values with their tasks."""
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    for record in records:
        for name, value in record.config.items():
            tasks = found.setdefault((record.method, name), {}).setdefault(str(value), [])
            if record.task not in tasks:
                tasks.append(record.task)
    rows = [(method, name, _told(values)) for (method, name), values in found.items()]
    return Part("Settings of the methods", ("method", "setting", "value"), rows)


def _told(values: dict[str, list[str]]) -> str:
    if len(values) == 1:
        return next(iter(values))
    return "; ".join(f"{value} ({', '.join(tasks)})" for value, tasks in values.items())


def _judges(records: Sequence[Record]) -> Part:
    """Classifier, panel and its members, of each task and seed: accuracies on clean and corrupted test pictures."""
    found = {
        (record.task, str(record.seed), role): judge for record in records for role, judge in _by_role(record).items()
    }
    under = sorted({name for judge in found.values() for name in judge.corrupted})
    columns = ("task", "seed", "judge", "n", "clean %", *(f"{name} %" for name in under))
    rows = [(*key, *_judge(judge, under)) for key, judge in found.items()]
    return Part("Classifier and oracle", (*columns, "trained on", "seconds", "settings"), rows)


def _by_role(record: Record) -> dict[str, Judge]:
    """The judges of a record, by what the page calls them."""
    judges = {"classifier": record.classifier, "oracle (panel)": record.oracle}
    members = record.oracle.members if record.oracle is not None else []
    judges |= {f"oracle {place}": member for place, member in enumerate(members, 1)}
    return {role: judge for role, judge in judges.items() if judge is not None}


def _judge(judge: Judge, under: Sequence[str]) -> tuple[str, ...]:
    settings = ", ".join(f"{name} = {value}" for name, value in judge.config.items())
    accuracies = (judge.test_accuracy, *(judge.corrupted.get(name) for name in under))
    percent = ("" if value is None else f"{100 * value:.1f}" for value in accuracies)
    return str(judge.test_n), *percent, judge.trained_on, f"{judge.fit_seconds:.1f}", settings


def _machine(records: Sequence[Record]) -> Part:
    """Commit, versions and processor; several where records differ."""
    found: dict[str, dict[str, None]] = {}
    for record in records:
        for name, value in _flat(record.environment).items():
            found.setdefault(name, {})[value] = None
        found.setdefault("preset, split", {})[f"{record.preset}, {record.split}"] = None
    return Part(
        "Versions and machine", ("what", "which"), [(name, "; ".join(values)) for name, values in found.items()]
    )


def _flat(environment: dict[str, Any]) -> dict[str, str]:
    packages = environment.get("packages", {})
    rest = {name: str(value) for name, value in environment.items() if name != "packages"}
    return rest | {name: str(version) for name, version in packages.items()}


def _seconds(records: Sequence[Record]) -> Part:
    """Seconds and memory of each job."""
    rows = [
        (record.task, record.method, str(record.seed), *(_timing(record, name) for name in TIMED)) for record in records
    ]
    return Part("Seconds and memory of each job", ("task", "method", "seed", *TIMED.values()), rows)


TIMED = {
    "fit_seconds": "training s",
    "seconds_per_counterfactual": "s a query",
    "peak_memory": "MiB at most",
}


def _timing(record: Record, name: str) -> str:
    value = next((row.value for row in record.timings if row.metric == name), None)
    return "" if value is None else f"{value:.3g}" if value < 1 else f"{value:.1f}"
