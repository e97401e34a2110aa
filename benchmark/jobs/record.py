"""From a job to its record: all stages in order. The record is written last, and names its artefacts."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from benchmark.data.tasks import data_set_of
from benchmark.jobs.explain import explain
from benchmark.jobs.fit import fit, remarks
from benchmark.jobs.illustrate import illustrate
from benchmark.jobs.measure import row
from benchmark.jobs.probe import probe
from benchmark.jobs.score import exact, score
from benchmark.jobs.settings import ATTRIBUTE_ORACLES, AUTOENCODERS, AVATARS, DATA, source_settings
from benchmark.jobs.work import Work
from benchmark.plugins import loaded
from benchmark.records.changes import CHANGED, Changes, most_changed
from benchmark.records.record import Judge, Record, Row, environment
from benchmark.records.store import Artefact, code_of, file_digest, key_of
from methods.base import Study
from metrics import METRICS
from metrics.intervals import proportion

SCORED_BY = ("benchmark.jobs.score",)
"""Modules whose code, imports included, turns answers into numbers; metrics have their own fingerprints."""

WITHOUT_RECORD = (DATA.name, AVATARS.name, AUTOENCODERS.name, ATTRIBUTE_ORACLES.name)
"""Sections of `--set` whose settings stand nowhere else in a record."""


def determinants(work: Work) -> dict[str, Any]:
    """Everything that determines the numbers of a job: the parts of the record's key."""
    method, weights = work.method(), work.protocol.inception_weights
    return {
        "method": work.job.method,
        "path": work.entry.path,
        "version": method.version,
        **work.plugin,
        "config": method.config.model_dump(),
        **work.workshop.conditions(),
        "queries": len(work.question.queries),
        **({"foreign": work.question.foreign} if work.question.foreign else {}),
        "split": work.protocol.split,
        "relaxations": work.protocol.relaxations,
        "probes": work.settings.probes,
        "judges": [judge.settings() for judge in work.judges.values()],
        "autoencoders": work.autoencoders.config.model_dump(),
        **({} if work.attributes is None else {"attributes": work.attributes.config.model_dump()}),
        "extractors": work.protocol.extractors,
        "inception": file_digest(weights) if weights else None,
        "code": code_of(*SCORED_BY),
        "metrics": {name: metric.fingerprint() for name, metric in METRICS.items()},
        "limit": work.protocol.limit,
        **({} if work.protocol.studies else {"studies": False}),
    }


def record_key(work: Work) -> str:
    """The hash of everything that determines the record."""
    return key_of(**determinants(work))


def record(work: Work) -> Record:
    """Fit, explain, show, probe and score; artefacts on disk are reused."""
    judges = {role: judge.made() for role, judge in work.judges.items()}
    learnt = fit(work)
    made = _stages(work, learnt)
    work.advance("score", 0, 1, None)
    key = record_key(work)
    scores = score(work, key, made)
    work.advance("score", 1, 1, None)
    facts, shown, method = scores.facts() or {}, made["show"][0].facts() or {}, work.method()
    studies = shown["studies"] | facts.get("studies", {}) | _changed(work, made["explain"])
    return Record(
        task=work.job.task,
        method=work.job.method,
        seed=work.job.seed,
        preset=work.protocol.preset,
        split=work.protocol.split,
        reference=method.reference,
        status="ok",
        key=key,
        limit=work.protocol.limit,
        plugins=[str(file) for file in loaded()],
        relaxations=list(work.protocol.relaxations),
        config=method.config.model_dump(mode="json"),
        data=data_facts(work),
        classifier=judges["classifier"][1],
        oracle=judges["oracle"][1],
        rows=[
            *accuracies({role: judge for role, (_, judge) in judges.items()}),
            *facts["rows"],
            *_calls(work, made["explain"]),
        ],
        timings=_timings(work, learnt, made),
        remarks=[*method.remarks(), *remarks(learnt.facts() or {})],
        studies=studies,
        weights=key_of(fit=learnt.digest, **{role: judge.digest for role, (_, judge) in judges.items()}),
        artefacts={
            **{role: artefact.name for role, (artefact, _) in judges.items()},
            "fit": learnt.name,
            **{stage: artefacts[0].name for stage, artefacts in made.items()},
            "score": scores.name,
        },
        environment={**environment(), "device": str(work.workshop.device), **work.protocol.devices.deciding()},
    )


