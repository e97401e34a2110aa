"""The commands that make records again: their tasks, methods and seeds, and whatever else was not the default."""

import json
import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from benchmark.data.folder_config import folder_config
from benchmark.errors import UserError
from benchmark.jobs.settings import CLASSIFIER, ORACLES, method_config
from benchmark.judges.features import EXTRACTORS
from benchmark.judges.spec import ClassifierSpec
from benchmark.names import Precision
from benchmark.records.record import SOURCE, Record
from methods import METHODS

USUAL = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Relaxations unless others are asked for."""


Options = Callable[[Sequence[Record]], Sequence[str]]
"""The records of one task -> the options that make them, each name and each value an entry of its own."""


def run_again(records: Sequence[Record]) -> str:
    """`benchmark run`, a line for each group of tasks that were asked alike; nothing of what `score` has kept.

    Settings of methods, classifier and oracle are told where they differ from the preset's, others as they were said.
    """
    run = [record for record in records if record.method in METHODS or record.plugins]
    lines = grouped(["run"], "--tasks", run, _of_run)
    return _text(lines if len(lines) < 2 else [*lines, ["report", *_of_preset(run[0])]])


def arguments_again(record: Record) -> list[str]:
    """What `benchmark` is given to make `record` again; what stands in the record is never more than one argument.

    Raises
    ------
    UserError
        If settings, folder or classifier of the record are not as a run writes them.
    """
    try:
        (arguments,) = grouped(["run"], "--tasks", [record], _of_run)
    except (AttributeError, LookupError, TypeError, ValueError) as error:  # pydantic's errors are ValueErrors
        raise UserError(f"the record's settings are not as a run writes them ({type(error).__name__})") from error
    return arguments


def paper_again(name: str, records: Sequence[Record]) -> str:
    """`benchmark paper`, a line for each group of tasks that were asked under the same seeds.

    The last line alone writes a page of one task; after several, `report` writes a page of all.
    """
    lines = grouped(["paper", name], "--task", records, lambda mine: [*_seeds(mine), *_of_preset(mine[0])])
    return _text(lines if len(lines) < 2 else [*lines, ["report", *_of_preset(records[0])]])


def grouped(command: Sequence[str], option: str, records: Sequence[Record], options: Options) -> list[list[str]]:
    """The arguments for each group of tasks that share their `options`."""
    asked: dict[tuple[str, ...], list[str]] = {}
    for task in dict.fromkeys(record.task for record in records):
        asked.setdefault(tuple(options([record for record in records if record.task == task])), []).append(task)
    return [[*command, option, ",".join(tasks), *rest] for rest, tasks in asked.items()]


def _text(lines: Iterable[Sequence[str]]) -> str:
    """Commands to be pasted into a shell, a line each."""
    return "\n".join(shlex.join(["python", "-m", "benchmark", *line]) for line in lines)


def _of_run(records: Sequence[Record]) -> list[str]:
    first = next((record for record in records if record.status == "ok"), records[0])
    found = ["--methods", _joined(record.method for record in records), *_seeds(records), *_of_preset(first)]
    found += ["--split", first.split] if first.split == "validation" else []
    found += ["--limit", str(first.limit)] if first.limit else []
    if first.relaxations and tuple(sorted(first.relaxations)) != USUAL:
        found += ["--relaxations", _joined(repr(float(r)).removesuffix(".0") for r in first.relaxations)]
    found += _made_with(first)
    for file in dict.fromkeys(file for one in records for file in one.plugins):
        found += ["--plugin", file]
    found += _own_folder(first)
    for name, fields in first.data.get("overrides", {}).items():
        for field, value in fields.items():
            found += _set(name, field, value)
    changed = dict.fromkeys(tuple(option) for record in records for option in _changed(record))
    return found + [word for option in changed for word in option]


def _made_with(record: Record) -> list[str]:
    """Precision and devices, as far as they change weights, and the features that FID was asked of."""
    precision, devices = record.environment.get("precision"), record.environment.get("devices", 1)
    found = ["--precision", str(precision)] if precision in get_args(Precision)[1:] else []
    found += ["--devices", str(devices)] if isinstance(devices, int) and devices > 1 else []
    features = [name for name in EXTRACTORS if any(row.metric.startswith(f"fid_{name}") for row in record.rows)]
    return found + (["--fid", ",".join(features)] if features not in ([], ["oracle"]) else [])


def _own_folder(record: Record) -> list[str]:
    """The options of the user's own folder of pictures, which are those of a folder and no others."""
    if (said := record.data.get("folder")) is None:
        return []
    channels = int(said["--channels"]) if "--channels" in said else None
    how = (said.get("--image-size"), said.get("--resize", "crop"), channels)
    folder = folder_config(Path(said["--data"]), *how, skip_broken="--skip-broken" in said)
    if folder.said() != said:
        raise UserError(f"the record says of its pictures {said}, which no run does")
    return [word for name, value in folder.said().items() for word in (name, value) if word]


def _seeds(records: Sequence[Record]) -> list[str]:
    return ["--seeds", _joined(str(seed) for seed in sorted({record.seed for record in records}))]


def _of_preset(record: Record) -> list[str]:
    return ["--preset", record.preset] if record.preset not in ("default", "") else []


def _joined(names: Iterable[str]) -> str:
    return ",".join(dict.fromkeys(names))


def _changed(record: Record) -> list[list[str]]:
    """What was set otherwise than the preset has it: options, each with its value."""
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


def _set(section: str, field: str, value: object) -> list[str]:
    return ["--set", f"{section}.{field}={json.dumps(value)}"]


def _own_classifier(record: Record) -> list[list[str]]:
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
    return [[name, str(value)] for name, value in options.items() if value] + [["--trust-code"]] * (
        said.trust_code and said.runs_code
    )
