"""Forecast of a run's time, memory and disk space, from a few measured steps of every training and explanation."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from benchmark.jobs.fit import artefact_of
from benchmark.jobs.protocol import Job, Protocol, images_of
from benchmark.jobs.work import Work
from benchmark.judges.autoencoders import train_autoencoders
from benchmark.judges.classifier import train
from benchmark.judges.own import GivenClassifier
from benchmark.records.record import peak_memory
from methods.training import Plan, Trainer

STEPS = 6
"""Steps that are measured. The first is not counted, because it warms up; in the other five a phase that takes its turn
at every fifth (AttGAN's generator) has one."""
IMAGES = 512
"""Maximal number of training images for the measurement."""
QUERIES = 8
"""Queries for the measurement."""
REPETITIONS = 2
"""Measured repetitions of a method's work beside its trainings (`Trainer.repeated`)."""
STATES = 4
"""Disk space during a training, in sizes of the network: weights, and a checkpoint with weights and two moments."""


@dataclass(frozen=True)
class Part:
    """Needs of one part of the run."""

    name: str
    seconds: float
    """Or in whatever the clock counts."""
    bytes: int
    """On disk."""


@dataclass(frozen=True)
class Forecast:
    """Needs of all jobs, one after another on this machine."""

    parts: tuple[Part, ...]
    memory: float
    """MiB of this process during the measurement, data included."""
    device_memory: float
    """MiB of GPU memory; 0 without a GPU."""

    def text(self) -> str:
        """One line per part, and the sum."""
        lines = [
            f"  {part.name}: {_duration(part.seconds)}, {part.bytes / 2**20:,.0f} MiB on disk" for part in self.parts
        ]
        total = sum(part.seconds for part in self.parts)
        disk = sum(part.bytes for part in self.parts) / 2**20
        gpu = f", {self.device_memory:,.0f} MiB of the GPU" if self.device_memory else ""
        needs = f"about {_duration(total)}, {self.memory:,.0f} MiB of memory or more{gpu}, {disk:,.0f} MiB on disk"
        head = "estimated from a few measured steps, one job after another, trainings on disk left out:"
        return "\n".join([head, *lines, f"in all: {needs}"])


def estimate(jobs: Sequence[Job], protocol: Protocol, clock: Callable[[], float] = time.perf_counter) -> Forecast:
    """The needs of `jobs`, judges included; shared parts count once, trainings on disk not at all. Nothing is written.

    Scoring is not included. `clock` may count something else that grows with the work, such as operations.

    Raises
    ------
    UserError
        If a task cannot be loaded or a method refuses its settings.
    """
    protocol = replace(protocol, writes=False)
    for job in jobs:
        images_of(job.task, protocol)
        Work(job, protocol).check()
    parts: list[Part] = []
    seen: set[tuple[object, ...]] = set()
    for job in jobs:
        work = Work(job, protocol)
        if (job.task, job.seed) not in seen:
            seen.add((job.task, job.seed))
            parts += _judges(work, clock)
        parts += _method(work, seen, clock)
    gpu = torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else 0.0
    return Forecast(tuple(parts), peak_memory(), gpu)


@dataclass
class Meter(Trainer):
    """A trainer that runs a few steps of each training, and extrapolates the time of all steps."""

    full: int = 0
    """Number of images of the real training."""
    clock: Callable[[], float] = time.perf_counter
    seconds: float = 0.0
    """Extrapolated seconds of all trainings."""
    spent: float = 0.0
    """Seconds of the measured steps."""

    def fit(self, module: nn.Module, phases: Any, plan: Plan, stage: str = "fit") -> nn.Module:  # noqa: ANN401
        """Run and time a few steps."""
        ends: list[float] = []
        self.advance = lambda *_: ends.append(self.clock())
        count = min(plan.count, STEPS * plan.batch_size)
        short = replace(plan, count=count, epochs=1, min_steps=STEPS)
        started = self.clock()
        trained = super().fit(module, phases, short, stage)
        self.spent += self.clock() - started
        self.seconds += (ends[-1] - ends[0]) / max(1, len(ends) - 1) * replace(plan, count=self.full).steps
        return trained

    def another(self) -> None:
        """Few steps fail every test of a training, and their time is known already."""

    @contextmanager
    def repeated(self, count: int) -> Iterator[int]:
        """Time a few repetitions instead of `count`."""
        few = min(count, REPETITIONS)
        started = self.clock()
        yield few
        seconds = self.clock() - started
        self.spent += seconds
        self.seconds += seconds * count / few


def _judges(work: Work, clock: Callable[[], float]) -> Iterator[Part]:
    """The classifier, the oracles and the autoencoders of one task and seed, as far as they are not on disk."""
    question = work.question
    few = question.train.first(IMAGES)
    trained = [work.classifier, *work.retrained, *work.oracle.members]
    for judge in trained:
        if isinstance(judge, GivenClassifier) or judge.artefact.facts() is not None:
            continue
        subset, _ = judge.learns_from()
        meter = _meter(work, len(subset), clock)
        network: nn.Module = train(judge.config, few, question.class_count, meter)
        yield Part(f"{judge.role} on {work.job.task}, seed {work.job.seed}", meter.seconds, STATES * _size(network))
    if work.autoencoders.artefact.facts() is not None:
        return
    meter = _meter(work, len(question.train), clock)
    network = train_autoencoders(work.autoencoders.config, few, question.class_count, meter)
    yield Part(f"autoencoders on {work.job.task}, seed {work.job.seed}", meter.seconds, STATES * _size(network))


def _method(work: Work, seen: set[tuple[object, ...]], clock: Callable[[], float]) -> Iterator[Part]:
    """The training of a method, unless another one shares it or it is on disk, and its answers."""
    question, device = work.question, work.workshop.device
    method, classifier = work.method(), work.classifier.untrained().to(device).eval()
    few = question.train.first(IMAGES)
    meter = _meter(work, len(question.train), clock)
    started = clock()
    method.fit(few, classifier, trainer=meter)
    rest = (clock() - started - meter.spent) * len(question.train) / len(few)  # grows with the images
    shared = (work.entry.path, str(method.config.fit_part()), work.job.task, work.job.seed)
    digest = work.classifier_digest
    there = digest is not None and artefact_of(work, digest).facts() is not None
    if shared not in seen and not there:
        seen.add(shared)
        yield Part(f"{work.job}: training", meter.seconds + rest, STATES * _size(method.network))
    method.network.to(device).eval()
    queries = question.queries.first(QUERIES)
    images = queries.batch(torch.arange(len(queries))).to(device)
    target = (classifier(images).argmax(1) + 1) % question.class_count
    started = clock()
    with torch.no_grad():
        answers = method.explain(images, target, work.protocol.relaxations)
    times = len(question.queries) / len(queries)
    kept = answers.images.numel() + 2 * images.numel() + sum(part.nbytes for part in answers.intervention.values())
    yield Part(f"{work.job}: answers", (clock() - started) * times, round(kept * times))


def _meter(work: Work, full: int, clock: Callable[[], float]) -> Meter:
    """Times steps on one device, however many are to share the training: a process each cannot be timed from here."""
    return Meter(seed=0, devices=replace(work.protocol.devices, devices=1), full=full, clock=clock)


def _size(network: nn.Module) -> int:
    return sum(part.nbytes for part in network.state_dict().values())


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 100 else f"{minutes / 60:.1f} h"
