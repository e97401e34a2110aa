"""The judges of a job: the classifier, the oracle, autoencoders, and what drawn data know; trained once and kept."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.data import ImageData, Subset
from benchmark.data.tasks import Splits, split
from benchmark.errors import UserError
from benchmark.jobs.protocol import Job, Protocol, images_of
from benchmark.jobs.scoring import AttributeJudge, Judges, row
from benchmark.jobs.settings import attributes_config, autoencoder_config, data_config, judge_config
from benchmark.judges.attributes import AttributeOracles, AttributesConfig, train_attribute_oracles
from benchmark.judges.attributes import accuracies as attribute_accuracies
from benchmark.judges.autoencoders import AutoencoderConfig, Autoencoders, train_autoencoders
from benchmark.judges.classifier import ClassifierConfig, ConvClassifier, train
from benchmark.judges.features import inception_network, penultimate, pooled
from benchmark.records.record import Judge, Row
from benchmark.records.store import Artefact, key_of
from methods.base import BATCH
from methods.training import Advance, DivergedError, Trainer, Training, derived_seed, silent
from metrics.intervals import proportion

ROLES = ("classifier", "oracle")
DISJOINT = 20_000
"""From this many training images on, the classifier and the oracle each get a half of their own."""
PURPOSES = ("training", "classifier", "oracle", "fit", "targets", "explain", "show", "probe", "autoencoders")
"""What random numbers are drawn for; a seed and a purpose make a stream."""
ATTRIBUTES_SEED = 2**20
"""Of the attribute oracles and of the faces that they learn from, whatever the job's seed."""


