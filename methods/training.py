"""The one training loop, for all methods: batches, optimiser steps, progress, checkpoints, devices."""

import hashlib
import io
import logging
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.multiprocessing.spawn import ProcessRaisedException

from methods.files import write_whole

if TYPE_CHECKING:
    from lightning_fabric import Fabric

log = logging.getLogger(__name__)

Advance = Callable[[str, int, int, float | None], None]
"""Progress of a stage: called with (stage, done, total, loss)."""


class DivergedError(ArithmeticError):
    """A loss or gradient was not finite; the last good checkpoint is kept."""


@dataclass(frozen=True)
class Devices:
    """Devices and precision of a training, in lightning-fabric's words and values."""

    accelerator: str = "cpu"
    devices: int = 1
    precision: str = "32-true"

    def deciding(self) -> dict[str, Any]:
        """The settings that change trained weights: several devices draw noise and normalise batches separately."""
        return {"precision": self.precision} | ({"devices": self.devices} if self.devices > 1 else {})

    def fabric(self) -> "Fabric":
        """A Fabric for these devices; several train data-parallel, one process each."""
        # Importing it takes as long as importing torch, and a run that finds everything on disk trains nothing.
        from lightning_fabric import Fabric  # noqa: PLC0415
        from lightning_fabric.strategies.ddp import DDPStrategy  # noqa: PLC0415

        # One of several phases trains only a part of the module, hence the unused parameters.
        several = DDPStrategy(start_method="spawn", find_unused_parameters=True)
        return Fabric(
            accelerator=self.accelerator,
            devices=self.devices,
            precision=self.precision,  # type: ignore[arg-type] # one of fabric's literals; the command line has checked
            strategy="auto" if self.devices == 1 else several,
        )


@dataclass(frozen=True)
class Phase:
    """One optimiser's turn in a step."""

    losses: str
    """Name of the module's method that maps a batch to named scalars; "loss" is minimised."""
    optimizer: torch.optim.Optimizer
    max_norm: float = math.inf
    """Upper bound to which the gradient's norm is clipped."""
    every: int = 1
    """It takes its turn at the last of so many steps."""


def constant(step: int, steps: int) -> float:  # noqa: ARG001 - a schedule's signature
    """The schedule of a constant learning rate."""
    return 1.0


