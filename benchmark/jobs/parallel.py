"""Calls in several processes: of this machine (loky), or of a cluster (dask, ray), by joblib's own backends."""

import logging
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from multiprocessing import current_process
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

import torch
from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky import get_reusable_executor

from benchmark import plugins
from benchmark.errors import UserError
from benchmark.jobs.memory import kept
from benchmark.names import Backend

warnings.filterwarnings("ignore", "A worker stopped while some jobs")  # loky replaces a process whose memory grew

log = logging.getLogger(__name__)

KILLED = "its process was killed, and again when nothing else ran; systems do so where memory is short"
"""What is said of a job that cannot be made for that."""
VISIBLE = "CUDA_VISIBLE_DEVICES"
"""The environment variable that names the GPUs of a process; it counts until the process first uses one."""


@dataclass(frozen=True)
class Cluster:
    """Where calls run."""

    backend: Backend = "loky"
    options: Mapping[str, str] = field(default_factory=dict)
    """dask: `scheduler`, an address; without it a cluster is started here. ray: what `ray.init` takes, as `address`."""

    @contextmanager
    def joined(self, workers: int) -> Iterator[int]:
        """Let joblib use it; how many calls run at once.

        Raises
        ------
        UserError
            If it is not installed, cannot be reached, or has workers of several threads.
        """
        with ExitStack() as stack:
            try:
                count = stack.enter_context(STARTS[self.backend](workers, **self.options))
            except ImportError as error:
                raise UserError(
                    f"--backend {self.backend} needs packages that are not installed: "
                    f"pip install 'visual-counterfactuals-benchmark[{self.backend}]'"
                ) from error
            except (OSError, TypeError, ValueError, ConnectionError) as error:
                raise UserError(f"cannot use --backend {self.backend}: {error!s:.200}") from error
            yield count


HERE = Cluster()
_cluster: ContextVar[Cluster] = ContextVar("cluster", default=HERE)


@contextmanager
def on(cluster: Cluster) -> Iterator[None]:
    """Run the calls of this context on `cluster`."""
    token = _cluster.set(cluster)
    try:
        yield
    finally:
        _cluster.reset(token)


_KILLED = object()
"""In place of a result: the process of the call was killed."""


def _refuse(_: int) -> NoReturn:
    raise UserError(f"a part of this could not be made: {KILLED}")


def in_parallel(
    calls: Iterable[Callable[[], Any]],
    workers: int,
    seen: Callable[[Any], None] | None = None,
    lost: Callable[[int], Any] = _refuse,
) -> list[Any]:
    """The results of `calls`, in separate processes if there are several workers or a cluster.

    Each result is passed to `seen` as soon as it arrives. Where a process is killed, what is left is made one at a
    time. `lost` says by its place what stands for the result of a call whose process is killed then, too.

    Raises
    ------
    UserError
        If that happens and `lost` is not given.
    """
    todo = list(calls)
    results: list[Any] = [None] * len(todo)
    for place, found in _results(todo, min(workers, len(todo))):
        results[place] = result = lost(place) if found is _KILLED else found
        if seen is not None:
            seen(result)
    return results


def _results(todo: Sequence[Callable[[], Any]], workers: int) -> Iterator[tuple[int, Any]]:
    """(place, result) of each call, in the order in which they end."""
    cluster = _cluster.get()
    if not todo or (workers <= 1 and cluster.backend == "loky"):
        yield from (_placed(place, call) for place, call in enumerate(todo))
        return
    left = dict(enumerate(todo))
    try:
        for place, result in _at_once(todo, workers, cluster):
            del left[place]
            yield place, result
    except BrokenProcessPool:
        log.warning("a process was killed, perhaps because memory is short: what is left goes on one at a time")
        yield from _one_by_one(left)


