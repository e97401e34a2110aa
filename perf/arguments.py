"""Types of arguments, for argparse: used by the scripts beside it."""

import argparse
from pathlib import Path


def writable(text: str) -> Path:
    """A folder that is there or can be made; nothing is made yet."""
    path = Path(text)
    there = next(place for place in (path, *path.parents) if place.exists())
    if not there.is_dir():
        raise argparse.ArgumentTypeError(f"cannot write to {path}: {there} is a file; name a folder")
    return path


def positive(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number above 0")
    return int(text)
