"""Long calls into libraries, made so that a signal ends them at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Result = TypeVar("_Result")


def interruptible(function: Callable[[], _Result]) -> _Result:
    """Return what `function` returns or raise what it raises; it runs in a thread of its own.

    Python handles a signal between two instructions of its main thread, and pandas parses a large
    table within one. A thread that waits handles it at once, and abandons the call.
    """
    pool = ThreadPoolExecutor(1)
    try:
        return pool.submit(function).result()
    finally:
        pool.shutdown(wait=False)
