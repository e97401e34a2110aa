"""Files that are written whole or not at all."""

import os
import time
from contextlib import suppress
from glob import escape
from pathlib import Path
from socket import gethostname
from uuid import uuid4

LEFT_BEHIND = 24 * 3600
"""Seconds after which a temporary file of another machine is taken to be a killed process's."""
ATTEMPTS = 3
"""Times that a file is written whose temporary file somebody removes."""


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` to `path` by way of a temporary file, so that a kill leaves either the old file or the new.

    Processes that write the same `path` at once do not disturb each other: the last one's file stays. What killed ones
    left is removed by the next one: at once if they ran on this machine, else after a day.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(ATTEMPTS):
        try:
            _write(path, content)
            break
        except FileNotFoundError:
            # A machine of the same name, which shares the folder, took this process for one of its own that has ended.
            if attempt == ATTEMPTS - 1:
                raise
    _tidy(path)


def _write(path: Path, content: bytes) -> None:
    """Write a temporary file, and rename it."""
    temporary = path.with_name(f".{path.name}.{gethostname()}.{os.getpid()}.{uuid4().hex}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)  # noqa: PTH105 - the rename must be atomic
    except BaseException:
        with suppress(OSError):  # the folder may be what failed
            temporary.unlink(missing_ok=True)
        raise


def _tidy(path: Path) -> None:
    """Remove temporary files for `path` whose process has ended, or that are a day old."""
    for left in path.parent.glob(f".{escape(path.name)}.*.tmp"):
        with suppress(OSError):
            if _ended(left) or time.time() - left.stat().st_mtime > LEFT_BEHIND:
                left.unlink()


def _ended(temporary: Path) -> bool:
    """Whether the process that wrote a temporary file is known to have ended."""
    process = temporary.name.split(".")[-3]
    if f".{gethostname()}.{process}." not in temporary.name or not process.isdecimal() or os.name == "nt":
        return False
    try:
        os.kill(int(process), 0)  # asks, and ends nothing
    except ProcessLookupError:
        return True
    except OSError:  # another user's
        return False
    return False
