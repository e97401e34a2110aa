"""Locks that hold between processes, also of several nodes that share a file system.

A lock is a file that only one process can create. Its holder renews it while it works, so a file that nobody has
renewed for `LEASE` seconds belongs to a process that died, and the next one takes it over. A file without a name in it,
left by a process that died before it wrote its own, is taken over after one and a half times as long. flock is not
used: on many network file systems it holds within a node only, or does nothing. If two processes hold a lock at once,
for example because one of them was suspended, work is done twice and no file is harmed, since files are written whole.
"""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from filelock import SoftFileLease, Timeout

from benchmark.errors import UserError

LEASE = 60.0
"""Seconds after which a lock that is not renewed is taken over. A process that died on the same node is noticed at
once."""
SUFFIX = ".lease"


@contextmanager
def locked(path: Path, *, patience: float = -1) -> Iterator[None]:
    """Hold the lock `path`, so that other processes with the same work wait.

    Parameters
    ----------
    path
        A file that nothing else uses.
    patience
        Seconds to wait for another holder; negative: for ever.

    Raises
    ------
    filelock.Timeout
        If another process holds it after `patience` seconds.
    UserError
        If its folder cannot hold locks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lease = SoftFileLease(path, lease_duration=LEASE)
    try:
        _acquire(lease, path, patience)
    except Timeout:
        raise
    except (OSError, NotImplementedError) as error:
        why = getattr(error, "strerror", None) or error
        raise UserError(
            f"cannot create locks in {path.parent} ({why}); choose another folder with --results"
        ) from error
    try:
        yield
    finally:
        lease.release()


def tables_locked(runs: Path) -> AbstractContextManager[None]:
    """Hold the lock of all that is published from `runs`: tables, figures and pages."""
    return locked(runs / "locks" / f"tables{SUFFIX}")


def _acquire(lease: SoftFileLease, path: Path, patience: float) -> None:
    """Wait for a lock. filelock takes over what it can read; what names no holder is removed here."""
    deadline = time.monotonic() + patience if patience >= 0 else float("inf")
    while True:
        seen = _state(path)
        left = max(0.0, deadline - time.monotonic())
        try:
            lease.acquire(timeout=min(left, 1.5 * LEASE))
        except Timeout:
            if left <= 1.5 * LEASE:
                raise
            if seen is not None and seen == _state(path):
                path.unlink(missing_ok=True)
        else:
            return


def _state(path: Path) -> tuple[int, int] | None:
    """What changes with every holder and whenever one renews its lock; None if nobody holds it."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns
