"""How many processes the memory of this machine holds, and memory that a process keeps while it works."""

import ctypes
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from math import isnan
from pathlib import Path
from types import MappingProxyType

from benchmark.errors import UserError
from benchmark.records.record import peak_memory

LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where Linux says how much memory a container may take, in bytes."""

KEPT: Mapping[int, int] = MappingProxyType({-3: 2**30, -1: -1})
"""Options of glibc's mallopt: even tensors of a GiB come from kept memory (M_MMAP_THRESHOLD), none of it is given back
(M_TRIM_THRESHOLD)."""


@contextmanager
def kept() -> Iterator[None]:
    """Keep the memory of freed tensors for the next ones, and give it back at the end; on glibc, elsewhere do nothing.

    Giving it back and asking for it again each time takes up to half of a training's time.
    """
    try:
        library = ctypes.CDLL(None)
        change, give_back = library.mallopt, library.malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library, or Windows
        yield
        return
    for option, value in KEPT.items():
        change(option, value)
    try:
        yield
    finally:
        give_back(0)


def machine_memory(limits: Iterable[str] = LIMITS) -> float:
    """Memory of this machine, or of its container if that is less, in MiB; infinity if the system does not say."""
    known = []
    with suppress(ValueError, OSError, AttributeError):
        known.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for limit in limits:
        with suppress(ValueError, OSError):  # "max": no limit
            known.append(int(Path(limit).read_text(encoding="utf-8")))
    return min(known, default=float("inf")) / 2**20


def own_memory() -> float:
    """Memory in MiB that this process takes now and shares with no other; NaN if the system does not say."""
    try:
        _, resident, shared, *_ = Path("/proc/self/statm").read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return peak_memory()
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE") / 2**20


def room() -> float:
    """How many processes like this one, which has loaded all that a job needs but its data, the memory holds."""
    found = machine_memory() / own_memory()
    return float("inf") if isnan(found) else found


def check_room(jobs: int) -> None:
    """Refuse more `jobs` at once than the memory holds.

    Raises
    ------
    UserError
        If they cannot even be started; how much more a job takes depends on its pictures.
    """
    if jobs > max(1.0, found := room()):
        own, there = own_memory() / 1024, machine_memory() / 1024
        raise UserError(
            f"--jobs {jobs} needs more than {jobs * own:.0f} GiB of memory, {own:.2f} GiB a process; this machine has "
            f"{there:.1f} GiB: --jobs {max(1, int(found))} at most"
        )
