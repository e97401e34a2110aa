"""Bias discovery: a bias is planted in a classifier, and each method's counterfactuals are tested for it.

Classifiers of one architecture learn from faces with the bias and from faces without it. Every method learns from faces
without it only, and explains all classifiers on the same queries. Three checks guard the result: the gates (does the
classifier have the bias at all?), the controls (does the method find a bias where there is none?), and the leakage
(does a generator trained on biased faces show its own bias?). The score is in `metrics/bias.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from benchmark.data import ImageData, Subset, digest_of
from benchmark.data.avatars_model import ATTRIBUTES, HAIR_COLOURS, NAMES, AvatarsConfig
from benchmark.data.tasks import split
from benchmark.errors import UserError, unknown
from benchmark.jobs.explain import explain
from benchmark.jobs.fit import fit
from benchmark.jobs.protocol import Job, Protocol, images_of
from benchmark.jobs.record import record_key
from benchmark.jobs.settings import ATTRIBUTE_ORACLES, AVATARS, DATA, Overrides
from benchmark.jobs.work import Work
from benchmark.judges.classifier import TrainedClassifier
from benchmark.records.store import Artefact, key_of
from methods import METHODS
from methods.base import in_batches
from methods.pictures import Pictures
from methods.training import Advance
from metrics.bias import Side, signed_changes, standardised

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "unconfounded": "faces without the bias",
        "confounded": "faces with the planted bias",
        "ignoring": "faces with the bias, whose label is clear in the picture: a classifier has no reason to use it",
        "another": "faces without the bias, under other seeds",
    }
)
"""Kind of classifier -> its training faces."""
MAJORITIES: Mapping[str, float] = MappingProxyType({"majority without": 0.7, "majority with": 0.3})
"""Two opposite kinds -> the share of their faces with the label that lack the attribute (dvae, Fig. 4)."""
BIASED_AT_LEAST, UNBIASED_AT_MOST = 0.10, 0.05
"""The gates: bounds on the share of queries whose class the exact do(attribute) flips."""
RAISED_ABOVE = 0.0
"""The third gate: the edit's effect on the label's probability must have a lower bound above this."""
OTHER_SEEDS = 1000
"""Added to a seed for the classifier of the kind "another"."""
VERSION = 4
"""Raised whenever the same answers give other or more gates, scores or leads."""

SETTINGS: Mapping[str, Overrides] = MappingProxyType(
    {
        "smoke": {
            "avatars": {"evidence": 0.8, "count": 400},
            "data": {"queries": 16},
            "attributes": {"least": 0.0},
        },
        "default": {
            "avatars": {"size": 33, "count": 5000, "evidence": 0.85},
            "data": {"queries": 240},
            "classifier": {"epochs": 8},
        },
        "paper": {"avatars": {"evidence": 0.85}, "data": {"queries": 1000}},
    }
)
"""Preset -> the settings of data and judges that bias discovery changes: many trainings, so small faces."""
OF_METHODS = "bias"
"""Key of a method's own such settings in its `presets`; they apply to the default preset."""


def with_settings(preset: str, asked: Overrides) -> Overrides:
    """The settings of bias discovery, overridden by the user's."""
    presets = {name: entry.load().presets for name, entry in METHODS.items()} if preset == "default" else {}
    small = {name: part[OF_METHODS] for name, part in presets.items() if OF_METHODS in part}
    own = {**SETTINGS[preset], **small}
    return {name: {**_plain(own.get(name, {})), **asked.get(name, {})} for name in {**own, **asked}}


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}


