"""Training and storage of a question's networks; a network on disk is not trained again."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from benchmark.data.question import Question
from benchmark.errors import UserError
from benchmark.records.store import Artefact, key_of
from methods.training import Advance, Devices, DivergedError, Trainer, Training, silent

T = TypeVar("T")


@dataclass(frozen=True)
class Workshop:
    """The question with the training images, the devices to train on, and the folder of the trained networks."""

    question: Question
    runs: Path
    devices: Devices
    advance: Advance = silent

    @property
    def device(self) -> torch.device:
        """The device on which networks are applied."""
        return Trainer(0, self.devices).device

    def conditions(self) -> dict[str, Any]:
        """Everything beside its settings that a training depends on."""
        return {
            "seed": self.question.seed,
            "data": self.question.data.digest,
            "train": len(self.question.train),
            **self.devices.deciding(),
        }

    def artefact(self, stage: str, **settings: Any) -> Artefact:  # noqa: ANN401 - whatever JSON can hold
        """The artefact of a training under `settings`."""
        return Artefact(self.runs, stage, key_of(**settings, **self.conditions()))

    def trainer(self, purpose: str, artefact: Artefact) -> Trainer:
        """A trainer with the seed of `purpose`; it resumes an interrupted training."""
        return Trainer(
            seed=self.question.seed_for(purpose),
            devices=self.devices,
            checkpoints=artefact.checkpoints,
            advance=self.advance,
            shared=self._shared,
        )

    def _shared(self, trainer: Trainer, key: Mapping[str, Any], training: Training) -> Mapping[str, Tensor]:
        """A training that several methods share, run once; its seconds count for each of them."""

        def make(artefact: Artefact) -> tuple[Mapping[str, Tensor], dict[str, Any]]:
            own = replace(trainer, checkpoints=artefact.checkpoints, seconds_before=0.0)
            started = time.perf_counter()
            state = training(own)
            return state, {"seconds": time.perf_counter() - started + own.seconds_before}

        artefact = self.artefact("training", **key)
        started = time.perf_counter()
        seconds = artefact.make(make)["seconds"]
        trainer.seconds_before += seconds - (time.perf_counter() - started)
        return artefact.tensors()


def timed(section: str, trainer: Trainer, learn: Callable[[Trainer], T]) -> tuple[T, float]:
    """The result of `learn` under the trainer's seed, and its seconds, including those of interrupted processes.

    Raises
    ------
    UserError
        If the training diverges; the message names the `section` of settings.
    """
    torch.manual_seed(trainer.seed)
    started = time.perf_counter()
    with advised(section), torch.enable_grad():  # a judge may be missing where answers are looked at
        learnt = learn(trainer)
    return learnt, time.perf_counter() - started + trainer.seconds_before


@contextmanager
def advised(section: str) -> Iterator[None]:
    """Turn the divergence of a training into a UserError with advice on the settings of `section`."""
    try:
        yield
    except DivergedError as error:
        raise UserError(
            f"training the {section} diverged: {error}; its last good checkpoint is kept. "
            f"Lower its learning rate with --set {section}.learning_rate=..."
        ) from error
