"""Where the time of a run goes: the CPU seconds of each stage and method, as a Markdown table.

`python perf/where_time_goes.py FOLDER [options of benchmark run]`. Runs the real command in this one process and in
FOLDER, which should be empty: what is on disk costs nothing. With `--methods families` some 30 minutes on one core. CPU
seconds hardly depend on what else the machine does.
"""

import argparse
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from arguments import writable

from benchmark.cli import main as command
from benchmark.jobs import runner
from benchmark.records.store import Artefact

STAGES = {
    "training": "fit",
    "fit": "fit",
    "explain": "answers",
    "show": "pictures",
    "probe": "probes",
    "score": "score",
}
"""Stage of an artefact -> its column; all others are judges."""
COLUMNS = ("judges", *dict.fromkeys(STAGES.values()), "rest")


class Watch:
    """CPU seconds of (who, column); what runs inside another stage counts for itself only."""

    def __init__(self) -> None:
        self.spent: Counter[tuple[str, str]] = Counter()
        self._open = [("the run", "rest")]
        self._since = cpu_seconds()

    @contextmanager
    def on(self, who: str | None, column: str) -> Iterator[None]:
        """Count what runs in this context for `column` of `who`, or of whoever is being counted."""
        self.note()
        self._open.append((who or self._open[-1][0], column))
        try:
            yield
        finally:
            self.note()
            self._open.pop()

    def note(self) -> None:
        """Count what was spent since the last note."""
        now = cpu_seconds()
        self.spent[self._open[-1]] += now - self._since
        self._since = now


def cpu_seconds() -> float:
    """CPU seconds of this process and of those that it started and that ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main(folder: Path, *options: str) -> None:
    """Run, and print where the time went."""
    watch = Watch()
    watched(Artefact, "make", lambda artefact, *_: watch.on(*counted(artefact)))
    watched(runner, "run_job", lambda job, *_: watch.on(job.method, "rest"))
    try:
        command(["run", "--jobs", "1", "--results", str(folder), *options])
    except SystemExit as ended:
        if ended.code:
            raise
    watch.note()
    print(table(watch.spent))


def watched(owner: Any, name: str, context: Callable[..., Any]) -> None:
    """Let each call of `owner.name` run in `context`, of the same arguments."""
    call = getattr(owner, name)

    def within(*arguments: Any) -> Any:
        with context(*arguments):
            return call(*arguments)

    setattr(owner, name, within)


def counted(artefact: Artefact) -> tuple[str | None, str]:
    """Whom making an artefact counts for, and its column."""
    column = STAGES.get(artefact.name.rpartition("-")[0])
    return (None, column) if column else ("judges", "judges")


def table(spent: Counter[tuple[str, str]]) -> str:
    """CPU seconds by whom (rows) and what for (columns), with sums, and each column's share of all."""
    counted = pd.DataFrame([(*key, seconds) for key, seconds in spent.items()], columns=["who", "what", "seconds"])
    seconds = counted.pivot_table("seconds", "who", "what", aggfunc="sum", fill_value=0.0, observed=True)
    seconds = seconds.reindex(columns=COLUMNS, fill_value=0.0)
    seconds["all"] = seconds.sum(axis=1)
    seconds = seconds.sort_values("all", ascending=False)
    seconds.loc["all"] = seconds.sum()
    shares = (seconds.loc["all"] / seconds.loc["all", "all"]).map("{:.0%}".format)
    shown = seconds.map(lambda value: f"{value:.1f}" if value >= 0.05 else "")
    return pd.concat([shown, shares.rename("share").to_frame().T]).to_markdown(
        stralign="right", colalign=("left", *["right"] * len(seconds.columns))
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    parser.add_argument("folder", type=writable, help="what it runs in; all other options go to benchmark run")
    given, others = parser.parse_known_args()
    main(given.folder, *others)
