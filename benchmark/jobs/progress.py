"""Progress of a run on the screen: a bar for the whole run, a line per worker; and listeners for its events."""

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
"""Stage -> its name on the screen, if different."""


class Needs(NamedTuple):
    """Needs of the jobs that are not on disk."""

    seconds: float | None = None
    """Their time under another seed, one after another; None if unknown."""
    megabytes: float = 0.0
    """Size of the pictures that they write, without weights."""
    more: float | None = None
    """Seconds of the seeds that five lack, one job after another; None if none is lacking or it is unknown."""


NOTHING = Needs()


class Listener:
    """Receives the events of a run. This base class ignores them."""

    quiet = False
    """Whether progress bars are off too."""
    weighs = False
    """Whether it says what more seeds take, which has to be measured."""

    def loads(self, task: str, remarks: Sequence[str]) -> None:
        """The images of `task` are there, with what their user has to know of them."""

    def begins(self, jobs: Sequence[Job], found: Sequence[Record | None], workers: int, needs: Needs = NOTHING) -> None:
        """Called before the first job; `found` has the valid record on disk of each job, or None."""

    def ends(self, record: Record) -> None:
        """Called at the end of each job, successful or not."""


@dataclass(frozen=True)
class Channel:
    """Sends a job's progress to the process that draws; can be pickled."""

    job: str
    queue: Any  # a multiprocessing queue's proxy

    def __call__(self, stage: str, done: int, total: int, loss: float | None) -> None:
        """Report progress, at most two hundred times per stage."""
        if done % max(1, total // 200) == 0 or done == total:
            self.queue.put((os.getpid(), f"{self.job}: {STAGES.get(stage, stage)}", done, total, loss))


@dataclass
class Board:
    """Creates channels, draws their messages, and passes events to the listener."""

    queue: Any = None
    listener: Listener = field(default_factory=Listener)
    progress: Progress | None = None
    whole: TaskID | None = None
    bars: dict[int, TaskID] = field(default_factory=dict)
    """Progress lines of the workers, by process."""

    def __reduce__(self) -> tuple[type["Board"], tuple[Any]]:
        """In another process a board only creates channels."""
        return Board, (self.queue,)

    def channel(self, job: str) -> Advance:
        """The channel for the progress of `job`."""
        return silent if self.queue is None else Channel(job, self.queue)

    def loads(self, task: str, remarks: Sequence[str]) -> None:
        """Tell that the images of `task` are there."""
        self.listener.loads(task, remarks)

    def begins(self, jobs: Sequence[Job], found: Sequence[Record | None], workers: int, needs: Needs = NOTHING) -> None:
        """Announce the jobs, of which some are `found` on disk."""
        self.listener.begins(jobs, found, workers, needs)
        there = sum(record is not None for record in found)
        self._update(completed=there, total=len(jobs))

    def ends(self, record: Record) -> None:
        """Announce the end of a job."""
        self.listener.ends(record)
        self._update(advance=1)

    def _update(self, **changes: float) -> None:
        if self.progress is not None and self.whole is not None:
            self.progress.update(self.whole, **changes)  # type: ignore[arg-type] # numbers by rich's names
            task = self.progress.tasks[self.whole]
            self.progress.update(self.whole, description=f"{task.completed:.0f} of {task.total or 0:.0f} done")

    def draw(self, progress: Progress) -> None:
        """Draw messages until None arrives; each worker's line shows its last one."""
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
    above = sys.stdout.isatty()  # printed lines appear above the bars, unless stdout is redirected
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
