"""Files that are written whole or not at all."""

import os
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` to `path` by way of a temporary file, so that a kill leaves either the old file or the new.

    Processes that may write the same `path` at once must share a lock. A killed one's temporary file is overwritten.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(content)
    try:
        os.replace(temporary, path)  # noqa: PTH105 - the rename must be atomic
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