@dataclass(frozen=True)
class Planted:
    """A bias: in the classifier's training faces, `attribute` mostly occurs where `label` does not."""

    attribute: str
    label: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """The bias named by a text such as "Eyeglasses-on-Young".

        Raises
        ------
        UserError
            If the text does not name two attributes that the data set can make depend on each other.
        """
        attribute, on, label = text.partition("-on-")
        if not on:
            raise UserError(f"--planted takes attribute-on-label, as in Eyeglasses-on-Young, not '{text}'")
        free = [name for name in NAMES if name not in HAIR_COLOURS]
        for name in (attribute, label):
            if name not in free:
                raise unknown("attribute that a bias can be planted of", name, free)
        if attribute == label:
            raise UserError(f"a bias needs two different attributes, not {label} on itself")
        return cls(attribute, label)

    def __str__(self) -> str:
        return f"{self.attribute}-on-{self.label}"

    @property
    def confounding(self) -> str:
        """The value of `avatars.confounding`: the attribute later in the model depends on the earlier one."""
        return "-".join(sorted((self.attribute, self.label), key=NAMES.index, reverse=True))

    def family(self) -> list[str]:
        """The attribute and its descendants in the causal model: a change of any of them shows the bias."""
        found = {self.attribute}
        for own in ATTRIBUTES:
            if found & set(own.parents):
                found.add(own.name)
        return [name for name in NAMES if name in found - {self.label}]

    def directions(self, data: ImageData, names: Sequence[str]) -> Tensor:
        """The sign (−1, 1) with which the bias moves each of `names` towards the label, 0 outside the family; (K,)."""
        assert data.attributes is not None  # noqa: S101 - drawn faces have some
        planted, family = data.attributes[self.attribute], self.family()
        signs = [-np.sign(np.cov(planted, data.attributes[name])[0, 1]) if name in family else 0.0 for name in names]
        return torch.tensor(signs, dtype=torch.float64)


class Case(NamedTuple):
    """One method that explains one classifier."""

    method: str
    kind: str
    seed: int
    leaking: bool = False
    """Whether the method was fitted to biased faces."""

    def __str__(self) -> str:
        return f"{self.method} on the {self.kind} classifier, seed {self.seed}{', leaking' * self.leaking}"


