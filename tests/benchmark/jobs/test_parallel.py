"""Results depend neither on where jobs run nor on how a run is divided; the real command line in processes."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from itertools import chain

import pytest
import torch

from benchmark.arguments import cluster_of, shard_of, workers_of
from benchmark.errors import UserError
from benchmark.jobs.parallel import VISIBLE, Cluster, gpu_of, gpus_here, in_parallel, on
from benchmark.jobs.protocol import Job, Protocol, images_of
from benchmark.jobs.runner import in_shard
from methods.training import Devices

METHODS = ("nearest-unlike", "dvae", "dvae-single", "hybrid")
RUN = ("run", "--preset", "smoke", "--methods", ",".join(METHODS), "--jobs", "2")
NO_FLOCK = """
import fcntl, sys
fcntl.flock = fcntl.lockf = lambda *_: None
from benchmark.cli import main
sys.exit(main())
"""
"""The command line where flock does nothing, as on some network file systems."""


def start(results, *options, command=RUN):
    whole = [sys.executable, "-c", NO_FLOCK, *command, "--results", str(results), *options]
    return subprocess.Popen(whole, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def ended(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


def numbers(results):
    return (results / "metrics.csv").read_bytes()


@pytest.fixture(scope="module")
def whole(rows_of):
    """metrics.csv of the run, undivided, on loky."""
    return rows_of(*METHODS)


@pytest.mark.slow
def test_shards_make_the_run(whole, tmp_path):
    """Two parts in two processes at once, without flock, and a kill of one of them: the numbers of the whole run."""
    first, second = start(tmp_path, "--shard", "1/2"), start(tmp_path, "--shard", "2/2")
    time.sleep(8)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    ended(second)
    assert "benchmark report" in ended(start(tmp_path, "--shard", "1/2"))
    ended(start(tmp_path, command=("report", "--preset", "smoke", "--methods", ",".join(METHODS))))
    assert numbers(tmp_path) == whole


@pytest.mark.slow
def test_dask_gives_the_same_numbers(whole, tmp_path):
    """A local dask cluster of two workers of one thread gives loky's numbers, to the byte."""
    pytest.importorskip("distributed", reason="pip install -e '.[dask]'")
    ended(start(tmp_path, "--backend", "dask"))
    assert numbers(tmp_path) == whole


@pytest.mark.slow
def test_ray_gives_results_in_their_order():
    """ray, which gives results at the end only, gives each call's own."""
    pytest.importorskip("ray", reason="pip install -e '.[ray]'")
    with on(Cluster("ray")):
        assert in_parallel([partial(int, text) for text in "3142"], 2) == [3, 1, 4, 2]


KILLS = """
import os, signal, sys
from functools import partial
from pathlib import Path
from benchmark.jobs.parallel import Cluster, in_parallel, on

def answer(folder, times, place):
    marks = [folder / f"{place} {time}" for time in range(times if place == 2 else 0)]
    for mark in marks:
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return place

if __name__ == "__main__":
    backend, folder, times = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    with on(Cluster(backend)):
        print(in_parallel([partial(answer, folder, times, place) for place in range(6)], 2, lost=lambda place: -place))
"""
"""Six calls in two processes, of which the third kills its process so many times."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "times", "found"),
    [("loky", 1, [0, 1, 2, 3, 4, 5]), ("loky", 2, [0, 1, -2, 3, 4, 5]), ("dask", 1, [0, 1, 2, 3, 4, 5])],
)
def test_a_killed_process_loses_nothing(tmp_path, backend, times, found):
    """A call whose process is killed is made again; only one that is killed alone, too, has no result of its own."""
    if backend == "dask":
        pytest.importorskip("distributed", reason="pip install -e '.[dask]'")
    script = tmp_path / "kills.py"
    script.write_text(KILLS)
    asked = [sys.executable, str(script), backend, str(tmp_path), str(times)]
    done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{found}\n"
    assert len(list(tmp_path.glob("2 *"))) == times


@pytest.mark.slow
def test_dask_workers_of_several_threads_are_refused():
    """Two trainings in one process would draw each other's random numbers."""
    distributed = pytest.importorskip("distributed", reason="pip install -e '.[dask]'")
    options = {"n_workers": 1, "threads_per_worker": 2, "dashboard_address": None, "processes": False}
    with distributed.LocalCluster(**options) as started:
        cluster = Cluster("dask", {"scheduler": started.scheduler_address})
        with pytest.raises(UserError, match="--nthreads 1"), on(cluster):
            in_parallel([int], 2)


