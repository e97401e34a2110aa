"""Progress bars of jobs that may run in other processes; nothing at all when not on a terminal."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import Manager
from threading import Thread
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from methods.training import Advance, silent

Message = tuple[str, str, int, int, float | None]


@dataclass(frozen=True)
class Channel:
    """Sends a job's progress to the process that draws; can be pickled."""

    job: str
    queue: Any  # a multiprocessing queue's proxy

    def __call__(self, stage: str, done: int, total: int, loss: float | None) -> None:
        """Report, at most two hundred times a stage."""
        if done % max(1, total // 200) == 0 or done == total:
            self.queue.put((self.job, stage, done, total, loss))


@dataclass
class Board:
    """Hands out channels, and draws what comes back."""

    queue: Any = None
    bars: dict[tuple[str, str], TaskID] = field(default_factory=dict)

    def channel(self, job: str) -> Advance:
        """Where `job` reports its progress."""
        return silent if self.queue is None else Channel(job, self.queue)

    def draw(self, progress: Progress) -> None:
        """Draw messages until None comes."""
        for job, stage, done, total, loss in iter(self.queue.get, None):
            key = (job, stage)
            if key not in self.bars:
                self.bars[key] = progress.add_task(f"{job}: {stage}", total=total, loss="")
            note = "" if loss is None else f"loss {loss:.4g}"
            progress.update(self.bars[key], completed=done, loss=note, visible=done < total)


@contextmanager
def board(console: Console) -> Iterator[Board]:
    """A board that is drawn on `console` while the context lasts, if it is a terminal."""
    if not console.is_terminal:
        yield Board()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), TextColumn("{task.fields[loss]}"))
    with Manager() as manager, Progress(*columns, console=console, transient=True) as progress:
        drawn = Board(manager.Queue())
        thread = Thread(target=drawn.draw, args=(progress,), daemon=True)
        thread.start()
        try:
            yield drawn
        finally:
            drawn.queue.put(None)
            thread.join()
