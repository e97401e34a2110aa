import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
from filelock import FileLock

from benchmark.cli import main
from benchmark.data import Source, load
from benchmark.records.record import Judge, Record, Row
from benchmark.report.figures import write_figures
from benchmark.with_records import read_records


@dataclass(frozen=True)
class Outcome:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def complaints(self):
        """The lines on the error stream."""
        return self.err.splitlines()


def start(*arguments, **options):
    """The real command line in a process (and a process group) of its own."""
    environment = os.environ | {"MPLBACKEND": "Agg", "COLUMNS": "500", "NO_COLOR": "1"}
    # A shell starts what runs in its background deaf to Ctrl-C, and children inherit that.
    hearing = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "encoding": "utf-8"} | options
    command = [sys.executable, "-m", "benchmark", *map(str, arguments)]
    return subprocess.Popen(command, env=environment, start_new_session=True, preexec_fn=hearing, **options)


@pytest.fixture(scope="session")
def popen():
    """Starts the real command line and does not wait."""
    return start


@pytest.fixture(scope="session")
def shell():
    """The real command line in a subprocess: arguments -> Outcome."""

    def run(*arguments, **options):
        process = start(*arguments, **options)
        out, err = process.communicate(timeout=900)
        return Outcome(process.returncode, out, err)

    return run


@pytest.fixture
def cli(capfd):
    """The command line in this process, which spares the seconds that importing torch takes: arguments -> Outcome."""

    def run(*arguments):
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Outcome(int(stopped.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def smoke(worker_folder, shell):
    """The results folder of one real, uninterrupted smoke run over all methods; not to be written to."""
    folder = worker_folder / "smoke"
    with FileLock(worker_folder / "smoke.lock"):
        if not (folder / "answered").exists():
            outcome = shell("run", "--methods", "all", "--preset", "smoke", "--results", folder, "--jobs", "2")
            assert outcome.code == 0, outcome.err
            (folder / "answered").write_text(outcome.out)
            (folder / "complaints").write_text(outcome.err)
    return folder


@pytest.fixture(scope="session")
def rows_of(smoke):
    """What metrics.csv of a smoke run of these methods alone is, from the run of all: methods -> bytes."""

    def of(*methods):
        header, *rows = (smoke / "metrics.csv").read_bytes().splitlines(keepends=True)
        return b"".join([header, *[row for row in rows if row.split(b",")[1].decode() in methods]])

    return of


@pytest.fixture(scope="session")
def worker_folder(tmp_path_factory):
    """A folder that the workers of pytest-xdist share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture
def results(smoke, tmp_path):
    """A copy of the smoke run's results, free to break."""
    return shutil.copytree(smoke, tmp_path / "results")


@pytest.fixture(scope="session")
def digits():
    """The embedded data set."""
    return load("mnist", Source())


JUDGE = Judge(
    config={}, digest="d", validation_accuracy=0.9, test_accuracy=0.95, test_n=100, trained_on="x", fit_seconds=1.0
)


def number(metric, value, relaxation=None, half=0.05, n=100, subset="all"):
    """A row whose interval reaches `half` to either side."""
    low, high = (None, None) if value is None else (value - half, value + half)
    return Row(relaxation=relaxation, metric=metric, subset=subset, value=value, low=low, high=high, n=n)


def make(method="vaex", seed=0, task="mnist", flips=0.75, relaxations=(0.0, 1.0), **changes):
    """A record of a job that succeeded, with round numbers."""
    rows = [number("classifier_accuracy", 0.95), number("oracle_accuracy", 0.9), number("mse", 0.003, half=0.001)]
    rows += [number("reconstruction_flips", 0.01, half=0.01), number("fid_oracle_real", 1.5)]
    rows += [number("fid_oracle_reconstruction", 2.5)]
    for r in relaxations:
        rows += [number("flip_rate", flips * (1 - r), r), number("oracle_agreement", flips * (1 - r) / 2, r)]
        rows += [number("l1", 0.1, r), number("l1", 0.2, r, subset="flipped"), number("fid_oracle", 3.5, r)]
        rows += [number("oracle_agreement", 0.5, r, subset="flipped")]
    facts = {
        "task": task,
        "method": method,
        "seed": seed,
        "preset": "default",
        "split": "test",
        "reference": method in {"null", "nearest-unlike"},
        "status": "ok",
        "key": "k",
        "relaxations": list(relaxations),
        "data": {"classes": [str(digit) for digit in range(10)]},
        "classifier": JUDGE,
        "oracle": JUDGE,
        "rows": rows,
        "timings": [number("fit_seconds", 12.5, n=1)],
    }
    return Record(**(facts | changes))


@pytest.fixture(scope="session")
def draw():
    """Draws the records of a smoke run, as `report --format png` does."""

    def figures(results, folder):
        records = read_records(results, "smoke", "all", "all", "all")
        return write_figures(records, results / "runs", folder)

    return figures


@pytest.fixture(scope="session")
def make_record():
    """Makes records without running anything."""
    return make


@pytest.fixture(scope="session")
def make_row():
    """Makes rows of a record."""
    return number


@pytest.fixture(scope="session")
def stamps():
    """When each file below a folder was last written, by its path."""

    def look(folder, pattern="*"):
        return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob(pattern)}

    return look


@pytest.fixture
def rng():
    """Random numbers, the same in every run."""
    return np.random.default_rng(0)
