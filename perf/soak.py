"""What a command loses when it is disturbed: `python perf/soak.py FOLDER` (an hour on two idle cores).

Each command is run once undisturbed in FOLDER. Then its results are copied, a part of what was computed is taken out of
the copy, and the command is started on it and disturbed at a random moment. Then it is started once more. Law: it ends
well, with the same numbers to the byte; what was complete when it was disturbed is not computed again; no temporary
file is left; and nobody sees a traceback. `--scale 0.1` does a tenth of it, `--only "kill -9"` some rows of the table.
"""

import argparse
import atexit
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import cycle, product
from pathlib import Path

import numpy as np
from arguments import writable
from disturbances import DAMAGES, DISTURBANCES, HOPELESS, ON_A_DISK, kill, mount
from PIL import Image
from tabulate import tabulate

RUN = "--preset smoke --methods patch-swap,nearest-unlike,vaex --limit 20"
CASES = {
    "run": f"run {RUN}",
    "audit": "audit --preset smoke --methods nearest-unlike,pixel-search --limit 8 --data {world}/colours "
    "--classifier {world}/red.py:Red",
    "score": "score {world}/questions {world}/questions/answers/nearest-unlike --name mine --preset smoke",
    "paper": "paper vaex --preset smoke --task mnist/3-8",
    "bias": "bias --preset smoke --methods patch-swap,nearest-unlike --seeds 0 --limit 20",
}
"""Command -> what is typed; all but `score` also take --jobs."""
KEPT = ("classifier", "oracle", "autoencoders", "attributes", "reference")
"""Stages that take longest: each is made again in one of ten disturbed runs, every other stage in half of them."""
DISK = "200m"
"""Size of the small disk: enough for any of these commands."""
ANSWERED = ("runs/records/smoke/mnist/mine", "outside")
"""What `score` writes; the records of methods are the run's."""
COLUMNS = ("disturbance", "times", "lost", "half-written", "tracebacks", "differing numbers")


@dataclass
class Tally:
    """What came of one kind of disturbance."""

    counts: Counter = field(default_factory=Counter)
    words: list[str] = field(default_factory=list)
    """A line for everything that is not as it should be."""

    def row(self, name):
        """A row of the table."""
        return {"disturbance": name} | {column: self.counts[column] for column in COLUMNS[1:]}

    def add(self, column, words):
        """Count what is wrong, with words for who wants to mend it."""
        self.counts[column] += 1
        self.words.append(f"{column}: {words}")


@dataclass(frozen=True)
class Case:
    """A command, its undisturbed results, and how many seconds the rest of it takes once a part is there."""

    name: str
    arguments: tuple[str, ...]
    base: Path
    seconds: float = 30.0

    def start(self, results, workers):
        """The command in a process group of its own, what it says in a file that grows."""
        jobs = () if self.name == "score" else ("--jobs", str(workers))
        command = [sys.executable, "-m", "benchmark", *self.arguments, *jobs, "--results", str(results)]
        environment = os.environ | {"MPLBACKEND": "Agg", "NO_COLOR": "1"}
        said = results.parent / f"said-{time.monotonic_ns()}.txt"
        with said.open("wb") as file:
            process = subprocess.Popen(command, env=environment, stdout=file, stderr=file, start_new_session=True)
        process.said = said
        atexit.register(kill_left, process)  # Ctrl-C reaches no other process group
        return process

    def end(self, process, tally):
        """Wait for a process; what it said."""
        try:
            process.wait(HOPELESS)
        except subprocess.TimeoutExpired:
            kill(process)
            tally.add("lost", f"{self.name} hangs")
        return process.said.read_text(errors="replace")


def kill_left(process):
    """End a process that still runs."""
    if process.poll() is None:
        kill(process)


# -- what must stay ----------------------------------------------------------------------------------------------------


def numbers(results):
    """All numbers that a command leaves: path -> content. Times differ, and the page says when it was made."""
    found = {path: path.read_bytes() for path in results.glob("tables/*") if path.suffix == ".md"}
    found |= {path: path.read_bytes() for path in results.rglob("*.csv") if not path.name.startswith("timings")}
    for path in results.glob("runs/records/**/seed-*.json"):
        found[path] = json.dumps(json.loads(path.read_bytes())["rows"]).encode()
    return {str(path.relative_to(results)): content for path, content in found.items()}