def test_shards_are_disjoint_and_complete(tmp_path):
    """Each job is in one part, with all jobs that share its fit."""
    protocol = Protocol(tmp_path, "smoke")
    images_of("mnist", protocol)
    jobs = [Job("mnist", method, seed) for seed in (0, 1) for method in METHODS]
    for count in (1, 2, 3, 9):
        parts = [in_shard(jobs, (place, count), protocol) for place in range(1, count + 1)]
        assert sorted(map(str, chain(*parts))) == sorted(map(str, jobs))
        for part in parts:
            assert {job.seed for job in part if job.method == "dvae"} == {
                job.seed for job in part if job.method == "dvae-single"
            }


def test_an_empty_part_says_so(cli, tmp_path):
    """A part beyond the groups of jobs is no mistake of a job array, and says that it is empty."""
    asked = ("--preset", "smoke", "--methods", "null", "--results", tmp_path, "--shard")
    outcome = cli("run", *asked, "9/9")
    assert (outcome.code, outcome.err) == (0, "")
    assert "part 9/9 is empty: there is 1 group of jobs; after the last one" in outcome.out


@pytest.mark.parametrize("given", ["0/2", "3/2", "1", "1/", "/2", "a/b", "-1/2", "1/2/3", "1.0/2", f"1/{'9' * 5000}"])
def test_odd_shards_are_refused(given):
    """A part that there is not is one line that shows the form."""
    with pytest.raises(UserError, match="as in 2/8"):
        shard_of(given)


@pytest.mark.parametrize(
    ("backend", "options", "message"),
    [
        ("slurm", None, "slurm"),
        ("loky", ["a=b"], "takes no"),
        ("dask", ["scheduler"], "NAME=VALUE"),
        ("dask", ["=x"], "NAME=VALUE"),
    ],
)
def test_odd_backends_are_refused(backend, options, message):
    """An unknown backend, and an option without a name or a value."""
    with pytest.raises(UserError, match=message):
        cluster_of(backend, options)


def test_cluster_that_is_not_there_is_one_line():
    """An address where nobody listens is a user's mistake."""
    pytest.importorskip("distributed", reason="pip install -e '.[dask]'")
    cluster = Cluster("dask", {"scheduler": "nowhere"})
    with pytest.raises(UserError, match="cannot use --backend dask"), on(cluster):
        in_parallel([int], 1)


@pytest.mark.parametrize("workers", [1, 2, 5, 8])
@pytest.mark.parametrize("gpus", [("0", "1"), ("3", "GPU-8", "5")])
def test_processes_take_gpus_in_turns(gpus, workers):
    taken = [gpu_of(f"LokyProcess-{number}", gpus) for number in range(7, 7 + workers)]
    counts = [taken.count(gpu) for gpu in gpus]
    assert max(counts) - min(counts) <= 1


def test_a_job_sees_one_gpu(monkeypatch):
    """Each process of a run has one of the GPUs that the run may use, all of them are used, and it keeps its own."""
    monkeypatch.setenv(VISIBLE, "4,6")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    seen = in_parallel([partial(_process_and_gpu, 0.3)] * 6, 2)
    assert {gpu for _, gpu in seen} == {"4", "6"}
    assert len(set(seen)) == len({process for process, _ in seen})


def _process_and_gpu(seconds):
    time.sleep(seconds)
    return os.getpid(), os.environ.get(VISIBLE)


def test_gpus_are_those_that_the_user_left(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.delenv(VISIBLE, raising=False)
    assert gpus_here() == ("0", "1", "2")
    monkeypatch.setenv(VISIBLE, "7,5,2")
    assert gpus_here() == ("7", "5", "2")


def test_as_many_jobs_as_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert workers_of(None, Devices("cuda")) == 4
    assert workers_of(2, Devices("cuda")) == 2
    assert workers_of(None, Devices("cuda", devices=4)) == workers_of(None, Devices("mps")) == 1
    with pytest.raises(UserError, match="one GPU"):
        workers_of(2, Devices("cuda", devices=2))
