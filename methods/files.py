"""Files that are written whole or not at all."""

import os
import time
from contextlib import suppress
from glob import escape
from pathlib import Path
from uuid import uuid4

LEFT_BEHIND = 24 * 3600
"""Seconds after which a temporary file is taken to be a killed process's."""


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` to `path` by way of a temporary file, so that a kill leaves either the old file or the new.

    Processes that write the same `path` at once do not disturb each other: the last one's file stays. What killed ones
    left is removed after a day.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)  # noqa: PTH105 - the rename must be atomic
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _tidy(path)


def _tidy(path: Path) -> None:
    """Remove temporary files for `path` that are a day old."""
    for left in path.parent.glob(f".{escape(path.name)}.*.tmp"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > LEFT_BEHIND:
                left.unlink()