def complete(results):
    """What is computed already: artefact -> its last file, whose seconds another computation would change."""
    return {path.parent.name: path.read_bytes() for path in results.glob("runs/artefacts/*/done.json")}


def leftovers(results):
    """Files that should be gone once a command has ended."""
    patterns = ("*.tmp", "*.partial", "*.lease", "*.checkpoint")
    return [path for pattern in patterns for path in results.rglob(pattern)]


def thin_out(case, results, chance):
    """Take a part of what was computed away, so that there is something to do; judges, which take longest, seldom."""
    for name in ANSWERED if case.name == "score" else ("runs/records", "tables", "metrics.csv"):
        remove(results / name)
    for path in sorted(results.glob("runs/artefacts/*")):
        if chance.random() < (0.1 if path.name.startswith(KEPT) else 0.5):
            remove(path)


def remove(path):
    """A folder or a file, whether it is there or not."""
    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


# -- one disturbance ---------------------------------------------------------------------------------------------------


@contextmanager
def place(case, folder, needs_disk, chance):
    """A copy of the undisturbed results with a part taken out; on a small disk of its own if it needs one."""
    results = folder / "disturbed"
    results.mkdir(parents=True)
    if needs_disk:
        assert mount("-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", results) == 0, "cannot mount a tmpfs"
    try:
        shutil.copytree(case.base, results, dirs_exist_ok=True, symlinks=True)
        thin_out(case, results, chance)
        yield results
    finally:
        if needs_disk:
            mount(results)
        shutil.rmtree(folder, ignore_errors=True)


def disturb(case, what, workers, chance, folder, tally):
    """Start a command on a part of its results, disturb it at a random moment, start it again, and look."""
    tally.counts["times"] += 1
    with place(case, folder, what in ON_A_DISK, chance) as results:
        process = case.start(results, workers)
        time.sleep(chance.uniform(0, case.seconds))
        undo = what(case, process, results, chance)
        if process.returncode != -signal.SIGKILL:
            case.end(process, tally)
        if undo is not None:
            undo()
        look(case, results, complete(results), workers, tally)


def look(case, results, before, workers, tally):
    """Go on, and hold what is there then against the undisturbed results and what was complete `before`."""
    process = case.start(results, workers)
    said = case.end(process, tally)
    if process.returncode != 0:
        tally.add("lost", f"{case.name} ends with {process.returncode}: {said[-2000:]}")
    after = complete(results)
    for name in before:
        if after.get(name) != before[name]:
            tally.add("lost", f"{case.name}: {name} was computed again")
    for path in results.parent.glob("said-*.txt"):
        if "Traceback" in (text := path.read_text(errors="replace")):
            tally.add("tracebacks", f"{case.name}: {text[-2000:]}")
    for path in leftovers(results):
        tally.add("half-written", f"{case.name}: {path}")
    compare(case, results, tally)


def compare(case, results, tally):
    """Count the files of numbers that are not what the undisturbed run has."""
    own, found = numbers(case.base), numbers(results)
    for name in sorted(own.keys() | found.keys()):
        if own.get(name) != found.get(name):
            tally.add("differing numbers", f"{case.name}: {name}")


def kinds(results):
    """The files of a store by what they are: the stage, or the folder, and the name without its numbers."""
    found = {}
    for path in sorted(path for path in results.rglob("*") if path.is_file()):
        parts = path.relative_to(results).parts
        kind = parts[2].rpartition("-")[0] if parts[:2] == ("runs", "artefacts") else "/".join(parts[:-1])
        found.setdefault((kind, path.name), []).append(path)
    return found


def damage(case, how, kind, chance, folder, tally):
    """Damage one file of a kind in a finished store, and run the command again."""
    tally.counts["times"] += 1
    results = folder / "disturbed"
    shutil.copytree(case.base, results, symlinks=True)
    try:
        path = chance.choice(kinds(results)[kind])
        how(path, chance, [other for other in results.rglob("*") if other.is_file() and other != path])
        look(case, results, {}, 1, tally)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# -- the whole of it ---------------------------------------------------------------------------------------------------

CODE = """import torch


class Red(torch.nn.Module):
    def forward(self, images):
        lead = 8 * (images[:, :1] - images[:, 2:]).flatten(1).mean(1, keepdim=True)
        return torch.cat([-lead, lead], 1)
"""