@dataclass(frozen=True)
class Trial:
    """One planted bias: its faces, its classifiers, its gates, and the answers of the methods."""

    planted: Planted
    protocol: Protocol
    seeds: tuple[int, ...]
    """Seeds of the classifiers; methods use the first."""

    @property
    def task(self) -> str:
        """The task of the classifiers."""
        return f"avatars/{self.planted.label}"

    @property
    def drawn(self) -> AvatarsConfig:
        """The settings of the faces that methods learn from."""
        return AVATARS.resolved(self.protocol.preset, self.protocol.overrides or {})

    def faces(self, *, biased: bool = False) -> ImageData:
        """The training faces of the methods; test and validation split are the queries, balanced over the four cells.

        `biased`: train on biased faces, for the leakage; the queries stay the same.
        """
        data = images_of(self.task, self.protocol)
        parts = split(data, self.seeds[0])
        train, queries = parts.train.indices, self._balanced(parts.named(self.protocol.split))
        official = {"train": train, "validation": queries, "test": queries}
        if not biased:
            return replace(data, official=official, digest=digest_of(data.digest, train, queries))
        other = images_of(self.task, self._protocol(confounding=self.planted.confounding))
        assert data.labels is not None and other.labels is not None  # noqa: S101, PT018 - a task has labels
        assert data.attributes is not None and other.attributes is not None  # noqa: S101, PT018 - drawn faces have some
        first = np.arange(len(train)), len(train) + np.arange(len(queries))
        return replace(
            data,
            images=np.concatenate([other.images[train], data.images[queries]]),
            labels=np.concatenate([other.labels[train], data.labels[queries]]),
            official={"train": first[0], "validation": first[1], "test": first[1]},
            digest=digest_of(other.digest, data.digest, train, queries),
            attributes=pd.concat([other.attributes.iloc[train], data.attributes.iloc[queries]], ignore_index=True),
            exact=None,
        )

    def _balanced(self, part: Subset) -> np.ndarray:
        """Indices (N,) of the first faces of each (label, attribute) cell, equally many of each."""
        assert part.data.attributes is not None  # noqa: S101 - drawn faces have some
        wanted = DATA.resolved(self.protocol.preset, self.protocol.overrides or {}, part.shape[0]).queries
        found = part.data.attributes.iloc[part.indices]
        cells = found.groupby([self.planted.label, self.planted.attribute]).indices
        each = min(wanted, self.protocol.limit or wanted) // 4
        if each == 0 or len(cells) < 4 or any(len(rows) < each for rows in cells.values()):
            least = min(map(len, cells.values())) if len(cells) == 4 else 0
            raise UserError(
                f"{self.planted} needs {each} queries in each of four cells, and the smallest cell has {least}; "
                "change data.queries or avatars.count with --set"
            )
        return np.sort(part.indices[np.concatenate([rows[:each] for rows in cells.values()])])

    def _protocol(self, **avatars: object) -> Protocol:
        overrides = self.protocol.overrides or {}
        return replace(self.protocol, overrides={**overrides, "avatars": {**overrides.get("avatars", {}), **avatars}})

    # -- classifiers ---------------------------------------------------------------------------------------------------

    def classifier(self, kind: str, seed: int, advance: Advance | None = None) -> TrainedClassifier:
        """One classifier; its training faces are neither queries nor training faces of a method."""
        seed = (seed + OTHER_SEEDS) % 2**32 if kind == "another" else seed
        classifier = Work(Job(self.task, "classifier", seed), self.protocol_of(kind), advance).classifier
        assert isinstance(classifier, TrainedClassifier)  # noqa: S101 - a trial trains its own
        return classifier

    def protocol_of(self, kind: str) -> Protocol:
        """The protocol that draws the training faces of the classifiers of `kind`."""
        confounding = self.planted.confounding if kind in ("confounded", "ignoring", *MAJORITIES) else ""
        evidence = 1.0 if kind == "ignoring" else self.drawn.evidence
        strength = MAJORITIES.get(kind, self.drawn.strength)
        return self._protocol(seed=self.drawn.seed + 1, confounding=confounding, evidence=evidence, strength=strength)

    def classifiers(self) -> list[tuple[str, int]]:
        """(kind, seed) of each classifier."""
        return [(kind, seed) for kind in KINDS for seed in self.seeds]

    def key(self, method: str = "") -> str:
        """The hash of everything that determines the record of the classifiers, or of a `method` that explains them."""
        asked = record_key(self.work(Case(method, "unconfounded", self.seeds[0]))) if method else ""
        return key_of(
            version=VERSION,
            planted=str(self.planted),
            queries=self.faces().digest,
            **self.protocol.devices.deciding(),
            classifiers=[(kind, *_identity(self.classifier(kind, seed))) for kind, seed in self.classifiers()],
            attributes=ATTRIBUTE_ORACLES.resolved(self.protocol.preset, self.protocol.overrides or {}).model_dump(),
            asked=asked,
        )

    def having(self) -> Tensor:
        """Which queries have the attribute, (N,) bool."""
        data = self.faces()
        assert data.attributes is not None  # noqa: S101 - drawn faces have some
        return torch.from_numpy(data.attributes[self.planted.attribute].to_numpy()[data.official["test"]] == 1)

    def edited(self) -> Artefact:
        """The queries under the exact do(attribute): added where it was absent, removed where it was present."""
        data = self.faces()
        rows, name = data.official["test"], self.planted.attribute
        artefact = Artefact(self.protocol.runs, "edited", key_of(data=data.digest, attribute=name))

        def build(_: Artefact) -> tuple[dict[str, Tensor], dict[str, Any]]:
            assert data.attributes is not None and data.exact is not None  # noqa: S101, PT018 - drawn faces have both
            values = 1 - data.attributes[name].to_numpy()[rows]
            return {"images": torch.from_numpy(data.exact(name, rows, values))}, {}

        artefact.make(build)
        return artefact

    def gate(self, kind: str) -> dict[str, Tensor]:
        """The outputs of the classifiers of `kind` for every seed and query, (S, N) each.

        Bool: "right", whether the query is classified correctly; "flipped", whether the exact do(attribute) changes its
        class. In [0, 1]: the probability of the label "before" and "after" the edit.

        Raises
        ------
        UserError
            If the training of a classifier fails.
        """
        data = self.faces()
        assert data.labels is not None  # noqa: S101 - a task has labels
        rows = data.official["test"]
        queries, edited = torch.from_numpy(data.images[rows]), self.edited().tensors()["images"]
        seen = []
        for seed in self.seeds:
            classifier = self.classifier(kind, seed)
            network, device = classifier.network(), classifier.workshop.device
            seen.append([in_batches(network, Pictures(images), device).softmax(1) for images in (queries, edited)])
        before, after = (torch.stack(parts) for parts in zip(*seen, strict=True))  # (S, N, 2)
        classes = before.argmax(2)
        return {
            "right": classes == torch.from_numpy(data.labels[rows]),
            "flipped": classes != after.argmax(2),
            "before": before[..., 1],
            "after": after[..., 1],
        }

    # -- what a method shows -------------------------------------------------------------------------------------------

    def work(self, case: Case, advance: Advance | None = None) -> Work:
        """The job of one case."""
        job, data = Job(self.task, case.method, self.seeds[0]), self.faces(biased=case.leaking)
        return Work(job, self.protocol, advance, data=data, classifier=self.classifier(case.kind, case.seed))

    def first(self, case: Case) -> Case:
        """The same method on the first unconfounded classifier, on which its generator is trained."""
        return case._replace(kind="unconfounded", seed=self.seeds[0])

    def explained(self, case: Case, advance: Advance | None = None) -> list[Artefact]:
        """The method's counterfactuals of all queries; trainings without the classifier run once (`Trainer.once`)."""
        work = self.work(case, advance)
        return explain(work, fit(work))

    def answer(self, case: Case, advance: Advance | None = None) -> Artefact:
        """The changes of every attribute in the method's counterfactuals; see `_changes`."""
        work, chunks = self.work(case, advance), self.explained(case, advance)
        assert work.attributes is not None  # noqa: S101 - drawn faces have oracles
        names, oracles = [chunk.name for chunk in chunks], work.attributes.made().name
        key = key_of(version=VERSION, chunks=names, oracles=oracles)
        artefact = Artefact(self.protocol.runs, "bias", key)
        artefact.make(partial(_changes, work, chunks))
        return artefact

    def answers(self, method: str, kind: str) -> list[Artefact]:
        """The changes for all classifiers of `kind`, one artefact per seed."""
        return [self.answer(Case(method, kind, seed)) for seed in self.seeds]


