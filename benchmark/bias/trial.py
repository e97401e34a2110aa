"""Bias discovery: a bias is planted in a classifier, and methods are asked whether their counterfactuals show it.

Classifiers of one architecture learn from faces with the bias and without; every method learns from faces without it
alone, and explains all of them on the same queries. What a hostile reader would ask is answered before the numbers:
does the classifier have the bias at all (gates), would the method also find one where there is none (controls), and
would it find its own generator's (leakage)? `metrics/bias.py` has the score.
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
"""Kind of classifier -> what it learns from."""
BIASED_AT_LEAST, UNBIASED_AT_MOST = 0.10, 0.05
"""Shares of queries whose class the exact do(attribute) flips: the gates."""
RAISED_ABOVE = 0.0
"""What the lower bound of the edit's effect on the label's probability has to exceed, so that flips are no noise."""
OTHER_SEEDS = 1000
"""By how much the seeds of "another" classifier differ."""
VERSION = 3
"""Raised whenever gates, scores or leads come out otherwise from the same answers."""

SETTINGS: Mapping[str, Overrides] = MappingProxyType(
    {
        "smoke": {
            "avatars": {"evidence": 0.8, "count": 400},
            "data": {"queries": 16},
            "attributes": {"least": 0.0},
        },
        "default": {
            "avatars": {"size": 33, "count": 5000, "evidence": 0.85},
            "data": {"queries": 160},
            "classifier": {"epochs": 8},
        },
        "paper": {"avatars": {"evidence": 0.85}, "data": {"queries": 1000}},
    }
)
"""Preset -> the settings of data and judges in which this protocol differs from the preset: small faces."""
OF_METHODS = "bias"
"""What methods call their own such settings, for many trainings on small faces; they change the default preset."""


def with_settings(preset: str, asked: Overrides) -> Overrides:
    """The protocol's own settings, and above them what the user sets."""
    presets = {name: entry.load().presets for name, entry in METHODS.items()} if preset == "default" else {}
    small = {name: part[OF_METHODS] for name, part in presets.items() if OF_METHODS in part}
    own = {**SETTINGS[preset], **small}
    return {name: {**_plain(own.get(name, {})), **asked.get(name, {})} for name in {**own, **asked}}


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}


@dataclass(frozen=True)
class Planted:
    """A bias: the classifier of `label` is led to use `attribute`, which it is taught to find where `label` is not."""

    attribute: str
    label: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """The bias that a text such as "Eyeglasses-on-Young" names.

        Raises
        ------
        UserError
            If it does not name two attributes between which the data set can plant a dependence.
        """
        attribute, on, label = text.partition("-on-")
        if not on:
            raise UserError(f"--planted takes attribute-on-label, as in Eyeglasses-on-Young, not '{text}'")
        free = [name for name in NAMES if name not in HAIR_COLOURS]
        for name in (attribute, label):
            if name not in free:
                raise unknown("attribute that a bias can be planted of", name, free)
        if attribute == label:
            raise UserError(f"a bias is planted between two attributes, not of {label} on itself")
        return cls(attribute, label)

    def __str__(self) -> str:
        return f"{self.attribute}-on-{self.label}"

    @property
    def confounding(self) -> str:
        """As the data set's settings name it: the later in the model depends on the earlier."""
        return "-".join(sorted((self.attribute, self.label), key=NAMES.index, reverse=True))

    def family(self) -> list[str]:
        """The attribute and what the model makes depend on it: a change of any of them speaks of the bias."""
        found = {self.attribute}
        for own in ATTRIBUTES:
            if found & set(own.parents):
                found.add(own.name)
        return [name for name in NAMES if name in found - {self.label}]

    def directions(self, data: ImageData, names: Sequence[str]) -> Tensor:
        """For each of `names` −1, 0 or 1: how the bias moves it towards the label, if it is of the family, (K,)."""
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
    """Whether the faces that the method has learnt from have the bias."""

    def __str__(self) -> str:
        return f"{self.method} on the {self.kind} classifier, seed {self.seed}{', leaking' * self.leaking}"