class Judging:
    """What a job has before its method: images, splits, seeds, and the networks that judge answers.

    `data` stand in for those that the task names, and `investigated` for a job whose classifier is explained instead of
    one that is trained on this job's images.
    """

    def __init__(
        self,
        job: Job,
        protocol: Protocol,
        advance: Advance | None = None,
        *,
        data: ImageData | None = None,
        investigated: "Judging | None" = None,
    ) -> None:
        self.job, self.protocol, self.investigated = job, protocol, investigated
        self.advance = advance or silent
        self.overrides = protocol.overrides or {}
        self.data = images_of(job.task, protocol) if data is None else data
        self.settings = data_config(protocol.preset, self.overrides, self.data.shape[0])
        self.splits: Splits = split(self.data, job.seed)
        self.train = self.splits.train.first(self.settings.train_images or len(self.splits.train))
        self.asked = self.splits.named(protocol.split)
        self.queries = self.asked.first(min(self.settings.queries, protocol.limit or len(self.asked)))

    def check_extractors(self) -> None:
        """Refuse to let Inception look at grey images."""
        if "inception" in self.protocol.extractors and self.data.shape[0] != 3:
            raise UserError(f"{self.data.name} has no colours, which Inception needs; use --fid oracle")

    def seed(self, purpose: str, *rest: int) -> int:
        """A seed of its own for each purpose."""
        return derived_seed(self.job.seed, PURPOSES.index(purpose), *rest)

    def trainer(self, purpose: str, artefact: Artefact) -> Trainer:
        """Trains for `purpose`, and goes on where an interrupted training was."""
        return Trainer(
            seed=self.seed(purpose),
            devices=self.protocol.devices,
            checkpoints=artefact.checkpoints,
            advance=self.advance,
            shared=self._shared,
        )

    def _shared(self, trainer: Trainer, key: Mapping[str, Any], training: Training) -> Mapping[str, Tensor]:
        """A training that several methods share, made once; its seconds count for each of them."""

        def make(artefact: Artefact) -> tuple[Mapping[str, Tensor], dict[str, Any]]:
            own = replace(trainer, checkpoints=artefact.checkpoints, seconds_before=0.0)
            started = time.perf_counter()
            state = training(own)
            return state, {"seconds": time.perf_counter() - started + own.seconds_before}

        artefact = Artefact(self.protocol.runs, "training", key_of(**key, **self._training()))
        started = time.perf_counter()
        seconds = artefact.make(make)["seconds"]
        trainer.seconds_before += seconds - (time.perf_counter() - started)
        return artefact.tensors()

    def _training(self) -> dict[str, Any]:
        """What every training depends on, beside its settings."""
        return {
            "seed": self.job.seed,
            "data": self.data.digest,
            "train": len(self.train),
            **self.protocol.devices.deciding(),
        }

    def judge_config(self, role: str) -> ClassifierConfig:
        """The settings of the classifier or the oracle."""
        return judge_config(role, self.protocol.preset, self.overrides, self.data.shape[0])

    def autoencoder_config(self) -> AutoencoderConfig:
        """The settings of the autoencoders."""
        return autoencoder_config(self.protocol.preset, self.overrides, self.data.shape[0])

    # -- classifier and oracle -----------------------------------------------------------------------------------------

    def judge(self, role: str) -> tuple[Artefact, Judge]:
        """The trained classifier or oracle, and what a record says of it."""
        if self.investigated and role == "classifier":
            return self.investigated.judge(role)
        config = self.judge_config(role)
        key = key_of(config=config.model_dump(), **self._training())
        artefact = Artefact(self.protocol.runs, role, key)
        return artefact, Judge.model_validate(artefact.make(partial(self._train_judge, role, config)))

    def _train_judge(
        self, role: str, config: ClassifierConfig, artefact: Artefact
    ) -> tuple[dict[str, Tensor], dict[str, Any]]:
        subset, words = self.judging(role)
        trainer = self.trainer(role, artefact)
        torch.manual_seed(self.seed(role))
        started = time.perf_counter()
        with advised(role):
            network = train(config, subset, len(self.data.class_names), trainer)
        seconds = time.perf_counter() - started + trainer.seconds_before
        network.to(trainer.device)
        state = {name: value.cpu() for name, value in network.state_dict().items()}
        facts = {
            "config": config.model_dump(mode="json"),
            "digest": key_of(**{name: value.numpy().tobytes().hex() for name, value in state.items()}),
            "validation_accuracy": _accuracy(network, self.splits.validation, trainer.device),
            "test_accuracy": _accuracy(network, self.splits.test, trainer.device),
            "test_n": len(self.splits.test),
            "trained_on": words,
            "fit_seconds": seconds,
        }
        return state, facts

    def judging(self, role: str) -> tuple[Subset, str]:
        """What the classifier or the oracle learns from, and how a record puts it."""
        count = len(self.train)
        if count < DISJOINT:
            return self.train, f"all {count} training images"
        indices = self.train.indices[ROLES.index(role) :: 2]
        return Subset(self.data, indices), f"{len(indices)} training images that the other one has not seen"

    def network(self, role: str) -> ConvClassifier:
        """The trained classifier or oracle itself, frozen, on the device."""
        artefact, _ = self.judge(role)
        network = self.untrained(role)
        network.load_state_dict(artefact.tensors())
        return network.eval().requires_grad_(False).to(self.device)

    def untrained(self, role: str) -> ConvClassifier:
        """The classifier or oracle before its training."""
        config = self.judge_config(role)
        return ConvClassifier(config, self.data.shape, len(self.data.class_names))

    def autoencoders(self) -> Artefact:
        """An autoencoder of each class and one of all, trained for IM1 and IM2; no method sees them."""
        config = self.autoencoder_config()
        key = key_of(config=config.model_dump(), **self._training())
        artefact = Artefact(self.protocol.runs, "autoencoders", key)
        artefact.make(partial(self._train_autoencoders, config))
        return artefact

    def _train_autoencoders(
        self, config: AutoencoderConfig, artefact: Artefact
    ) -> tuple[dict[str, Tensor], dict[str, Any]]:
        torch.manual_seed(self.seed("autoencoders"))
        started = time.perf_counter()
        with advised("autoencoders"):
            trainer = self.trainer("autoencoders", artefact)
            network = train_autoencoders(config, self.train, len(self.data.class_names), trainer)
        return network.state_dict(), {"fit_seconds": time.perf_counter() - started + trainer.seconds_before}

    def _autoencoder_networks(self) -> list[Callable[[Tensor], Tensor]]:
        """The trained autoencoders themselves, that of all classes last, frozen, on the device."""
        config = self.autoencoder_config()
        network = Autoencoders(config, self.data.shape, len(self.data.class_names))
        network.load_state_dict(self.autoencoders().tensors())
        return list(network.eval().requires_grad_(False).to(self.device).parts)

    # -- what drawn data know ------------------------------------------------------------------------------------------

    def attributes(self) -> Artefact:
        """Oracles of every attribute, which no method sees; the same for all tasks, methods and seeds at this size."""
        config = attributes_config(self.protocol.preset, self.overrides)
        faces = self._independent()
        key = key_of(config=config.model_dump(), data=faces.digest, **self.protocol.devices.deciding())
        artefact = Artefact(self.protocol.runs, "attributes", key)
        artefact.make(partial(self._train_attributes, config, faces))
        return artefact

    def _independent(self) -> ImageData:
        """The faces that the attribute oracles learn from and are judged by."""
        assert self.data.independent is not None  # noqa: S101 - the caller looked
        config = attributes_config(self.protocol.preset, self.overrides)
        return self.data.independent(config.faces + config.unseen, ATTRIBUTES_SEED)

    def _train_attributes(
        self, config: AttributesConfig, faces: ImageData, artefact: Artefact
    ) -> tuple[dict[str, Tensor], dict[str, Any]]:
        trainer = Trainer(ATTRIBUTES_SEED, self.protocol.devices, artefact.checkpoints, advance=self.advance)
        torch.manual_seed(ATTRIBUTES_SEED)
        started = time.perf_counter()
        with advised("attributes"):
            network = train_attribute_oracles(config, faces, trainer)
        found = attribute_accuracies(network.to(trainer.device), faces, trainer.device)
        return {name: value.cpu() for name, value in network.state_dict().items()}, {
            "accuracies": found,
            "kept": [name for name, accuracy in found.items() if accuracy >= config.least],
            "fit_seconds": time.perf_counter() - started + trainer.seconds_before,
        }

    def attribute_oracles(self) -> tuple[AttributeOracles, dict[str, Any]]:
        """The trained oracles themselves, frozen, on the device; and their "accuracies" and which are "kept"."""
        artefact, config = self.attributes(), attributes_config(self.protocol.preset, self.overrides)
        facts = artefact.facts() or {}
        network = AttributeOracles(config, self.data.shape, len(facts["accuracies"]))
        network.load_state_dict(artefact.tensors())
        return network.eval().requires_grad_(False).to(self.device), facts

    def exact(self, chunks: Sequence[Artefact]) -> Artefact:
        """The exact counterfactuals of the queries, the same for all methods."""
        targets = torch.cat([chunk.tensors()["targets"] for chunk in chunks]).numpy()
        indices = self.queries.indices
        key = key_of(data=self.data.digest, queries=indices.tolist(), targets=targets.tolist())
        artefact = Artefact(self.protocol.runs, "exact", key)
        artefact.make(lambda _: (as_tensors(images=self.data.counterfactuals(indices, targets)), {}))
        return artefact

    def _known(self, chunks: Sequence[Artefact]) -> dict[str, Artefact]:
        """What drawn data know, by its stage; nothing of photographs."""
        found = {} if self.data.exact is None else {"exact": self.exact(chunks)}
        return found if self.data.independent is None else {**found, "attributes": self.attributes()}

    @property
    def device(self) -> torch.device:
        """Where networks are applied."""
        return Trainer(0, self.protocol.devices).device

    def judges(self) -> Judges:
        """The networks that answers are shown to."""
        oracle = self.network("oracle")
        extractors: dict[str, Callable[[Tensor], Tensor]] = {}
        if "oracle" in self.protocol.extractors:
            extractors["oracle"] = penultimate(oracle)
        if "inception" in self.protocol.extractors:
            extractors["inception"] = pooled(inception_network(self.protocol.inception_weights).to(self.device))
        judges = Judges(self.network("classifier"), oracle, extractors, self.device, self._autoencoder_networks())
        if self.data.independent is None:
            return judges
        network, facts = self.attribute_oracles()
        return replace(
            judges, attributes=AttributeJudge(network, facts["accuracies"], facts["kept"], self.data.attribute)
        )


