"""Another program's answers to the questions that `benchmark export` wrote: scored as a run's, kept as a record."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from benchmark.data.tasks import data_set_of
from benchmark.errors import UserError
from benchmark.jobs.evidence import Answers
from benchmark.jobs.explain import Asked
from benchmark.jobs.export import Manifest, check_asked, names_of
from benchmark.jobs.handed import read_images, relaxation_places
from benchmark.jobs.kept import keep
from benchmark.jobs.measure import measure
from benchmark.jobs.per_picture import per_picture
from benchmark.jobs.protocol import Job, Protocol
from benchmark.jobs.record import accuracies, data_facts
from benchmark.jobs.runner import limited
from benchmark.jobs.score import networks, reals_of
from benchmark.jobs.work import Work
from benchmark.names import DATASETS
from benchmark.records.record import Record, environment, write
from benchmark.records.store import key_of
from methods import METHODS
from methods.files import write_whole


class Answered(NamedTuple):
    """Answers to N queries at R relaxations, as another program gave them."""

    images: Tensor
    """(R, N, C, H, W) uint8; the query where there is none."""
    missing: Tensor
    """(R, N) bool: where there is none."""
    relaxations: tuple[float, ...]


def score_answers(folder: Path, given: Path, name: str, protocol: Protocol) -> tuple[Record, pd.DataFrame]:
    """The record, which is kept, of the answers in `given` to the exported `folder`; and a row for each answer.

    The number of queries of `protocol` gives way to that of the export, and so does its preset where it is "default".

    Raises
    ------
    UserError
        If the folder was not exported, or with another preset, or for other judges than there are here, or was edited
        since; for pictures that do not fit, and names that are no query's; and if the name is a method's.
    """
    if name in METHODS:
        raise UserError(f"'{name}' is a method of the benchmark; give your answers another --name")
    manifest = Manifest.read(folder)
    if data_set_of(manifest.task) not in {*DATASETS, *protocol.own_tasks}:
        raise UserError(
            f"{folder} asks about pictures of yours, '{manifest.task}': say --data and --classifier as at export, or "
            "the --plugin that brings them"
        )
    if protocol.preset not in ("default", manifest.preset):
        raise UserError(f"{folder} was exported with the preset {manifest.preset}: leave --preset out")
    protocol = replace(protocol, preset=manifest.preset, limit=manifest.limit)
    work = Work(Job(manifest.task, name, manifest.seed), protocol)
    answered = _read(given, folder, work)
    with limited(protocol.threads):
        if Manifest.of(work) != manifest:
            raise UserError(
                f"{folder} was exported with another classifier than --results holds or --classifier names, or other "
                "pictures: say what was said to export, or export again"
            )
        asked = Asked.of(work)
        check_asked(asked, work, folder)
        return _scored(answered, asked, work)


def _read(given: Path, folder: Path, work: Work) -> Answered:
    """What lies in `given`; the queries themselves stand where nothing does."""
    question = work.question
    names = names_of(len(question.queries))
    queries = torch.from_numpy(question.data.images[question.queries.indices])
    places = sorted(relaxation_places(given).items(), key=lambda item: item[0] or 0)
    images, missing = [], []
    for _, place in places:
        found = read_images(place, question.data.shape)
        if strange := sorted(found.keys() - set(names)):
            raise UserError(
                f"'{strange[0]}' in {place} is no query of {folder}; answers have the names of their queries"
            )
        images.append(
            torch.stack([torch.tensor(found[n]) if n in found else q for n, q in zip(names, queries, strict=True)])
        )
        missing.append(torch.tensor([n not in found for n in names]))
    return Answered(torch.stack(images), torch.stack(missing), tuple(r or 0.0 for r, _ in places))


def _scored(answered: Answered, asked: Asked, work: Work) -> tuple[Record, pd.DataFrame]:
    question, runs = work.question, work.protocol.runs
    answers = Answers(
        queries=asked.queries,
        targets=asked.targets,
        images=answered.images,
        reconstructions=None,
        relaxations=answered.relaxations,
        diagnostics={},
        labels=question.queries.labels,
        probed=work.settings.probes,
        unanswered=answered.missing,
    )
    judges = {role: judge.made() for role, judge in work.judges.items()}
    rows, outcomes = measure(answers, reals_of(question), networks(work))
    key = key_of(
        pictures=answered.images.numpy().tobytes().hex(), missing=answered.missing.tolist(), name=work.job.method
    )
    pictures = {
        "queries": asked.queries,
        "targets": asked.targets,
        "predicted": asked.predicted,
        "images": answered.images,
    }
    artefacts = {role: artefact.name for role, (artefact, _) in judges.items()}
    asked_of = {**outcomes, "asked": torch.from_numpy(question.queries.indices)}
    artefacts |= keep(runs, key, pictures, asked_of, rows)
    stated = {role: judge for role, (_, judge) in judges.items()}
    record = Record(
        task=work.job.task,
        method=work.job.method,
        seed=work.job.seed,
        preset=work.protocol.preset,
        split=work.protocol.split,
        reference=False,
        status="ok",
        key=key,
        limit=work.protocol.limit,
        relaxations=list(answered.relaxations),
        data=data_facts(work),
        **stated,
        rows=[*accuracies(stated), *rows],
        remarks=_remarks(answered),
        artefacts=artefacts,
        environment=environment(),
    )
    write(record, work.job.path(work.protocol))
    names, classes = names_of(len(asked.targets)), question.data.class_names
    return record, per_picture(names, asked.targets, answered.relaxations, outcomes, classes)


def _remarks(answered: Answered) -> list[str]:
    """What a reader of the tables has to know."""
    count, all_of_them = int(answered.missing.sum()), answered.missing.numel()
    missing = f"{count} of {all_of_them} answers are missing: failures in every rate, and no change in distances"
    return ["made by another program", *([missing] if count else [])]


def write_table(table: pd.DataFrame, folder: Path) -> list[Path]:
    """Write pictures.csv, a row an answer, and unanswered.csv, a row a query that has none; returns the files."""
    none = table[table["predicted"] == ""][["name", "relaxation", "target"]]
    parts = {"pictures.csv": table, "unanswered.csv": none}
    for name, part in parts.items():
        write_whole(folder / name, part.to_csv(index=False).encode())
    return [folder / name for name, part in parts.items() if len(part)]
