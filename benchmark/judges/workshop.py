"""Where the networks of a question are trained, each once, and kept; what is on disk is not trained again."""

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
    """The question whose images networks learn from, the devices that train them, and the folder that keeps them."""

    question: Question
    runs: Path
    devices: Devices
    advance: Advance = silent

    @property
    def device(self) -> torch.device:
        """Where networks are applied."""
        return Trainer(0, self.devices).device

    def conditions(self) -> dict[str, Any]:
        """What every training depends on, beside its settings."""
        return {
            "seed": self.question.seed,
            "data": self.question.data.digest,
            "train": len(self.question.train),
            **self.devices.deciding(),
        }

    def artefact(self, stage: str, **settings: Any) -> Artefact:  # noqa: ANN401 - whatever JSON can hold
        """What a training under `settings` leaves."""
        return Artefact(self.runs, stage, key_of(**settings, **self.conditions()))

    def trainer(self, purpose: str, artefact: Artefact) -> Trainer:
        """Trains for `purpose`, and goes on where an interrupted training was."""
        return Trainer(
            seed=self.question.seed_for(purpose),
            devices=self.devices,
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

        artefact = self.artefact("training", **key)
        started = time.perf_counter()
        seconds = artefact.make(make)["seconds"]
        trainer.seconds_before += seconds - (time.perf_counter() - started)
        return artefact.tensors()


def timed(section: str, trainer: Trainer, learn: Callable[[Trainer], T]) -> tuple[T, float]:
    """What `learn` returns under the trainer's seed, and the seconds it took, those of interrupted processes included.

    Raises
    ------
    UserError
        If it diverges under the settings of `section`.
    """
    torch.manual_seed(trainer.seed)
    started = time.perf_counter()
    with advised(section):
        learnt = learn(trainer)
    return learnt, time.perf_counter() - started + trainer.seconds_before


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