def trials(planted: Iterable[str], protocol: Protocol, seeds: Iterable[int]) -> list[Trial]:
    """A trial of each bias in `planted`, under the settings of bias discovery.

    Raises
    ------
    UserError
        If a text names no bias, `avatars.strength` is 0.5 or less, the user sets a dependence of attributes that bias
        discovery sets itself, or two seeds differ by `OTHER_SEEDS`.
    """
    asked = (protocol.overrides or {}).get("avatars", {})
    if taken := [name for name in ("confounding", "independent", "descendants") if asked.get(name)]:
        raise UserError(f"bias sets the dependence between attributes itself: leave out avatars.{taken[0]}")
    seeds = tuple(seeds)
    if twice := sorted({seed for seed in seeds if seed + OTHER_SEEDS in seeds}):
        raise UserError(f"seeds {twice[0]} and {twice[0] + OTHER_SEEDS} would share a classifier; leave one out")
    overrides = with_settings(protocol.preset, protocol.overrides or {})
    own = replace(protocol, overrides=overrides, relaxations=(0.0,))
    made = [Trial(Planted.parse(text), own, seeds) for text in planted]
    for strength in (trial.drawn.strength for trial in made):
        if strength <= 0.5:
            raise UserError(f"a bias needs avatars.strength above 0.5, not {strength:g}")
    return made


def _identity(classifier: TrainedClassifier) -> tuple[object, ...]:
    """Everything that determines a classifier."""
    question = classifier.workshop.question
    return question.seed, question.data.digest, len(question.train), classifier.config.model_dump()


def side(answers: Sequence[Artefact], kept: Tensor) -> Side:
    """The changes and the validity of `answers`, one per seed, for the attributes in the mask `kept` (A,)."""
    parts = [answer.tensors() for answer in answers]
    changes = torch.stack([part["changes"][:, kept] for part in parts])
    return Side(changes, torch.stack([part["valid"] for part in parts]))


def strict_side(answers: Sequence[Artefact], kept: Tensor) -> Side:
    """The same over all queries, standardised, so that random changes cancel out under any classifier."""
    parts = [answer.tensors() for answer in answers]
    before, target = torch.stack([part["before"][:, kept] for part in parts]), [part["target"] for part in parts]
    return standardised(side(answers, kept).all, before, torch.stack(target))


def _changes(work: Work, chunks: Sequence[Artefact], _: Artefact) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Attribute changes of the answers, and what is needed to interpret them.

    "changes" (N, A): signed changes from the reconstruction to the answer; "before" (N, A): the oracles' reading of the
    reconstruction; (N,) each: "target", the class "seen" in the answer, and "valid" where the two agree.
    """
    parts = [chunk.tensors() for chunk in chunks]
    answers, reconstructions = (
        torch.cat([part["images"][0] for part in parts]),
        torch.cat([part["reconstructions"] for part in parts]),
    )
    target = torch.cat([part["targets"] for part in parts])
    assert work.attributes is not None  # noqa: S101 - drawn faces have oracles
    oracles, device = work.attributes.network()[0], work.workshop.device
    before, after = (in_batches(oracles, Pictures(images), device) > 0 for images in (reconstructions, answers))
    seen = in_batches(work.classifier.network(), Pictures(answers), device).argmax(1)
    changes = signed_changes(before, after, target)
    return {"changes": changes, "valid": seen == target, "before": before, "target": target, "seen": seen}, {}
