"""The processor time of a call: used by the scripts beside it."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def timed(call: Callable[[], T]) -> tuple[T, float]:
    """What `call` returns, and its processor time in seconds, which other processes do not touch."""
    started = time.process_time()
    result = call()
    return result, time.process_time() - started
