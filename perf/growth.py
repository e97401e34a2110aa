"""How the cost of a run grows with queries, seeds, pixels and workers: `python perf/growth.py FOLDER`.

Runs the real command at smoke size with `vaex` and one reference, prints a table, and draws FOLDER/growth.png. Some ten
minutes on two cores, which should be idle: workers are judged by the clock, all else by CPU seconds of one process.
FOLDER should be empty, since what is on disk costs nothing.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
from arguments import writable
from matplotlib.figure import Figure

from benchmark.report.drawing import save, styled

RUN = ("run", "--preset", "smoke", "--methods", "vaex,nearest-unlike", "--quiet")
QUERIES, SEEDS, SIDES, WORKERS = (50, 100, 200, 400, 800), (1, 2, 4), (33, 65), (1, 2)


def main(folder: Path) -> None:
    """Measure, print and draw."""
    table = pd.DataFrame(measured(folder), columns=["grows", "value", "CPU s", "s"])
    print(table.to_markdown(index=False, floatfmt=(None, None, ".0f", ".1f", ".1f")))
    with styled():
        save(drawing(table), folder / "growth.png")


def measured(folder: Path) -> Iterator[tuple[str, int, float, float]]:
    """(what grows, its value, CPU seconds, seconds by the clock) of each run."""
    taken(folder / "queries", 1, "--limit", "20")  # trains; what follows explains and scores
    for count in QUERIES:
        yield "queries", count, *taken(folder / "queries", 1, "--set", f"data.queries={count}")
    for count in SEEDS:
        yield "seeds", count, *taken(folder / f"seeds-{count}", 1, "--seeds", numbered(count))
    for side in SIDES:
        asked = ("--tasks", "avatars/Smiling", "--set", f"avatars.size={side}")
        yield "pixels", side**2, *taken(folder / f"side-{side}", 1, *asked)
    for workers in WORKERS:
        asked = ("--seeds", numbered(max(SEEDS)))
        yield "workers", workers, *taken(folder / f"workers-{workers}", workers, *asked)


def taken(folder: Path, workers: int, *options: str) -> tuple[float, float]:
    """CPU seconds of a run and of all that it starts, and seconds by the clock."""
    command = [sys.executable, "-m", "benchmark", *RUN, "--jobs", str(workers), "--results", str(folder), *options]
    before, started = os.times(), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return cpu, time.perf_counter() - started


def numbered(count: int) -> str:
    """The first `count` seeds."""
    return ",".join(map(str, range(count)))


def drawing(table: pd.DataFrame) -> Figure:
    """A panel for each thing that grows: its cost as a multiple of the first, and a line for in proportion."""
    figure = Figure(figsize=(9, 2.4), layout="constrained")
    for axes, (name, found) in zip(figure.subplots(1, 4), table.groupby("grows", sort=False), strict=True):
        values, cost = found["value"], found["s" if name == "workers" else "CPU s"]
        times = values / values.iloc[0]
        axes.plot(values, 1 / times if name == "workers" else times, "--", color="0.6")
        sns.lineplot(x=values, y=cost / cost.iloc[0], marker="o", ax=axes)
        axes.set(xscale="log", yscale="log", xlabel=name, ylabel="time" if name == "workers" else "CPU time")
        axes.set_xticks(values, [f"{value:,}" for value in values], minor=False)
        ticks = 0.5 ** np.arange(2) if name == "workers" else 2.0 ** np.arange(np.log2(times.max()) + 1)
        axes.set_yticks(ticks, [f"{tick:g} ×" for tick in ticks], minor=False)
        axes.minorticks_off()
    figure.suptitle("Cost as a multiple of the first point; dashed: in proportion", fontsize="medium")
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=writable, help="what the runs are kept in; empty")
    given = parser.parse_args()
    if given.folder.exists() and any(given.folder.iterdir()):
        parser.error(f"{given.folder} is not empty; name a new folder")
    main(given.folder)