@dataclass(frozen=True)
class Trial:
    """One planted bias: its faces, its classifiers, its gates, and what a method shows of it."""

    planted: Planted
    protocol: Protocol
    seeds: tuple[int, ...]
    """Of the classifiers; the first is the methods' too."""

    @property
    def task(self) -> str:
        """What the classifiers are asked."""
        return f"avatars/{self.planted.label}"

    @property
    def drawn(self) -> AvatarsConfig:
        """How the faces that methods learn from are drawn."""
        return AVATARS.resolved(self.protocol.preset, self.protocol.overrides or {})

    def faces(self, *, biased: bool = False) -> ImageData:
        """What methods learn from, with the queries, balanced over the cells, as its test and validation split.

        `biased`: those that the methods learn from have the bias, for the leakage row; the queries are the same.
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
        """As many faces of each (label, attribute) cell, the first ones, (N,)."""
        assert part.data.attributes is not None  # noqa: S101 - drawn faces have some
        wanted = DATA.resolved(self.protocol.preset, self.protocol.overrides or {}, part.shape[0]).queries
        found = part.data.attributes.iloc[part.indices]
        cells = found.groupby([self.planted.label, self.planted.attribute]).indices
        each = min(wanted, self.protocol.limit or wanted) // 4
        if each == 0 or len(cells) < 4 or any(len(rows) < each for rows in cells.values()):
            least = min(map(len, cells.values())) if len(cells) == 4 else 0
            raise UserError(
                f"{self.planted}: {each} queries of each of four cells are wanted, and some cell has {least}; "
                "change data.queries or avatars.count with --set"
            )
        return np.sort(part.indices[np.concatenate([rows[:each] for rows in cells.values()])])

    def _protocol(self, **avatars: object) -> Protocol:
        overrides = self.protocol.overrides or {}
        return replace(self.protocol, overrides={**overrides, "avatars": {**overrides.get("avatars", {}), **avatars}})

    # -- classifiers ---------------------------------------------------------------------------------------------------

    def classifier(self, kind: str, seed: int, advance: Advance | None = None) -> TrainedClassifier:
        """One classifier; it learns from other faces than any method, and than the queries."""
        seed = (seed + OTHER_SEEDS) % 2**32 if kind == "another" else seed
        return Work(Job(self.task, "classifier", seed), self.protocol_of(kind), advance).classifier

    def protocol_of(self, kind: str) -> Protocol:
        """The protocol that draws what the classifiers of `kind` learn from."""
        confounding = self.planted.confounding if kind in ("confounded", "ignoring") else ""
        evidence = 1.0 if kind == "ignoring" else self.drawn.evidence
        return self._protocol(seed=self.drawn.seed + 1, confounding=confounding, evidence=evidence)

    def classifiers(self) -> list[tuple[str, int]]:
        """Kind and seed of each."""
        return [(kind, seed) for kind in KINDS for seed in self.seeds]

    def key(self, method: str = "") -> str:
        """The hash of all that determines what is said of the classifiers, or of a method that explains them."""
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
        """The queries under the exact do(attribute): each has it where it had it not, and the other way round."""
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
        """What the classifiers of `kind` say of the queries, by seed and query, (S, N).

        Bool: "right" of the queries, and "flipped" by the exact do(attribute). In [0, 1]: the probability of the label
        "before" and "after" it.

        Raises
        ------
        UserError
            If a classifier cannot be trained.
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
        """The job of one method that explains one classifier."""
        job, data = Job(self.task, case.method, self.seeds[0]), self.faces(biased=case.leaking)
        return Work(job, self.protocol, advance, data=data, classifier=self.classifier(case.kind, case.seed))

    def first(self, case: Case) -> Case:
        """The same method on the first unconfounded classifier, for which its generator is trained."""
        return case._replace(kind="unconfounded", seed=self.seeds[0])

    def explained(self, case: Case, advance: Advance | None = None) -> list[Artefact]:
        """The method's counterfactuals of all queries; what asks no classifier is learnt once (`Trainer.once`)."""
        work = self.work(case, advance)
        return explain(work, fit(work))

    def answer(self, case: Case, advance: Advance | None = None) -> Artefact:
        """What the method's counterfactuals change of every attribute; see `_changes`."""
        work, chunks = self.work(case, advance), self.explained(case, advance)
        assert work.attributes is not None  # noqa: S101 - drawn faces have oracles
        names, oracles = [chunk.name for chunk in chunks], work.attributes.made().name
        key = key_of(version=VERSION, chunks=names, oracles=oracles)
        artefact = Artefact(self.protocol.runs, "bias", key)
        artefact.make(partial(_changes, work, chunks))
        return artefact

    def answers(self, method: str, kind: str) -> list[Artefact]:
        """What the counterfactuals of all classifiers of `kind` change, a seed each."""
        return [self.answer(Case(method, kind, seed)) for seed in self.seeds]


def trials(planted: Iterable[str], protocol: Protocol, seeds: Iterable[int]) -> list[Trial]:
    """A trial of each bias in `planted`, under the settings that biases have where the user sets none.

    Raises
    ------
    UserError
        If a text names no bias that can be planted, one is to be planted at a strength that is none, the faces that
        methods learn from are to be others than the protocol's, or "another" classifier would be one of the first.
    """
    asked = (protocol.overrides or {}).get("avatars", {})
    if taken := [name for name in ("confounding", "independent", "descendants") if asked.get(name)]:
        raise UserError(f"bias decides itself how attributes of its faces depend: leave out avatars.{taken[0]}")
    seeds = tuple(seeds)
    if twice := sorted({seed for seed in seeds if seed + OTHER_SEEDS in seeds}):
        raise UserError(f"seeds {twice[0]} and {twice[0] + OTHER_SEEDS} would share a classifier; ask one of the two")
    overrides = with_settings(protocol.preset, protocol.overrides or {})
    own = replace(protocol, overrides=overrides, relaxations=(0.0,))
    made = [Trial(Planted.parse(text), own, seeds) for text in planted]
    for strength in (trial.drawn.strength for trial in made):
        if strength <= 0.5:
            raise UserError(f"a bias needs avatars.strength above 0.5, not {strength:g}")
    return made


def _identity(classifier: TrainedClassifier) -> tuple[object, ...]:
    """What determines a classifier."""
    question = classifier.workshop.question
    return question.seed, question.data.digest, len(question.train), classifier.config.model_dump()


def side(answers: Sequence[Artefact], kept: Tensor) -> Side:
    """What `answers`, a seed each, have found of the attributes `kept` (A,)."""
    parts = [answer.tensors() for answer in answers]
    changes = torch.stack([part["changes"][:, kept] for part in parts])
    return Side(changes, torch.stack([part["valid"] for part in parts]))


def strict_side(answers: Sequence[Artefact], kept: Tensor) -> Side:
    """The same over all queries, standardised, so that changes by chance cancel out under any classifier."""
    parts = [answer.tensors() for answer in answers]
    before, target = torch.stack([part["before"][:, kept] for part in parts]), [part["target"] for part in parts]
    return standardised(side(answers, kept).all, before, torch.stack(target))


def _changes(work: Work, chunks: Sequence[Artefact], _: Artefact) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What the answers change, with what has to be known to read it.

    "changes" (N, A): signed, from what the oracles see "before" (N, A), in the reconstructions. And (N,) each: the
    "target", what the classifier has "seen" in the answer, and whether that makes it "valid".
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