def _at_once(todo: Sequence[Callable[[], Any]], workers: int, cluster: Cluster) -> Iterator[tuple[int, Any]]:
    """The same in so many processes.

    Raises
    ------
    BrokenProcessPool
        If a process of this machine is killed. dask asks another one; ray says so at the end.
    """
    gpus = gpus_here() if cluster.backend == "loky" else ()
    with cluster.joined(workers) as count:
        with _deaf():
            # One call at a time: after quick calls joblib would give a worker several at once.
            # ray's backend gives results at the end only.
            given = "list" if cluster.backend == "ray" else "generator_unordered"
            parallel = Parallel(n_jobs=count, batch_size=1, return_as=given)
            made: Iterable[tuple[int, Any]] = parallel(
                delayed(_placed)(place, call, plugins.loaded(), gpus) for place, call in enumerate(todo)
            )
        yield from made


def _one_by_one(left: Mapping[int, Callable[[], Any]]) -> Iterator[tuple[int, Any]]:
    """The same in one process, which another one replaces when it is killed; then `_KILLED` is the result."""
    executor = None
    try:
        for place, call in left.items():
            with _deaf():
                executor = get_reusable_executor(max_workers=1)
                future = executor.submit(_placed, place, call, plugins.loaded())
            try:
                yield future.result()
            except BrokenProcessPool:
                yield place, _KILLED
    finally:
        if executor is not None:
            executor.shutdown(kill_workers=True)


def _placed(
    place: int, call: Callable[[], Any], files: Sequence[Path] = (), gpus: Sequence[str] = ()
) -> tuple[int, Any]:
    """The place and the result of a call; another process first loads the plugin `files` and takes a GPU."""
    if len(gpus) > 1:
        os.environ[VISIBLE] = gpu_of(current_process().name, gpus)
    plugins.load(files)
    with kept():
        return place, call()


def gpus_here() -> tuple[str, ...]:
    """The CUDA devices that this process may use, as `CUDA_VISIBLE_DEVICES` names them."""
    named = os.environ.get(VISIBLE)
    numbered = [str(number) for number in range(torch.cuda.device_count())]
    return tuple(named.split(",")[: len(numbered)] if named else numbered)


def gpu_of(process: str, gpus: Sequence[str]) -> str:
    """The GPU of the process called "LokyProcess-N": they take turns, so that each GPU has as many as any other."""
    return gpus[int(process.rpartition("-")[2]) % len(gpus)]


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes started in this context ignore Ctrl-C; this process receives it and ends them."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread may set signal handlers
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _loky(workers: int) -> Iterator[int]:
    """Processes of this machine."""
    with parallel_config("loky", inner_max_num_threads=1):
        yield workers


@contextmanager
def _dask(workers: int, scheduler: str | None = None) -> Iterator[int]:
    """A dask cluster: that of `scheduler`, or one of this machine."""
    from distributed import Client, KilledWorker, LocalCluster  # noqa: PLC0415 - an extra

    logging.getLogger("distributed").setLevel(logging.ERROR)  # it tells of every connection
    own = None if scheduler else LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
    try:
        with Client(scheduler or own, set_as_default=False) as client:
            threads = client.nthreads()
            if any(count > 1 for count in threads.values()):
                # A training draws from the random numbers of its process.
                raise UserError("a job needs a process of its own: start dask's workers with --nthreads 1")
            with parallel_config("dask", client=client):
                yield max(1, len(threads))
    except KilledWorker as error:
        raise UserError(f"dask gave a job up, whose workers were killed: {error!s:.200}") from error
    finally:
        if own is not None:
            own.close()


@contextmanager
def _ray(workers: int, **options: str) -> Iterator[int]:
    """A ray cluster: that of `address`, or one of this machine."""
    import ray  # noqa: PLC0415 - an extra
    from ray.util.joblib import register_ray  # noqa: PLC0415

    given: dict[str, Any] = dict(options) or {"num_cpus": workers, "include_dashboard": False}
    ray.init(log_to_driver=False, **given)
    try:
        register_ray()
        with parallel_config("ray"):
            yield max(1, int(ray.cluster_resources().get("CPU", workers)))
    finally:
        ray.shutdown()


STARTS: Mapping[Backend, Callable[..., AbstractContextManager[int]]] = MappingProxyType(
    {"loky": _loky, "dask": _dask, "ray": _ray}
)
"""Backend -> how joblib gets to use it; the context's value is the number of calls at once."""