def warmup_cosine(warmup: int, step: int, steps: int) -> float:
    """Linear warm-up over `warmup` steps, then half a cosine down to zero."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def brief_warmup_cosine(step: int, steps: int) -> float:
    """`warmup_cosine` with a twentieth of the steps as warm-up."""
    return warmup_cosine(steps // 20, step, steps)


def silent(stage: str, done: int, total: int, loss: float | None) -> None:
    """Progress that is not shown."""


def derived_seed(*path: int) -> int:
    """An independent 64-bit seed for each path of non-negative integers (seed, purpose, step, ...)."""
    return int.from_bytes(hashlib.sha256(repr(path).encode()).digest()[:8], "big")


@dataclass(frozen=True)
class Plan:
    """Length and batches of a training."""

    batch: Callable[[Tensor], tuple[Tensor, ...]]
    """Indices (B,) -> the tensors that the phases' losses take."""
    count: int
    """Number of training examples."""
    epochs: int
    batch_size: int
    min_steps: int = 0
    """Least number of steps: a small training set gets more epochs."""
    schedule: Callable[[int, int], float] = constant
    """(step, steps) -> the factor on each learning rate."""

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in an epoch; one smaller batch if there is no full one."""
        return max(1, self.count // self.batch_size)

    @property
    def steps(self) -> int:
        """Optimiser steps in all."""
        return max(self.epochs * self.steps_per_epoch, self.min_steps)

    def indices(self, seed: int, step: int) -> Tensor:
        """The examples of one step: slices of a permutation that depends on the seed and the epoch only."""
        epoch, position = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng(derived_seed(seed, 0, epoch)).permutation(self.count)
        return torch.from_numpy(order[position * self.batch_size : (position + 1) * self.batch_size])


@dataclass
class Trainer:
    """Trains modules; the same seed gives the same weights, also after an interruption and a restart."""

    seed: int
    devices: Devices = field(default_factory=Devices)
    checkpoints: Path | None = None
    """Folder of the checkpoints from which an interrupted training resumes; None keeps none."""
    checkpoint_seconds: float = 20.0
    advance: Advance = silent
    seconds_before: float = 0.0
    """Seconds spent earlier: by interrupted processes on trainings resumed here, by other methods on shared ones."""
    shared: Callable[["Trainer", Mapping[str, Any], "Training"], Mapping[str, Tensor]] | None = None
    """Store of the trainings that methods share; None trains each time."""

    @property
    def device(self) -> torch.device:
        """The device that a single process computes on."""
        return replace(self.devices, devices=1, precision="32-true").fabric().device

    def once(self, key: Mapping[str, Any], training: "Training") -> Mapping[str, Tensor]:
        """The final state of `training`, which runs once for all methods that pass the same `key`.

        `training` must use the trainer that it is given. Everything it depends on beside data, seed and devices must be
        in `key`.
        """
        return training(self) if self.shared is None else self.shared(self, key, training)

    @contextmanager
    def repeated(self, count: int) -> Iterator[int]:
        """The number of times to repeat the work inside the context, which is no training: `count`.

        A trainer that only measures a fit yields less, and scales the time up.
        """
        yield count

    def another(self) -> "Trainer | None":
        """A trainer with another seed stream, for a training that failed; None from one that only measures a fit."""
        return replace(self, seed=derived_seed(self.seed, 3))

    def fit(
        self, module: nn.Module, phases: Callable[[nn.Module], Sequence[Phase]], plan: Plan, stage: str = "fit"
    ) -> nn.Module:
        """Train `module` in place and return it, in evaluation mode and on the CPU.

        A method that trains several modules gives each a `stage` of its own.

        Raises
        ------
        DivergedError
            At the first loss or gradient that is not finite; the last checkpoint stays.
        """
        with TemporaryDirectory() as folder:
            trained = Path(folder) / "trained.safetensors"
            alone = replace(self, shared=None)  # other processes cannot reach the store
            loop = partial(_fit, trainer=alone, phases=phases, plan=plan, stage=stage, trained=trained)
            try:
                self.seconds_before += self.devices.fabric().launch(loop, module)
            except ProcessRaisedException as error:  # from one of several processes, as text
                told = re.search(r"DivergedError: (.*)", str(error))
                raise (DivergedError(told[1]) if told else error) from error
            module.cpu().load_state_dict(load_file(trained))
        return module.eval()


Training = Callable[[Trainer], Mapping[str, Tensor]]
"""Trains with the given trainer, and returns the state of the trained network."""


def _fit(
    fabric: "Fabric",
    module: nn.Module,
    trainer: Trainer,
    phases: Callable[[nn.Module], Sequence[Phase]],
    plan: Plan,
    stage: str,
    trained: Path,
) -> float:
    """The loop itself, in every process; returns the seconds that interrupted processes had spent.

    The state is written to the file `trained`, which works across processes for any size of network.
    """
    turns = phases(module)
    model, *optimizers = _set_up(fabric, module, turns)
    rates = [[group["lr"] for group in optimizer.param_groups] for optimizer in optimizers]
    parts = {"model": model, **{f"optimizer_{i}": optimizer for i, optimizer in enumerate(optimizers)}}
    path = trainer.checkpoints and trainer.checkpoints / f"{stage}.checkpoint"
    first, seconds_before = _resume(path, parts)
    started = saved = time.monotonic()
    model.train()
    for step in range(first, plan.steps):
        # Every step has its own random seed, so that a resumed training needs no random state.
        torch.manual_seed(derived_seed(trainer.seed, 1, step, fabric.global_rank))
        mine = plan.indices(trainer.seed, step)[fabric.global_rank :: fabric.world_size]
        batch = fabric.to_device(plan.batch(mine))
        for turn, optimizer, initial in zip(turns, optimizers, rates, strict=True):
            if (step + 1) % turn.every:
                continue
            for group, rate in zip(optimizer.param_groups, initial, strict=True):
                group["lr"] = rate * plan.schedule(step, plan.steps)
            loss = _turn(fabric, model, optimizer, turn, batch, step)
        trainer.advance(stage, step + 1, plan.steps, loss)
        due = time.monotonic() - saved >= trainer.checkpoint_seconds or step + 1 == plan.steps
        if due and path and fabric.is_global_zero:
            saved = time.monotonic()
            save_checkpoint(path, parts, step + 1, seconds_before + saved - started)
    if fabric.is_global_zero:
        save_file({name: value.detach().cpu().contiguous() for name, value in module.state_dict().items()}, trained)
    return seconds_before


def _set_up(fabric: "Fabric", module: nn.Module, turns: Sequence[Phase]) -> tuple[Any, ...]:
    """The module and its optimisers on their device, wrapped for data-parallel work."""
    model, *optimizers = fabric.setup(module, *[turn.optimizer for turn in turns])
    for turn in turns:
        model.mark_forward_method(turn.losses)
    return model, *optimizers


def _turn(fabric: "Fabric", model: Any, optimizer: Any, turn: Phase, batch: tuple[Tensor, ...], step: int) -> float:  # noqa: ANN401 - fabric's wrappers
    """One optimiser step; returns the loss."""
    with fabric.autocast():  # outside forward() Fabric itself turns it on for several devices only
        loss = getattr(model, turn.losses)(*batch)["loss"]
    optimizer.zero_grad(set_to_none=True)
    value = float(loss.item())
    if not math.isfinite(value):
        raise DivergedError(f"the loss is {value} at step {step}")
    fabric.backward(loss)
    norm = fabric.clip_gradients(model, optimizer, max_norm=turn.max_norm, error_if_nonfinite=False)
    if norm is not None and not math.isfinite(norm):
        raise DivergedError(f"the gradient's norm is {norm.item()} at step {step}")
    optimizer.step()
    return value


def save_checkpoint(path: Path, parts: Mapping[str, Any], step: int, seconds: float) -> None:
    """Write the states of `parts` to `path`, preceded by a digest that reveals damage."""
    buffer = io.BytesIO()
    states = {name: part.state_dict() for name, part in parts.items()}
    torch.save({"states": states, "step": step, "seconds": seconds}, buffer)
    write_whole(path, hashlib.sha256(buffer.getbuffer()).digest() + buffer.getbuffer())


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """Read a checkpoint of `save_checkpoint`; None, with a warning that names the file, if it is damaged."""
    content = path.read_bytes()
    if hashlib.sha256(content[32:]).digest() != content[:32]:
        log.warning("the checkpoint %s is damaged; training starts anew", path)
        return None
    loaded: dict[str, Any] = torch.load(io.BytesIO(content[32:]), weights_only=True, map_location="cpu")
    return loaded


def _resume(path: Path | None, parts: Mapping[str, Any]) -> tuple[int, float]:
    """Load the checkpoint at `path` if there is a good one; returns (next step, seconds spent so far)."""
    loaded = load_checkpoint(path) if path and path.exists() else None
    if loaded is None:
        return 0, 0.0
    for name, part in parts.items():
        part.load_state_dict(loaded["states"][name])
    return int(loaded["step"]), float(loaded["seconds"])
