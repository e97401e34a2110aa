"""What a run says on the screen: before it begins, after each job, and, in a few lines, at its end."""

import shutil
from collections.abc import Sequence
from math import ceil

import typer

from benchmark.errors import readable
from benchmark.jobs.estimate import Forecast
from benchmark.jobs.progress import NOTHING, Listener, Needs
from benchmark.jobs.protocol import Job
from benchmark.jobs.seeds import ENOUGH
from benchmark.records.record import Record

QUIET_PRESET = "smoke"
"""Its numbers mean nothing: it has a line a method, and no table."""
LINES = 10
"""Of the table at the end, its heading included."""
HOURS = 100
"""Minutes from which a time is said in hours."""
WIDEST = 130
"""Characters of a line, at most."""


class Talk(Listener):
    """Says what is to be done, and a line for each job that is done; counts them."""

    def __init__(self, preset: str, *, quiet: bool = False) -> None:
        self.preset, self.quiet = preset, quiet
        self.weighs = not quiet and preset != QUIET_PRESET
        self.done = self.total = 0

    def loads(self, task: str, remarks: Sequence[str]) -> None:
        """What was done to a user's own pictures, and whether they are few."""
        for remark in remarks if not self.quiet else ():
            say(f"{task}: {remark}")

    def begins(self, jobs: Sequence[Job], found: Sequence[Record | None], workers: int, needs: Needs = NOTHING) -> None:
        """What will be made, what is there, and, if the records of another seed tell, how long the rest takes."""
        there = [record for record in found if record is not None]
        self.done, self.total = len(there), len(jobs)
        if self.quiet or self.preset == QUIET_PRESET:
            return
        methods, tasks, seeds = ([*dict.fromkeys(part)] for part in zip(*map(_parts, jobs), strict=True))
        at_once = f", {min(workers, len(jobs))} at once" if len(there) < len(jobs) else ""
        what = f"{_count(len(methods), 'method')} on {', '.join(tasks)}, seed {', '.join(seeds)}"
        say(f"{what}; preset {self.preset}{at_once}")
        rest = ", nothing is computed" if len(there) == len(jobs) else _needs(needs, workers)
        say(f"{len(there)} of {len(jobs)} are on disk{rest}")
        if needs.more is not None:
            say(_more(needs.more / workers))

    def ends(self, record: Record) -> None:
        """The numbers of a job that succeeded; of one that failed, the command tells at its end."""
        if record.status != "ok":
            return
        self.done += 1
        if not self.quiet:
            say(f"{record.method} on {record.task}, seed {record.seed}: {_told(record)}")

    @property
    def stopped(self) -> str:
        """What is said after Ctrl-C."""
        count = f"; {self.done} of {self.total} done" if self.total else ""
        return f"stopped; the same command goes on{count}"


def say(line: str) -> None:
    """One line on the screen, at once, also where it is piped."""
    typer.echo(readable(line))


def say_plan(there: Sequence[Job], missing: Sequence[Job], forecast: Forecast) -> None:
    """What a run would make, what is on disk, and what the rest takes."""
    for job in there:
        say(f"on disk: {job}")
    for job in missing:
        say(f"to make: {job}")
    say(forecast.text() if missing else "nothing is left to make")


def last_lines(records: Sequence[Record], width: int | None = None) -> list[str]:
    """The table at the end: in columns that fit, a cell a method and task, means over seeds at the smallest r.

    What does not fit into `LINES` lines is counted, and stands in the tables on disk.
    """
    good = [record for record in records if record.status == "ok"]
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in good:
        groups.setdefault((record.task, record.method), []).append(record)
    several = len({task for task, _ in groups}) > 1
    names = {key: f"{key[1]}{'*' * group[0].reference}{f' {key[0]}' * several}" for key, group in groups.items()}
    longest = max(map(len, names.values()))
    cells = [f"{names[key]:<{longest}} {_numbers(group)}" for key, group in groups.items()]
    width = min(WIDEST, width or shutil.get_terminal_size().columns)
    columns = max(1, (width + 3) // (len(cells[0]) + 3))
    rows = min(LINES - 1, ceil(len(cells) / columns))
    if len(cells) > (room := rows * columns):
        cells = [*cells[: room - 1], f"and {len(cells) - room + 1} more"]
    smallest = min(r for record in good for r in record.relaxations)
    heading = f"r = {smallest:g}: flips %, oracle agrees %, L1 (* no method, a reference)"
    lines = ["   ".join(cells[row::rows]).rstrip() for row in range(rows)]
    return [line[:width] for line in (heading, *lines)]


def _parts(job: Job) -> tuple[str, str, str]:
    return job.method, job.task, str(job.seed)


def _needs(needs: Needs, workers: int) -> str:
    """Disk, and time where another seed tells it."""
    disk = f"; writes {ceil(needs.megabytes)} MB of pictures, and weights"
    if needs.seconds is None:
        return disk
    return f"{disk}; trainings and answers took {ceil(needs.seconds / 60 / workers)} min under another seed"


def _more(seconds: float) -> str:
    """What the seeds cost that tell methods from trainings."""
    minutes = ceil(seconds / 60)
    time = f"{minutes} min" if minutes < HOURS else f"{minutes / 60:.1f} h"
    seeds = ",".join(map(str, range(ENOUGH)))
    return f"few seeds say little of other trainings: {ENOUGH} (--seeds {seeds}) would take about {time} more"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + "s" * (number != 1)


def _value(record: Record, metric: str) -> float | None:
    """Of all queries, at the smallest r; None where it is not defined."""
    smallest = min(record.relaxations)
    rows = (row for row in record.rows if (row.metric, row.subset, row.relaxation) == (metric, "all", smallest))
    return next((row.value for row in rows), None)


def _told(record: Record) -> str:
    flips, agrees = (_percent(_value(record, metric)) for metric in ("flip_rate", "oracle_agreement"))
    n = next((row.n for row in record.rows if row.metric == "flip_rate"), 0)
    return f"flips {flips} %, oracle agrees {agrees} %, n = {n}, r = {min(record.relaxations):g}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _numbers(records: Sequence[Record]) -> str:
    """The three numbers of a cell, each as wide wherever it stands."""
    flips, agrees, change = (_mean(records, metric) for metric in ("flip_rate", "oracle_agreement", "l1"))
    return f"{_percent(flips):>5} {_percent(agrees):>5} {'-' if change is None else f'{change:.3f}':>5}"


def _mean(records: Sequence[Record], metric: str) -> float | None:
    values = [value for record in records if (value := _value(record, metric)) is not None]
    return sum(values) / len(values) if values else None
