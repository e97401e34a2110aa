"""What a run will need in time, memory and disk, from a few measured steps of everything that it trains and asks."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from benchmark.jobs.protocol import Job, Protocol, images_of
from benchmark.jobs.work import Work
from benchmark.judges.autoencoders import train_autoencoders
from benchmark.judges.classifier import train
from benchmark.records.record import peak_memory
from methods.training import Plan, Trainer

STEPS = 6
"""Steps that are measured. The first is not counted, because it warms up; in the other five a phase that takes its turn
at every fifth (AttGAN's generator) has one."""
IMAGES = 512
"""Training images that they are measured on, at most."""
QUERIES = 8
"""Queries that are asked."""
REPETITIONS = 2
"""Of what a method repeats beside its trainings."""
STATES = 4
"""What lies on disk of a network while it is trained: its weights, and a checkpoint with two moments beside them."""


@dataclass(frozen=True)
class Part:
    """What one thing needs."""

    name: str
    seconds: float
    bytes: int
    """On disk."""


@dataclass(frozen=True)
class Forecast:
    """What all jobs need, one after another on this machine."""

    parts: tuple[Part, ...]
    memory: float
    """MiB of this process while it was measured, data included."""
    device_memory: float
    """MiB of the GPU; 0 without one."""

    def text(self) -> str:
        """A line each, and what they add up to."""
        lines = [
            f"  {part.name}: {_duration(part.seconds)}, {part.bytes / 2**20:,.0f} MiB on disk" for part in self.parts
        ]
        total = sum(part.seconds for part in self.parts)
        disk = sum(part.bytes for part in self.parts) / 2**20
        gpu = f", {self.device_memory:,.0f} MiB of the GPU" if self.device_memory else ""
        needs = f"about {_duration(total)}, {self.memory:,.0f} MiB of memory or more{gpu}, {disk:,.0f} MiB on disk"
        return "\n".join(["estimated from a few measured steps, one job after another:", *lines, f"in all: {needs}"])


def estimate(jobs: Sequence[Job], protocol: Protocol) -> Forecast:
    """What `jobs` need, judges included; what they share is counted once. Nothing is written.

    What scoring takes is not counted.

    Raises
    ------
    UserError
        If a task cannot be had or a method refuses its settings.
    """
    for job in jobs:
        images_of(job.task, protocol)
        Work(job, protocol).check()
    parts: list[Part] = []
    seen: set[tuple[object, ...]] = set()
    for job in jobs:
        work = Work(job, protocol)
        if (job.task, job.seed) not in seen:
            seen.add((job.task, job.seed))
            parts += _judges(work)
        parts += _method(work, seen)
    gpu = torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else 0.0
    return Forecast(tuple(parts), peak_memory(), gpu)


@dataclass
class Meter(Trainer):
    """A trainer that takes a few steps of each training, and adds up what all would take."""

    full: int = 0
    """Images that the training is really on."""
    seconds: float = 0.0
    """What all trainings would take."""
    spent: float = 0.0
    """What the few steps took."""

    def fit(self, module: nn.Module, phases: Any, plan: Plan, stage: str = "fit") -> nn.Module:  # noqa: ANN401
        """A few steps, timed."""
        ends: list[float] = []
        self.advance = lambda *_: ends.append(time.perf_counter())
        count = min(plan.count, STEPS * plan.batch_size)
        short = replace(plan, count=count, epochs=1, min_steps=STEPS)
        started = time.perf_counter()
        trained = super().fit(module, phases, short, stage)
        self.spent += time.perf_counter() - started
        self.seconds += (ends[-1] - ends[0]) / max(1, len(ends) - 1) * replace(plan, count=self.full).steps
        return trained

    @contextmanager
    def repeated(self, count: int) -> Iterator[int]:
        """A few repetitions, timed."""
        few = min(count, REPETITIONS)
        started = time.perf_counter()
        yield few
        seconds = time.perf_counter() - started
        self.spent += seconds
        self.seconds += seconds * count / few


def _judges(work: Work) -> Iterator[Part]:
    """The classifier, the oracle and the autoencoders of one task and seed."""
    question = work.question
    few = question.train.first(IMAGES)
    for role, judge in work.judges.items():
        subset, _ = judge.learns_from()
        meter = _meter(work, len(subset))
        network: nn.Module = train(judge.config, few, question.class_count, meter)
        yield Part(f"{role} on {work.job.task}, seed {work.job.seed}", meter.seconds, STATES * _size(network))
    meter = _meter(work, len(question.train))
    network = train_autoencoders(work.autoencoders.config, few, question.class_count, meter)
    yield Part(f"autoencoders on {work.job.task}, seed {work.job.seed}", meter.seconds, STATES * _size(network))


def _method(work: Work, seen: set[tuple[object, ...]]) -> Iterator[Part]:
    """The training of a method, unless another one shares it, and its answers."""
    question, device = work.question, work.workshop.device
    method, classifier = work.method(), work.classifier.untrained().to(device).eval()
    few = question.train.first(IMAGES)
    meter = _meter(work, len(question.train))
    started = time.perf_counter()
    method.fit(few, classifier, trainer=meter)
    rest = (time.perf_counter() - started - meter.spent) * len(question.train) / len(few)  # grows with the images
    shared = (work.entry.path, str(method.config.fit_part()), work.job.task, work.job.seed)
    if shared not in seen:
        seen.add(shared)
        yield Part(f"{work.job}: training", meter.seconds + rest, STATES * _size(method.network))
    method.network.to(device).eval()
    queries = question.queries.first(QUERIES)
    images = queries.batch(torch.arange(len(queries))).to(device)
    target = (classifier(images).argmax(1) + 1) % question.class_count
    started = time.perf_counter()
    with torch.no_grad():
        answers = method.explain(images, target, work.protocol.relaxations)
    times = len(question.queries) / len(queries)
    kept = answers.images.numel() + 2 * images.numel() + sum(part.nbytes for part in answers.intervention.values())
    yield Part(f"{work.job}: answers", (time.perf_counter() - started) * times, round(kept * times))


def _meter(work: Work, full: int) -> Meter:
    return Meter(seed=0, devices=work.protocol.devices, full=full)


def _size(network: nn.Module) -> int:
    return sum(part.nbytes for part in network.state_dict().values())


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 100 else f"{minutes / 60:.1f} h"
