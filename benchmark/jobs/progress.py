"""Progress of a run on the screen: a bar for the whole run, a line per worker; and listeners for its events."""

import json
import os
import shutil
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from benchmark.jobs.protocol import Job
from benchmark.records.record import Record
from methods.files import write_whole
from methods.training import Advance, silent

STAGES = {"fit": "training", "explain": "answering", "score": "scoring", "draw": "drawing", "decode": "decoding"}
"""Stage -> its name on the screen, if different."""
LOOK = 0.2
"""Seconds between two looks at what workers have said."""


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
    """Tells the process that draws how far a job is, through a file; so it may be on another machine."""

    job: str
    folder: Path
    """Has a file for each worker, which holds its last message."""

    def __call__(self, stage: str, done: int, total: int, loss: float | None) -> None:
        """Report progress, at most two hundred times per stage."""
        if done % max(1, total // 200) == 0 or done == total:
            message = (f"{self.job}: {STAGES.get(stage, stage)}", done, total, loss)
            write_whole(self.folder / f"{worker()}.json", json.dumps(message).encode())


def worker() -> str:
    """A name for this process that no other process has, here or on another machine."""
    return f"{socket.gethostname()}-{os.getpid()}"


@dataclass
class Board:
    """Creates channels, draws their messages, and passes events to the listener."""

    folder: Path | None = None
    """Where channels leave their messages; None: nothing is drawn."""
    listener: Listener = field(default_factory=Listener)
    progress: Progress | None = None
    whole: TaskID | None = None
    bars: dict[str, TaskID] = field(default_factory=dict)
    """Progress lines of the workers, by process."""

    def __reduce__(self) -> tuple[type["Board"], tuple[Path | None]]:
        """In another process a board only creates channels."""
        return Board, (self.folder,)

    def channel(self, job: str) -> Advance:
        """The channel for the progress of `job`."""
        return silent if self.folder is None else Channel(job, self.folder)

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
        """Show the last message of each worker in a line of its own."""
        for path in sorted(self.folder.glob("*.json")) if self.folder else ():
            try:
                what, done, total, loss = json.loads(path.read_bytes())
            except (OSError, ValueError):  # a network file system may show a file before its content
                continue
            if path.stem not in self.bars:
                self.bars[path.stem] = progress.add_task(what, total=total, note="")
            note = "" if loss is None else f"loss {loss:.4g}"
            progress.update(self.bars[path.stem], description=what, completed=done, total=total, note=note)


@contextmanager
def board(console: Console, runs: Path, listener: Listener | None = None) -> Iterator[Board]:
    """A board that is drawn on `console` while the context lasts, if it is a terminal; messages go through `runs`."""
    listener = listener or Listener()
    if not console.is_terminal or listener.quiet:
        yield Board(listener=listener)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[note]}"))
    above = sys.stdout.isatty()  # printed lines appear above the bars, unless stdout is redirected
    progress = Progress(*columns, console=console, transient=True, redirect_stdout=above)
    with progress:
        whole = progress.add_task("working", total=None, note="")
        folder = runs / "progress" / worker()
        drawn = Board(folder, listener, progress, whole)
        ended = Event()
        thread = Thread(target=_watch, args=(drawn, progress, ended), daemon=True)
        thread.start()
        try:
            yield drawn
        finally:
            ended.set()
            thread.join()
            shutil.rmtree(folder, ignore_errors=True)


def _watch(board: Board, progress: Progress, ended: Event) -> None:
    """Draw what workers say until the run has `ended`."""
    while not ended.wait(LOOK):
        board.draw(progress)
    board.draw(progress)
