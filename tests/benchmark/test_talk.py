"""What a run says: before, during, after, when it is stopped, and when it is to be quiet."""

import os
import pty
import signal
import subprocess
import sys
import time

import pytest

from benchmark.cli.talk import LINES, Talk, last_lines
from benchmark.jobs.progress import Needs
from benchmark.jobs.protocol import Job
from benchmark.locks import locked
from methods import METHODS

ASKED = tuple(name for name in METHODS if Job("mnist", name, 0).answerable)


# -- before and during -------------------------------------------------------------------------------------------------


def test_begin_says_what_is_made_and_what_is_there(capsys, make_record):
    """Before anything is computed: methods, tasks, seeds, jobs at once, and how many are on disk."""
    jobs = [Job("mnist", method, seed) for method in ("vaex", "null") for seed in (0, 1)]
    Talk("default").begins(jobs, [make_record(), None, None, None], 2, Needs(megabytes=12.1))
    assert capsys.readouterr().out.splitlines() == [
        "2 methods on mnist, seed 0, 1; preset default, 2 at once",
        "1 of 4 are on disk; writes 13 MB of pictures, and weights",
    ]
    Talk("default").begins(jobs, [None] * 4, 2, Needs(500.0, 2.0))
    assert (
        "0 of 4 are on disk; writes 2 MB of pictures, and weights; trainings and answers took 5 min under another seed"
        in capsys.readouterr().out
    )
    Talk("default").begins(jobs[:1], [make_record()], 2)
    assert "1 of 1 are on disk, nothing is computed" in capsys.readouterr().out


def test_begin_says_what_more_seeds_take(capsys):
    """With fewer than five seeds, it says what the others would take; a quiet run and a smoke run do not ask."""
    Talk("default").begins([Job("mnist", "vaex", 0)], [None], 2, Needs(more=4 * 600.0))
    assert "5 (--seeds 0,1,2,3,4) would take about 20 min more" in capsys.readouterr().out
    Talk("default").begins([Job("mnist", "vaex", 0)], [None], 1, Needs(more=4 * 3600.0))
    assert "about 4.0 h more" in capsys.readouterr().out
    assert [Talk("default").weighs, Talk("default", quiet=True).weighs, Talk("smoke").weighs] == [True, False, False]


def test_job_that_ends_is_a_line(capsys, make_record):
    """A finished job is a line with its flip rate, the oracle's agreement, n and r; one that failed is none."""
    talk = Talk("default")
    talk.ends(make_record())
    talk.ends(make_record(status="failed", reason="no luck"))
    told = "vaex on mnist, seed 0: flips 75.0 %, oracle agrees 37.5 %, n = 100, r = 0\n"
    assert capsys.readouterr().out == told
    assert talk.done == 1


def test_smoke_run_says_a_line_a_method(smoke):
    """Piped, a smoke run says one line a method, then where the tables are and, last, the page, and no errors."""
    assert (smoke / "complaints").read_text() == ""
    ready, *methods, tables, page = (smoke / "answered").read_text().splitlines()
    assert ready == "getting ready ..."
    assert sorted(line.partition(" on mnist, seed 0: flips ")[0] for line in methods) == sorted(ASKED)
    assert (tables, page) == (f"tables: {smoke / 'tables'}", str(smoke / "report.html"))


@pytest.mark.slow
def test_first_word_comes_before_torch(tmp_path):
    """On a terminal something is on the screen before torch, which takes seconds to load, is imported."""
    main, side = pty.openpty()
    command = [sys.executable, "-X", "importtime", "-m", "benchmark", "report", "--preset", "smoke"]
    environment = os.environ | {"TERM": "xterm", "NO_COLOR": "1"}
    process = subprocess.Popen(
        [*command, "--results", str(tmp_path)], stdout=side, stderr=side, stdin=side, env=environment
    )
    os.close(side)
    text = b""
    try:
        while chunk := os.read(main, 65536):
            text += chunk
    except OSError:  # what Linux says at the end of a terminal
        pass
    os.close(main)
    assert process.wait() == 2
    assert b"error: " in text
    assert 0 < text.index(b"getting ready") < text.index(b" torch.")


# -- after -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [60, 80, 200])
def test_last_lines_fit_the_terminal(make_record, width):
    """However wide the terminal, there are at most ten lines that fit it; in 130 columns all methods on digits do."""
    records = [make_record(name, reference=METHODS[name].load().reference) for name in ASKED]
    lines = last_lines(records, width)
    assert len(lines) <= LINES
    assert all(len(line) <= width for line in lines)
    assert "r = 0" in lines[0]
    if width >= 130:
        assert all(name in " ".join(lines).replace("*", "").split() for name in ASKED)
        assert "null*" in " ".join(lines)
    else:
        assert lines[-1].endswith("more")