def make_world(folder):
    """What the commands are about: pictures of two colours, and a network that tells them apart."""
    if (folder / "red.py").exists():
        return
    random = np.random.default_rng(0)
    for name, channel in (("blue", 2), ("red", 0)):
        (folder / "colours" / name).mkdir(parents=True, exist_ok=True)
        for place in range(60):
            pixels = random.integers(0, 90, (20, 16, 3), dtype=np.uint8)
            pixels[..., channel] += 120
            Image.fromarray(pixels).save(folder / "colours" / name / f"{place}.png")
    (folder / "red.py").write_text(CODE)


def make_case(name, folder):
    """A command's undisturbed results in `folder`, and how long it takes on a part of them."""
    world, base = folder / "world", folder / name
    arguments = tuple(CASES[name].format(world=world).split())
    case, known = Case(name, arguments, base), folder / f"seconds-{name}"
    if known.exists():
        return replace(case, seconds=float(known.read_text()))
    if name == "score" and not base.exists():
        shutil.copytree(folder / "run", base)
        asked = ["export", "--preset", "smoke", "--limit", "20", "--methods", "nearest-unlike"]
        command = [sys.executable, "-m", "benchmark", *asked, "--out", world / "questions", "--results", base]
        subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
    tally = Tally()
    process = case.start(base, 2)
    said = case.end(process, tally)
    assert process.returncode == 0, said
    with place(case, folder / "measured", needs_disk=False, chance=random.Random(0)) as results:
        started = time.monotonic()
        look(case, results, {}, 1, tally)
        seconds = time.monotonic() - started
    assert not tally.words, f"undisturbed, {name} does not repeat itself: {tally.words}"
    known.write_text(str(seconds))
    return replace(case, seconds=seconds)


def soak(cases, folder, scale, only, seed=0):
    """A tally for each kind of disturbance and of damage."""
    chance, tallies = random.Random(seed), {}
    where = cycle(list(product(cases, (1, 2))))
    for name, (what, times) in DISTURBANCES.items():
        if (only and name not in only) or (what in ON_A_DISK and os.geteuid() != 0):
            continue
        tally = tallies.setdefault(name, Tally())
        for _ in range(max(1, round(scale * times))):
            case, workers = next(where)
            disturb(case, what, workers, chance, folder / "work", tally)
            report(tallies)
    for how in DAMAGES:
        name = row_of(how)
        if only and name not in only:
            continue
        tally = tallies.setdefault(name, Tally())
        for case in cases:
            known = sorted(kinds(case.base))
            for kind in chance.sample(known, max(1, round(scale * len(known)))):
                damage(case, how, kind, chance, folder / "work", tally)
                report(tallies)
    return tallies


def row_of(how):
    """The name of the row of a kind of damage."""
    return f"a file {how.__name__.replace('_', ' ')}"


def names():
    """The names of all rows."""
    return [*DISTURBANCES, *map(row_of, DAMAGES)]


def report(tallies):
    """What is known by now, on the error stream, for a run of an hour."""
    name, tally = list(tallies.items())[-1]
    print(f"{name}: {dict(tally.counts)} {tally.words[-1] if tally.words else ''}", file=sys.stderr, flush=True)


def main():
    """Print the table, and before it what is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=writable, help="what it works in; undisturbed results there are used again")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the whole size")
    parser.add_argument("--only", type=lambda text: text.split(","), default=[], help="rows, separated by commas")
    parser.add_argument("--commands", type=lambda text: text.split(","), default=[*CASES], help="of the commands")
    given = parser.parse_args()
    folder = given.folder.resolve()
    if unknown := {*given.commands} - {*CASES}:
        parser.error(f"no such command: {', '.join(sorted(unknown))}; choose from {', '.join(CASES)}")
    if unknown := {*given.only} - {*names()}:
        parser.error(f"no such row: {', '.join(sorted(unknown))}; choose from {', '.join(names())}")
    if not 0 < given.scale < math.inf:
        parser.error("--scale takes a number above 0")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"cannot write to {folder} ({error.strerror}); name another folder")
    make_world(folder / "world")
    cases = [make_case(name, folder) for name in given.commands]
    tallies = soak(cases, folder, given.scale, given.only)
    for tally in tallies.values():
        for words in tally.words:
            print(words)
    rows = [tally.row(name) for name, tally in tallies.items()]
    print(tabulate(rows, headers="keys", tablefmt="github"))


if __name__ == "__main__":
    main()