@contextmanager
def advised(section: str) -> Iterator[None]:
    """Tell the user what to do about a training that diverges under the settings of `section`."""
    try:
        yield
    except DivergedError as error:
        raise UserError(
            f"training the {section} diverged: {error}; its last good checkpoint is kept. "
            f"Lower its learning rate with --set {section}.learning_rate=..."
        ) from error


def accuracies(judges: Mapping[str, Judge]) -> list[Row]:
    """The test accuracy of the classifier and the oracle, as numbers of every job that they judge."""
    return [
        row(f"{role}_accuracy", proportion(torch.arange(judge.test_n) < round(judge.test_accuracy * judge.test_n)))
        for role, judge in judges.items()
    ]


def _accuracy(network: ConvClassifier, subset: Subset, device: torch.device) -> float:
    """The share of `subset` whose label the network names."""
    right = 0
    with torch.no_grad():
        for chunk in torch.arange(len(subset)).split(BATCH):
            predicted = network(subset.batch(chunk).to(device)).argmax(1).cpu()
            right += int((predicted == subset.labels[chunk]).sum())
    return right / len(subset)


def as_tensors(**arrays: np.ndarray | None) -> dict[str, Tensor]:
    """Those of `arrays` that there are."""
    return {name: torch.from_numpy(array) for name, array in arrays.items() if array is not None}
