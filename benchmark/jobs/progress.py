"""What a run shows while it lasts: one bar of the whole, and a line a worker; and whom it tells of begin and ends."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import Manager
from threading import Thread
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from benchmark.jobs.protocol import Job
from benchmark.records.record import Record
from methods.training import Advance, silent

STAGES = {"fit": "training", "explain": "answering", "score": "scoring", "draw": "drawing", "decode": "decoding"}
"""What a stage is called on the screen, where not by its own name."""


class Needs(NamedTuple):
    """What the jobs need that are not on disk."""

    seconds: float | None = None
    """What they took under another seed, one after another; None if that is not known."""
    megabytes: float = 0.0
    """Pictures that they write; weights come on top."""


NOTHING = Needs()


class Listener:
    """Whom a run tells how it goes. This one is silent."""

    quiet = False
    """Whether nothing is drawn either."""

    def loads(self, task: str, remarks: Sequence[str]) -> None:
        """The images of `task` are there, with what their user has to know of them."""

    def begins(self, jobs: Sequence[Job], found: Sequence[Record | None], workers: int, needs: Needs = NOTHING) -> None:
        """Nothing is computed yet; `found` is the record of each job that is on disk and holds."""

    def ends(self, record: Record) -> None:
        """A job has come to its end, well or not."""


@dataclass(frozen=True)
class Channel:
    """Sends a job's progress to the process that draws; can be pickled."""

    job: str
    queue: Any  # a multiprocessing queue's proxy

    def __call__(self, stage: str, done: int, total: int, loss: float | None) -> None:
        """Report, at most two hundred times a stage."""
        if done % max(1, total // 200) == 0 or done == total:
            self.queue.put((os.getpid(), f"{self.job}: {STAGES.get(stage, stage)}", done, total, loss))


@dataclass
class Board:
    """Hands out channels, draws what comes back, and hands on what begins and ends."""

    queue: Any = None
    listener: Listener = field(default_factory=Listener)
    progress: Progress | None = None
    whole: TaskID | None = None
    bars: dict[int, TaskID] = field(default_factory=dict)
    """Of the workers, by process."""

    def __reduce__(self) -> tuple[type["Board"], tuple[Any]]:
        """In another process a board hands out channels, and does nothing else."""
        return Board, (self.queue,)

    def channel(self, job: str) -> Advance:
        """Where `job` reports its progress."""
        return silent if self.queue is None else Channel(job, self.queue)

    def loads(self, task: str, remarks: Sequence[str]) -> None:
        """Tell that the images of `task` are there."""
        self.listener.loads(task, remarks)

    def begins(self, jobs: Sequence[Job], found: Sequence[Record | None], workers: int, needs: Needs = NOTHING) -> None:
        """Tell what is to be done, of which some is `found` on disk."""
        self.listener.begins(jobs, found, workers, needs)
        there = sum(record is not None for record in found)
        self._update(completed=there, total=len(jobs))

    def ends(self, record: Record) -> None:
        """Tell of a job that has come to its end."""
        self.listener.ends(record)
        self._update(advance=1)

    def _update(self, **changes: float) -> None:
        if self.progress is not None and self.whole is not None:
            self.progress.update(self.whole, **changes)  # type: ignore[arg-type] # numbers by rich's names
            task = self.progress.tasks[self.whole]
            self.progress.update(self.whole, description=f"{task.completed:.0f} of {task.total or 0:.0f} done")

    def draw(self, progress: Progress) -> None:
        """Draw messages until None comes: of each worker the last one."""
        for worker, what, done, total, loss in iter(self.queue.get, None):
            if worker not in self.bars:
                self.bars[worker] = progress.add_task(what, total=total, note="")
            note = "" if loss is None else f"loss {loss:.4g}"
            progress.update(self.bars[worker], description=what, completed=done, total=total, note=note)


@contextmanager
def board(console: Console, listener: Listener | None = None) -> Iterator[Board]:
    """A board that is drawn on `console` while the context lasts, if it is a terminal."""
    listener = listener or Listener()
    if not console.is_terminal or listener.quiet:
        yield Board(listener=listener)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[note]}"))
    above = sys.stdout.isatty()  # lines that are printed meanwhile go above the bars, unless they go elsewhere
    progress = Progress(*columns, console=console, transient=True, redirect_stdout=above)
    with Manager() as manager, progress:
        whole = progress.add_task("working", total=None, note="")
        drawn = Board(manager.Queue(), listener, progress, whole)
        thread = Thread(target=drawn.draw, args=(progress,), daemon=True)
        thread.start()
        try:
            yield drawn
        finally:
            drawn.queue.put(None)
            thread.join()