def test_last_lines_hold_the_means_over_seeds(make_record):
    """A cell is a method on a task: mean flip rate, agreement and L1 of all queries at the smallest r."""
    records = [make_record(seed=0, flips=1.0), make_record(seed=1, flips=0.5), make_record(task="mnist/3-8")]
    _, *cells = last_lines(records, 60)
    assert [line.split() for line in cells] == [
        ["vaex", "mnist", "75.0", "37.5", "0.100"],
        ["vaex", "mnist/3-8", "75.0", "37.5", "0.100"],
    ]


def test_quiet_says_the_last_path(cli, results):
    """To be quiet is to say the last path and nothing else."""
    outcome = cli("report", "--preset", "smoke", "--results", results, "--quiet")
    assert (outcome.code, outcome.out, outcome.err) == (0, f"{results / 'report.html'}\n", "")


def test_nothing_is_drawn_again_that_is_there(cli, results, stamps):
    """Tables and figures whose records have not changed are left alone; one that is lost comes back."""
    arguments = ("report", "--preset", "smoke", "--results", results)
    assert cli(*arguments).code == 0
    before, numbers = stamps(results / "tables"), (results / "metrics.csv").stat().st_mtime_ns
    assert cli(*arguments).code == 0
    assert stamps(results / "tables") == before
    assert (results / "metrics.csv").stat().st_mtime_ns == numbers
    for path in (results / "tables" / "summary.md", results / "metrics.csv"):
        path.unlink()
        assert cli(*arguments).code == 0
        assert path.exists()
        assert stamps(results / "tables").keys() == before.keys()
    numbers = (results / "metrics.csv").stat().st_mtime_ns
    assert cli(*arguments, "--methods", "vaex").code == 0
    assert (results / "metrics.csv").stat().st_mtime_ns != numbers


# -- stopped -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_is_one_line(popen, tmp_path, jobs):
    """Ctrl-C ends all processes, with one line that counts what is done, exit code 130 and no traceback."""
    run = ("run", "--preset", "smoke", "--methods", "vaex,null", "--jobs", jobs, "--results", tmp_path)
    process = popen(*run)
    while process.poll() is None and not list(tmp_path.glob("runs/locks/classifier-*.lease")):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out, err) == (
        130,
        "getting ready ...\n",
        "stopped; the same command goes on; 0 of 2 done\n",
    )
    deadline = time.monotonic() + 30
    while is_there(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not is_there(process.pid)


def is_there(group):
    """Whether a process of this group lives."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


# -- clean -------------------------------------------------------------------------------------------------------------


def test_clean_removes_the_runs_alone(cli, results):
    """What runs have kept is gone, its size is said, and tables stay."""
    outcome = cli("clean", "--results", results, "--yes")
    assert outcome.code == 0, outcome.err
    assert "MB removed" in outcome.out
    assert list((results / "runs").iterdir()) == []
    assert (results / "metrics.csv").exists()


def test_clean_asks_first(cli, results, monkeypatch):
    """Where nobody is there to agree, nothing is removed."""
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: PTH123, SIM115 - as cron has it
    outcome = cli("clean", "--results", results)
    assert (outcome.code, outcome.out) == (2, "")
    assert "--yes" in outcome.err
    assert (results / "runs" / "records").exists()


def test_clean_waits_for_a_run(cli, results):
    """While a run holds a lock nothing is removed."""
    with locked(results / "runs" / "locks" / "fit-0.lease"):
        outcome = cli("clean", "--results", results, "--yes")
    assert (outcome.code, outcome.out, len(outcome.complaints)) == (2, "", 1)
    assert "at work" in outcome.err
    assert (results / "runs" / "records").exists()


def strange_file(folder):
    (folder / "runs").mkdir()
    (folder / "runs" / "thesis.tex").touch()


def link(folder):
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "records").mkdir()
    (folder / "runs").symlink_to(folder / "elsewhere")


def link_inside(folder):
    (folder / "elsewhere").mkdir()
    (folder / "runs").mkdir()
    (folder / "runs" / "records").symlink_to(folder / "elsewhere")


def file_for_folder(folder):
    (folder / "runs").mkdir()
    (folder / "runs" / "records").touch()


@pytest.mark.parametrize("make", [lambda folder: None, strange_file, file_for_folder, link, link_inside])
def test_clean_refuses_what_is_not_a_runs_folder(cli, tmp_path, make):
    """A folder that is missing, holds something else, or leads elsewhere is refused, and nothing is removed."""
    make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    outcome = cli("clean", "--results", tmp_path, "--yes")
    assert (outcome.code, outcome.out, len(outcome.complaints)) == (2, "", 1)
    assert sorted(tmp_path.rglob("*")) == before
