"""Files that are whole or not there."""

import os
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` to `path` under another name first, so that a kill at any moment leaves the old file or the new.

    Processes that may write the same `path` at once must share a lock; what a killed one left behind is overwritten.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(content)
    try:
        os.replace(temporary, path)  # noqa: PTH105 - the atomic rename is the point
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
