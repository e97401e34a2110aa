"""The stages of one job: judge -> fit -> explain -> show -> probe -> score -> record.

Each stage leaves an artefact named by the hash of what determines it, so nothing that is there is made again; the
record, written last, says which artefacts it rests on.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.data.exact import ExactAnswers
from benchmark.errors import UserError
from benchmark.jobs.judging import ROLES, Judging, accuracies, advised
from benchmark.jobs.probes import DRAWS, NULL_EDITS, probe
from benchmark.jobs.scoring import Answers, attribute_changes, normalised_distances, row, score, unit
from benchmark.jobs.settings import attributes_config, method_config, source_settings
from benchmark.records.record import Record, Row, environment, peak_memory
from benchmark.records.store import Artefact, code_of, file_digest, key_of
from methods import METHODS
from methods.base import Illustration, Method, Study
from methods.references import Truth
from metrics import METRICS

TRUTH = METHODS["truth"].path
SCORED_BY = (
    "benchmark.jobs.scoring",
    "benchmark.judges.features",
    "benchmark.judges.autoencoders",
    "benchmark.data.exact",
)
"""The modules whose code makes numbers out of answers; that of a metric is in its fingerprint."""
CHUNK = 250
"""Queries that a method is asked at once; also what an interrupted run may have to answer again."""


class Work(Judging):
    """The stages of one job."""

    def check(self) -> None:
        """Refuse what cannot end well, before it costs anything.

        Raises
        ------
        UserError
            If the method's settings do not fit these images, Inception is to look at grey ones, or the truth is asked
            for where nobody knows it.
        """
        try:
            self.method().prepare(self.data.shape, self.untrained("classifier"))
        except ValueError as error:
            raise UserError(f"{self.job.method} on {self.job.task}: {error}") from error
        self.check_extractors()
        if METHODS[self.job.method].path == TRUTH and self.data.exact is None:
            raise UserError(
                f"nobody knows the exact counterfactuals of {self.data.name}; truth is for avatars/Smiling and the like"
            )

    # -- fit -----------------------------------------------------------------------------------------------------------

    def fit(self, like: Artefact | None = None) -> Artefact:
        """What the method has learnt; keyed by its fit settings alone, so that variants share it.

        `like`, what it has learnt of the same images for another classifier, spares it what asks no classifier.
        """
        classifier = self.judge("classifier")[1].digest
        artefact = Artefact(self.protocol.runs, "fit", key_of(**self.fit_settings(), classifier=classifier))
        artefact.make(partial(self._fit, self.method()) if like is None else partial(self._refit, like))
        return artefact

    def fit_settings(self) -> dict[str, Any]:
        """What determines what the method learns, beside the classifier."""
        method = self.method()
        return {
            "method": METHODS[self.job.method].path,
            "version": method.version,
            "config": method.config.fit_part(),
            **self._training(),
        }

    def _refit(self, like: Artefact, artefact: Artefact) -> tuple[dict[str, Tensor], dict[str, Any]]:
        method = self.method().restore(like.tensors(), self.data.shape, self.network("classifier"))
        return self._fit(method, artefact, method.refit)

    def _fit(
        self, method: Method, artefact: Artefact, learn: Callable[..., Method] | None = None
    ) -> tuple[dict[str, Tensor], dict[str, Any]]:
        trainer = self.trainer("fit", artefact)
        torch.manual_seed(self.seed("fit"))
        started = time.perf_counter()
        with advised(self.job.method):
            (learn or method.fit)(self.train, self.network("classifier"), trainer=trainer)
        seconds = time.perf_counter() - started + trainer.seconds_before
        return method.network.state_dict(), {"fit_seconds": seconds, "peak_memory": peak_memory()}

    def method(self) -> Method:
        """The method under its resolved settings, not fitted."""
        config = method_config(self.job.method, self.protocol.preset, self.overrides, self.data.shape[0])
        return METHODS[self.job.method].load()(config)

    # -- explain -------------------------------------------------------------------------------------------------------

    def explain(self, fit: Artefact) -> list[Artefact]:
        """The method's answers, an artefact for every `CHUNK` queries."""
        starts = range(0, len(self.queries), CHUNK)
        artefacts = [Artefact(self.protocol.runs, "explain", self._explain_key(fit, start)) for start in starts]
        ask = _Ask(self, fit)
        for start, artefact in zip(starts, artefacts, strict=True):
            self.advance("explain", start, len(self.queries), None)
            artefact.make(partial(ask, start))
        return artefacts

    def _explain_key(self, fit: Artefact, start: int) -> str:
        return key_of(
            fit=fit.name,
            config=self.method().config.model_dump(),
            relaxations=self.protocol.relaxations,
            split=self.protocol.split,
            start=start,
            count=min(CHUNK, len(self.queries) - start),
        )

    def fitted(self, fit: Artefact) -> Method:
        """The method as it was fitted, on the device."""
        method = self.method().restore(fit.tensors(), self.data.shape, self.network("classifier"))
        method.network.to(self.device)
        if isinstance(method, Truth):
            method.exact = ExactAnswers(self.queries)
        return method

    # -- what a method shows of its own accord -------------------------------------------------------------------------

    def show(self, fit: Artefact) -> Artefact:
        """Samples of the method's generator, its illustrations and its studies; many methods have none."""
        config = self.method().config.model_dump()
        artefact = Artefact(
            self.protocol.runs, "show", key_of(fit=fit.name, config=config, count=self.real_count, seed=self.job.seed)
        )
        artefact.make(partial(self._show, fit))
        return artefact

    def _show(self, fit: Artefact, _: Artefact) -> tuple[dict[str, Tensor], dict[str, Any]]:
        method = self.fitted(fit)
        torch.manual_seed(self.seed("show"))
        with torch.no_grad():
            samples, illustrations, studies = method.samples(self.real_count), method.illustrations(), method.studies()
        return kept(samples, illustrations, studies)

    # -- what the first queries are asked beyond one edit --------------------------------------------------------------

    def probe(self, fit: Artefact, first: Artefact) -> Artefact:
        """Null edits, undone edits and repeated draws of the first queries, which the chunk `first` has answered."""
        asked = {"null_edits": NULL_EDITS, "draws": DRAWS, "code": code_of("benchmark.jobs.probes")}
        key = key_of(answers=first.name, count=self.settings.probes, seed=self.job.seed, **asked)
        artefact = Artefact(self.protocol.runs, "probe", key)
        artefact.make(partial(self._probe, fit, first))
        return artefact

    def _probe(self, fit: Artefact, first: Artefact, _: Artefact) -> tuple[dict[str, Tensor], dict[str, Any]]:
        count = self.settings.probes
        chunk = {name: part.to(self.device) for name, part in first.tensors().items()}
        asked = {name: chunk[name][:count] for name in ("targets", "predicted")}
        at = int(np.argmin(self.protocol.relaxations))
        with torch.no_grad():
            found = probe(
                self.fitted(fit),
                {"queries": unit(chunk["queries"][:count]), **asked},
                self.protocol.relaxations[at],
                unit(chunk["images"][at, :count]),
                partial(self.seed, "probe"),
            )
        return {name: eight_bit(images).cpu() for name, images in found.items()}, {"peak_memory": peak_memory()}

    # -- score and record ----------------------------------------------------------------------------------------------

    def record_key(self) -> str:
        """The hash of all that determines the record."""
        method = self.method()
        return key_of(
            method=self.job.method,
            path=METHODS[self.job.method].path,
            version=method.version,
            config=method.config.model_dump(),
            **self._training(),
            queries=len(self.queries),
            split=self.protocol.split,
            relaxations=self.protocol.relaxations,
            probes=self.settings.probes,
            judges=[self.judge_config(role).model_dump() for role in ROLES],
            autoencoders=self.autoencoder_config().model_dump(),
            extractors=self.protocol.extractors,
            inception=file_digest(self.protocol.inception_weights) if self.protocol.inception_weights else None,
            metrics={name: metric.fingerprint() for name, metric in METRICS.items()},
            code=code_of(*SCORED_BY),
            limit=self.protocol.limit,
            **self._knowing(),
        )

    def _knowing(self) -> dict[str, Any]:
        """What the numbers of drawn data rest on beside all others."""
        if self.data.independent is None:
            return {}
        return {"attributes": attributes_config(self.protocol.preset, self.overrides).model_dump()}

    def record(self) -> Record:
        """Fit, explain, score."""
        judges = {role: self.judge(role) for role in ROLES}
        fit = self.fit()
        chunks, shown = self.explain(fit), self.show(fit)
        probed, autoencoders = self.probe(fit, chunks[0]), self.autoencoders()
        truth = self._known(chunks)
        made = [artefact.name for artefact in [*chunks, shown, probed, autoencoders, *truth.values()]]
        outcome = Artefact(self.protocol.runs, "score", key_of(record=self.record_key(), chunks=made))
        facts = outcome.make(partial(self._score, chunks, shown, probed, truth))
        method = self.method()
        return Record(
            task=self.job.task,
            method=self.job.method,
            seed=self.job.seed,
            preset=self.protocol.preset,
            split=self.protocol.split,
            reference=method.reference,
            status="ok",
            key=self.record_key(),
            limit=self.protocol.limit,
            relaxations=list(self.protocol.relaxations),
            config=method.config.model_dump(mode="json"),
            data=self._data_facts(),
            classifier=judges["classifier"][1],
            oracle=judges["oracle"][1],
            rows=[*accuracies({role: judge for role, (_, judge) in judges.items()}), *facts["rows"]],
            timings=self._timings(fit, chunks, probed),
            remarks=list(method.remarks()),
            studies=(shown.facts() or {})["studies"] | facts.get("studies", {}),
            weights=key_of(fit=fit.digest, **{role: judge.digest for role, (_, judge) in judges.items()}),
            artefacts={
                **{role: artefact.name for role, (artefact, _) in judges.items()},
                "fit": fit.name,
                "explain": chunks[0].name,
                "show": shown.name,
                "probe": probed.name,
                "autoencoders": autoencoders.name,
                **{stage: artefact.name for stage, artefact in truth.items()},
                "score": outcome.name,
            },
            environment={**environment(), "device": str(self.device), **self.protocol.devices.deciding()},
        )

    def _score(
        self,
        chunks: Sequence[Artefact],
        shown: Artefact,
        probed: Artefact,
        truth: Mapping[str, Artefact],
        _: Artefact,
    ) -> tuple[dict[str, Tensor], dict[str, Any]]:
        parts = [chunk.tensors() for chunk in chunks]
        made = shown.tensors()
        samples = {name.removeprefix("sample."): made[name] for name in sorted(made) if name.startswith("sample.")}
        answers = Answers(
            queries=torch.cat([part["queries"] for part in parts]),
            targets=torch.cat([part["targets"] for part in parts]),
            images=torch.cat([part["images"] for part in parts], dim=1),
            reconstructions=torch.cat([part["reconstructions"] for part in parts]),
            relaxations=self.protocol.relaxations,
            diagnostics=_joined(parts, "diagnostic", 0),
            samples=samples.get("samples"),
            evidence=_joined(parts, "evidence", 1),
            labels=self.queries.labels,
            probed=self.settings.probes,
            probes=probed.tensors(),
            exact=truth["exact"].tensors()["images"] if "exact" in truth else None,
        )
        reals, judges = self._reals(), self.judges()
        rows, outcomes = score(answers, reals, judges)
        studies = normalised_distances(samples, reals, judges) | attribute_changes(outcomes, answers, judges)
        return {**outcomes, "asked": torch.from_numpy(self.queries.indices)}, {
            "rows": [row.model_dump() for row in rows],
            "studies": {name: study.model_dump(mode="json") for name, study in studies.items()},
        }

    def _reals(self) -> Tensor:
        """As many images from the end of the split as can stand against the queries at its beginning, (M, C, H, W)."""
        return torch.from_numpy(self.data.images[self.asked.indices[len(self.asked) - self.real_count :]])

    @property
    def real_count(self) -> int:
        """How many images stand on either side of a Fréchet distance."""
        return min(len(self.queries), len(self.asked) // 2)

    def _data_facts(self) -> dict[str, Any]:
        made = source_settings(self.job.task.partition("/")[0], self.protocol.preset, self.overrides)
        return {
            **({} if made is None else {"settings": made.model_dump(mode="json", exclude_defaults=True)}),
            "digest": self.data.digest,
            "shape": list(self.data.shape),
            "classes": list(self.data.class_names),
            "train": len(self.train),
            "validation": len(self.splits.validation),
            "test": len(self.splits.test),
            "queries": len(self.queries),
        }

    def _timings(self, fit: Artefact, chunks: Sequence[Artefact], probed: Artefact) -> list[Row]:
        """Seconds of the fit and of explaining all relaxations of one query; memory of the process that did it."""
        fitted, explained = fit.facts() or {}, [chunk.facts() or {} for chunk in chunks]
        memory = [facts.get("peak_memory", 0.0) for facts in (fitted, *explained, probed.facts() or {})]
        each = sum(facts["explain_seconds"] for facts in explained) / len(self.queries)
        missing = float("nan")
        return [
            row("fit_seconds", (fitted["fit_seconds"], missing, missing, 1)),
            row("seconds_per_counterfactual", (each, missing, missing, len(self.queries))),
            row("peak_memory", (max(memory), missing, missing, 1)),
        ]


class _Ask:
    """Asks a fitted method, which is loaded at the first question only."""

    def __init__(self, work: Work, fit: Artefact) -> None:
        self.work, self.fit = work, fit
        self.method: Method | None = None

    def __call__(self, start: int, _: Artefact) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The answers to one chunk of queries, as 8-bit images: what is scored is what can be seen."""
        work = self.work
        self.method = method = self.method or work.fitted(self.fit)
        indices = work.queries.indices[start : start + CHUNK]
        images = work.data.batch(indices).to(work.device)
        with torch.no_grad():
            predicted = method.classifier(images).argmax(1)
        target = self._targets(start, predicted)
        torch.manual_seed(work.seed("explain", start))
        started = time.perf_counter()
        with torch.no_grad():
            answers = method.explain(images, target, work.protocol.relaxations)
            pictures = eight_bit(answers.images).cpu()  # waits until a GPU is done
        seconds = time.perf_counter() - started
        with torch.no_grad():
            reconstructions, diagnostics = method.reconstruct(images), method.diagnostics(images)
        tensors = {
            "queries": torch.from_numpy(work.data.images[indices]),
            "targets": target,
            "predicted": predicted,
            "images": pictures,
            "reconstructions": eight_bit(reconstructions),
            **{f"diagnostic.{name}": value for name, value in diagnostics.items()},
            **{f"intervention.{name}": value for name, value in answers.intervention.items()},
            **{f"evidence.{name}": value for name, value in answers.evidence.items()},
        }
        return {name: value.cpu() for name, value in tensors.items()}, {
            "explain_seconds": seconds,
            "peak_memory": peak_memory(),
        }

    def _targets(self, start: int, predicted: Tensor) -> Tensor:
        """For each query a class other than the predicted one; the same for all methods."""
        others = len(self.work.data.class_names) - 1
        random = np.random.default_rng(self.work.seed("targets", start))
        steps = torch.from_numpy(random.integers(1, others + 1, CHUNK))[: len(predicted)]
        return (predicted + steps.to(predicted)) % (others + 1)


def kept(
    samples: Mapping[str, Tensor], illustrations: Mapping[str, Illustration], studies: Mapping[str, Study]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Sets of pictures, figures and tables as an artefact keeps them: tensors and facts."""
    tensors = {f"sample.{name}": eight_bit(images).cpu() for name, images in samples.items()}
    tensors |= {f"illustration.{name}": eight_bit(shown.images).cpu() for name, shown in illustrations.items()}
    facts = {
        "illustrations": {
            name: {"title": shown.title, "captions": shown.captions, "headings": shown.headings}
            for name, shown in illustrations.items()
        },
        "studies": {name: study.model_dump(mode="json") for name, study in studies.items()},
    }
    return tensors, facts


def _joined(parts: Sequence[Mapping[str, Tensor]], kind: str, queries: int) -> dict[str, Tensor]:
    """What was kept as "<kind>.<name>", of all chunks, by its name; `queries` is their dimension."""
    names = [name for name in parts[0] if name.startswith(f"{kind}.")]
    return {name.removeprefix(f"{kind}."): torch.cat([part[name] for part in parts], queries) for name in names}


def eight_bit(images: Tensor) -> Tensor:
    """Images in [0, 1] at the 256 levels that a picture has.

    Raises
    ------
    ValueError
        If a value is not finite or outside [0, 1] by more than rounding.
    """
    if not torch.isfinite(images).all() or (images.numel() and (images.min() < -1e-5 or images.max() > 1 + 1e-5)):
        raise ValueError("a method answered with values outside [0, 1]")
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)
