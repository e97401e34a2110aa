"""The commands that make records again: their tasks, methods and seeds, and whatever else was not the default."""

import json
import shlex
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pydantic import BaseModel

from benchmark.jobs.settings import CLASSIFIER, ORACLES, method_config
from benchmark.judges.spec import ClassifierSpec
from benchmark.records.record import SOURCE, Record
from methods import METHODS

USUAL = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Relaxations unless others are asked for."""


Options = Callable[[Sequence[Record]], Sequence[str]]
"""The records of one task -> the options that make them."""


def run_again(records: Sequence[Record]) -> str:
    """`benchmark run`, a line for each group of tasks that were asked alike; nothing of what `score` has kept.

    Settings of methods, classifier and oracle are told where they differ from the preset's, others as they were said.
    """
    run = [record for record in records if record.method in METHODS or record.plugins]
    lines = grouped("run", "--tasks", run, _of_run)
    return "\n".join(lines if len(lines) < 2 else [*lines, _line("report", _of_preset(run[0]))])


def paper_again(name: str, records: Sequence[Record]) -> str:
    """`benchmark paper`, a line for each group of tasks that were asked under the same seeds.

    The last line alone writes a page of one task; after several, `report` writes a page of all.
    """
    lines = grouped(f"paper {name}", "--task", records, lambda mine: [_seeds(mine), *_of_preset(mine[0])])
    return "\n".join(lines if len(lines) < 2 else [*lines, _line("report", _of_preset(records[0]))])


def grouped(command: str, option: str, records: Sequence[Record], options: Options) -> list[str]:
    """The command for each group of tasks that share their `options`."""
    asked: dict[tuple[str, ...], list[str]] = {}
    for task in dict.fromkeys(record.task for record in records):
        asked.setdefault(tuple(options([record for record in records if record.task == task])), []).append(task)
    return [_line(command, [f"{option} {','.join(tasks)}", *rest]) for rest, tasks in asked.items()]


def _line(command: str, options: Iterable[str]) -> str:
    return " ".join(["python -m benchmark", command, *options])


def _of_run(records: Sequence[Record]) -> list[str]:
    first = next((record for record in records if record.status == "ok"), records[0])
    found = [f"--methods {_joined(record.method for record in records)}", _seeds(records), *_of_preset(first)]
    found += [f"--split {first.split}"] if first.split == "validation" else []
    found += [f"--limit {first.limit}"] if first.limit else []
    if first.relaxations and tuple(sorted(first.relaxations)) != USUAL:
        found.append(f"--relaxations {_joined(f'{r:g}' for r in first.relaxations)}")
    found += [
        f"--plugin {shlex.quote(file)}" for file in dict.fromkeys(file for one in records for file in one.plugins)
    ]
    found += [
        " ".join([name, *map(shlex.quote, filter(None, [value]))])
        for name, value in first.data.get("folder", {}).items()
    ]
    found += [
        _set(name, field, value)
        for name, fields in first.data.get("overrides", {}).items()
        for field, value in fields.items()
    ]
    return found + list(dict.fromkeys(option for record in records for option in _changed(record)))


def _seeds(records: Sequence[Record]) -> str:
    return f"--seeds {_joined(str(seed) for seed in sorted({record.seed for record in records}))}"


def _of_preset(record: Record) -> list[str]:
    return [f"--preset {record.preset}"] if record.preset not in ("default", "") else []


def _joined(names: Iterable[str]) -> str:
    return ",".join(dict.fromkeys(names))


def _changed(record: Record) -> list[str]:
    """What was set otherwise than the preset has it, as options."""
    channels = record.data.get("shape", [1])[0]
    found: list[tuple[str, dict[str, Any], BaseModel]] = []
    if record.method in METHODS and record.config:
        found.append((record.method, record.config, method_config(record.method, record.preset, {}, channels)))
    members = record.oracle.members if record.oracle is not None else []
    for section, judge in ((CLASSIFIER, record.classifier), *zip(ORACLES.values(), members, strict=False)):
        if judge is not None and SOURCE not in judge.config:
            found.append((section.name, judge.config, section.resolved(record.preset, {}, channels)))
    return _own_classifier(record) + [
        _set(name, field, values[field])
        for name, values, known in found
        for field, value in known.model_dump(mode="json").items()
        if field in values and values[field] != value
    ]


def _set(section: str, field: str, value: object) -> str:
    return f"--set {shlex.quote(f'{section}.{field}={json.dumps(value)}')}"


def _own_classifier(record: Record) -> list[str]:
    """The options that name a classifier of the user's own; paths are theirs."""
    config = record.classifier.config if record.classifier is not None else {}
    if SOURCE not in config:
        return []
    said = ClassifierSpec.model_validate(config)
    options = {
        "--classifier": said.source,
        "--classifier-weights": said.weights,
        "--input": said.input.text(),
        "--output": said.output if said.output != "logits" else "",
        "--output-columns": ",".join(map(str, said.columns or ())),
        "--classes": said.classes_file,
        "--features": said.features,
    }
    told = [f"{name} {shlex.quote(str(value))}" for name, value in options.items() if value]
    return told + ["--trust-code"] * said.trust_code
