"""Forecast of a run's time, memory and disk space, from a few measured steps of every training and explanation."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import nn

from benchmark.data import Subset
from benchmark.jobs.fit import artefact_of
from benchmark.jobs.memory import kept
from benchmark.jobs.protocol import Job, Protocol, images_of
from benchmark.jobs.work import Work
from benchmark.judges.autoencoders import train_autoencoders
from benchmark.judges.classifier import train
from benchmark.judges.own import GivenClassifier
from benchmark.records.record import peak_memory
from benchmark.records.store import Artefact
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

Clock = Callable[[], Any]
"""Seconds, or whatever else is to be counted."""
Costs = dict[tuple[object, ...], tuple[float, int]]
"""What determines them, but for the seed -> seconds and bytes on disk of what was measured."""


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


def estimate(jobs: Sequence[Job], protocol: Protocol) -> Forecast:
    """The needs of `jobs`, as `parts_of` measures them.

    Raises
    ------
    UserError
        If a task cannot be loaded or a method refuses its settings.
    """
    parts = tuple(parts_of(jobs, protocol))
    gpu = torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else 0.0
    return Forecast(parts, peak_memory(), gpu)


def parts_of(jobs: Sequence[Job], protocol: Protocol, clock: Clock = time.perf_counter) -> Iterator[Part]:
    """The parts of `jobs`, judges included, each as soon as it is measured. Nothing is written.

    What jobs share counts once, what is on disk not at all, and what differs by its seed alone is measured once.
    Scoring is not included. `clock` may count something else that grows with the work, or an array of such numbers.

    Raises
    ------
    UserError
        If a task cannot be loaded or a method refuses its settings; before anything is measured.
    """
    protocol = replace(protocol, writes=False)
    for job in jobs:
        images_of(job.task, protocol)
        Work(job, protocol).check()
    seen: set[tuple[object, ...]] = set()
    costs: Costs = {}
    for job in jobs:
        work = Work(job, protocol)
        with kept():  # as the work itself does
            if (job.task, job.seed) not in seen:
                seen.add((job.task, job.seed))
                yield from _judges(work, costs, clock)
            yield from _method(work, seen, costs, clock)


@dataclass
class Meter(Trainer):
    """A trainer that runs a few steps of each training, and extrapolates the time of all steps."""

    full: int = 0
    """Number of images of the real training."""
    clock: Clock = time.perf_counter
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


def _judges(work: Work, costs: Costs, clock: Clock) -> Iterator[Part]:
    """The classifier, the oracles and the autoencoders of one task and seed, as far as they are not on disk."""
    question, autoencoders = work.question, work.autoencoders
    networks: list[tuple[str, Artefact, Callable[[Subset, int, Trainer], nn.Module], object, int]] = [
        (judge.role, judge.artefact, partial(train, judge.config), judge.config, len(judge.learns_from()[0]))
        for judge in (work.classifier, *work.retrained, *work.oracle.members)
        if not isinstance(judge, GivenClassifier)
    ]
    together = partial(train_autoencoders, autoencoders.config)
    networks += [("autoencoders", autoencoders.artefact, together, autoencoders.config, len(question.train))]
    for role, artefact, learn, config, count in networks:
        if artefact.facts() is not None:
            continue
        key = work.job.task, config, count
        if key not in costs:
            meter = _meter(work, count, clock)
            network = learn(question.train.first(IMAGES), question.class_count, meter)
            costs[key] = meter.seconds, STATES * _size(network)
        yield Part(f"{role} on {work.job.task}, seed {work.job.seed}", *costs[key])


def _method(work: Work, seen: set[tuple[object, ...]], costs: Costs, clock: Clock) -> Iterator[Part]:
    """The training of a method, unless another one shares it or it is on disk, and its answers."""
    job = work.job
    training, answers = (job.task, job.method, "training"), (job.task, job.method, "answers")
    if training not in costs:
        costs[training], costs[answers] = _measured(work, clock)
    shared = (work.entry.path, str(work.method().config.fit_part()), job.task, job.seed)
    digest = work.classifier_digest
    there = digest is not None and artefact_of(work, digest).facts() is not None
    if shared not in seen and not there:
        seen.add(shared)
        yield Part(f"{job}: training", *costs[training])
    yield Part(f"{job}: answers", *costs[answers])


def _measured(work: Work, clock: Clock) -> tuple[tuple[float, int], tuple[float, int]]:
    """What a method's training and its answers take, each in seconds and bytes."""
    question, device = work.question, work.workshop.device
    method, classifier = work.method(), work.classifier.untrained().to(device).eval()
    few = question.train.first(IMAGES)
    meter = _meter(work, len(question.train), clock)
    started = clock()
    method.fit(few, classifier, trainer=meter)
    rest = (clock() - started - meter.spent) * len(question.train) / len(few)  # grows with the images
    training = meter.seconds + rest, STATES * _size(method.network)
    method.network.to(device).eval()
    queries = question.queries.first(QUERIES)
    images = queries.batch(torch.arange(len(queries))).to(device)
    target = (classifier(images).argmax(1) + 1) % question.class_count
    started = clock()
    with torch.no_grad():
        answers = method.explain(images, target, work.protocol.relaxations)
    times = len(question.queries) / len(queries)
    pixels = answers.images.numel() + 2 * images.numel()
    written = pixels + sum(part.nbytes for part in answers.intervention.values())
    return training, ((clock() - started) * times, round(written * times))


def _meter(work: Work, full: int, clock: Clock) -> Meter:
    """Times steps on one device, however many are to share the training: a process each cannot be timed from here."""
    return Meter(seed=0, devices=replace(work.protocol.devices, devices=1), full=full, clock=clock)


def _size(network: nn.Module) -> int:
    return sum(part.nbytes for part in network.state_dict().values())


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 100 else f"{minutes / 60:.1f} h"
