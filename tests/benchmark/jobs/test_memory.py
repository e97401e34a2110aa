"""More jobs than the memory holds are refused, and not started by default."""

import math
import platform
import subprocess
import sys
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap

import pytest

from benchmark import arguments
from benchmark.errors import UserError
from benchmark.jobs import memory
from methods.training import Devices

CPU = Devices("cpu", 1, "32-true")


@pytest.fixture
def machine(monkeypatch):
    """A machine of so many MiB, on which a process takes so many."""

    def of(whole, own):
        monkeypatch.setattr(memory, "machine_memory", lambda: whole)
        monkeypatch.setattr(memory, "own_memory", lambda: own)
        monkeypatch.setattr(arguments.os, "sched_getaffinity", lambda _: range(8), raising=False)

    return of


@pytest.mark.parametrize(("jobs", "fits"), [(1, True), (4, True), (5, False), (10**9, False)])
def test_as_many_jobs_as_fit(machine, jobs, fits):
    """Four processes of 1 GiB fit into 4 GiB, five are refused with the number that fits."""
    machine(4096.0, 1024.0)
    if fits:
        assert arguments.workers_of(jobs, CPU) == jobs
    else:
        with pytest.raises(UserError, match=r"this machine has 4\.0 GiB: --jobs 4 at most"):
            arguments.workers_of(jobs, CPU)


@pytest.mark.parametrize(("whole", "jobs"), [(4096.0, 4), (100000.0, 8), (10.0, 1)])
def test_unasked_no_more_jobs_than_fit(machine, whole, jobs):
    """By default there is a job a core, but no more than fit, and one at least."""
    machine(whole, 1024.0)
    assert arguments.workers_of(None, CPU) == jobs


def test_one_job_is_never_refused(machine):
    """Whether a single job fits is only known once it has run."""
    machine(10.0, 1024.0)
    assert arguments.workers_of(1, CPU) == 1


def test_where_the_system_says_nothing_nothing_is_refused(machine):
    """Without the size of a process, or without the size of the memory, any number of jobs is taken."""
    for whole, own in ((4096.0, math.nan), (math.inf, 1024.0)):
        machine(whole, own)
        assert arguments.workers_of(1000, CPU) == 1000


def test_a_container_has_less(tmp_path):
    """The memory is the machine's, or the container's if it has a limit below that."""
    none, small = tmp_path / "none", tmp_path / "small"
    none.write_text("max\n")
    small.write_text(f"{64 * 2**20}\n")
    assert memory.machine_memory([str(small), str(none)]) == 64
    assert memory.machine_memory([str(none), str(tmp_path / "absent")]) == memory.machine_memory([]) > 64


def test_memory_that_is_taken_is_seen():
    """A process that takes 64 MiB more has 64 MiB more; it has less than the machine."""
    before = memory.own_memory()
    with mmap(-1, 64 * 2**20, MAP_PRIVATE | MAP_ANONYMOUS) as taken:  # malloc may hand out what it kept of before
        for _ in range(64):
            taken.write(b"1" * 2**20)
        after = memory.own_memory()
    assert after - before == pytest.approx(64, abs=8)
    assert after < memory.machine_memory()


FAULTS = """
import resource
import torch
from benchmark.jobs.memory import kept, own_memory

def faults(times):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        torch.empty(2**24).fill_(1.0)  # 64 MiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

without = faults(20)
with kept():
    faults(20)  # until a tensor finds room even where the end of the memory is taken
    within, held = faults(20), own_memory()
print(without, within, held - own_memory())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="memory is kept on glibc only")
def test_memory_is_kept_while_a_call_works():
    """A tensor takes the place of the one before without a page fault; at the end the memory is given back."""
    made = subprocess.run([sys.executable, "-c", FAULTS], check=True, capture_output=True, text=True)
    without, within, given_back = map(float, made.stdout.split())
    assert within < 0.05 * without
    assert given_back > 32


@pytest.mark.parametrize("error", [AttributeError, OSError, TypeError])
def test_another_c_library_changes_nothing(monkeypatch, error):
    """Where glibc's functions are not there, work goes on as it is."""

    def absent(_):
        raise error

    monkeypatch.setattr(memory.ctypes, "CDLL", absent)
    with memory.kept():
        pass


def test_too_many_jobs_are_one_line(cli, tmp_path):
    """The command says so in one line before it computes anything."""
    outcome = cli("run", "--preset", "smoke", "--methods", "null", "--jobs", "99999", "--results", tmp_path / "results")
    assert (outcome.code, len(outcome.complaints)) == (2, 1)
    assert "--jobs 99999 needs more than" in outcome.err
    assert not (tmp_path / "results").exists()