def _stages(work: Work, learnt: Artefact) -> dict[str, Sequence[Artefact]]:
    """Stage -> its artefacts, for the stages between fit and score and for the exact counterfactuals."""
    chunks = explain(work, learnt)
    made: dict[str, Sequence[Artefact]] = {
        "explain": chunks,
        "show": [illustrate(work, learnt)],
        "probe": [probe(work, learnt, chunks[0])],
        "autoencoders": [work.autoencoders.made()],
    }
    if work.question.queries.data.exact is not None:
        made["exact"] = [exact(work, chunks)]
    if work.attributes is not None:
        made["attributes"] = [work.attributes.made()]
    return made


def accuracies(judges: Mapping[str, Judge]) -> list[Row]:
    """Rows with the test accuracy of the classifier and of the panel, clean and under what each reads worst."""
    found = {f"{role}_accuracy": (judge.test_accuracy, judge.test_n) for role, judge in judges.items()}
    found |= {
        f"{role}_accuracy_corrupted": (min(judge.corrupted.values()), judge.test_n)
        for role, judge in judges.items()
        if judge.corrupted
    }
    return [row(name, proportion(torch.arange(n) < round(share * n))) for name, (share, n) in found.items()]


def data_facts(work: Work) -> dict[str, Any]:
    """What a record says of its images."""
    protocol, question, data = work.protocol, work.question, work.question.data
    overrides = protocol.overrides or {}
    made = source_settings(data_set_of(work.job.task), protocol.preset, overrides)
    said = {name: overrides[name] for name in WITHOUT_RECORD if name in overrides}
    return {
        **({"overrides": said} if said else {}),
        **({} if protocol.folder is None else {"folder": protocol.folder.said()}),
        **({} if made is None else {"settings": made.model_dump(mode="json", exclude_defaults=True)}),
        "digest": data.digest,
        "shape": list(data.shape),
        "classes": list(data.class_names),
        "train": len(question.train),
        "validation": len(question.splits.validation),
        "test": len(question.splits.test),
        "queries": len(question.queries),
        **({"remarks": list(data.remarks)} if data.remarks else {}),
    }


def _changed(work: Work, chunks: Sequence[Artefact]) -> dict[str, Study]:
    """What the answers change of attributes, where the method tells it."""
    parts = [chunk.tensors() for chunk in chunks]
    changes = Changes.of(parts)
    if changes is None:
        return {}
    predicted, targets = (torch.cat([part[name] for part in parts]) for name in ("predicted", "targets"))
    return {CHANGED: most_changed(changes, predicted, targets, work.question.data.class_names)}


def _calls(work: Work, chunks: Sequence[Artefact]) -> list[Row]:
    """How often the classifier was asked for a query's answers; nothing of answers that are older than the count."""
    calls = [(chunk.facts() or {}).get("classifier_calls") for chunk in chunks]
    count, missing = len(work.question.queries), float("nan")
    known = [number for number in calls if number is not None]
    if len(known) < len(calls):
        return []
    return [row("classifier_calls", (sum(known) / count, missing, missing, count))]


def _timings(work: Work, learnt: Artefact, made: Mapping[str, Sequence[Artefact]]) -> list[Row]:
    """Rows with the seconds of the fit and per query of the explanation, and the peak memory."""
    fitted, explained = learnt.facts() or {}, [chunk.facts() or {} for chunk in made["explain"]]
    probed = made["probe"][0].facts() or {}
    memory = [facts.get("peak_memory", 0.0) for facts in (fitted, *explained, probed)]
    count, missing = len(work.question.queries), float("nan")
    each = sum(facts["explain_seconds"] for facts in explained) / count
    return [
        row("fit_seconds", (fitted["fit_seconds"], missing, missing, 1)),
        row("seconds_per_counterfactual", (each, missing, missing, count)),
        row("peak_memory", (max(memory), missing, missing, 1)),
    ]
