"""A script that becomes another program, as by `os.execv`, which ends nothing as Python would."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

_FUNCTIONS = "execv", "execve"
"""Those of `os` that all others of their kind call."""


class Replaced:
    """Sees that this process is about to become another program."""

    def __init__(self, ends: Callable[[], None]) -> None:
        """`ends` is called before that; it must not raise."""
        self._ends = ends
        self._undo = ExitStack()

    def install(self) -> None:
        """Begin."""
        for name in _FUNCTIONS:
            original = getattr(os, name)
            setattr(os, name, self._after_the_end(original))
            self._undo.callback(setattr, os, name, original)

    def remove(self) -> None:
        """Put the functions back."""
        self._undo.close()

    def _after_the_end(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def become(*args: Any, **kwargs: Any) -> Any:
            self._ends()
            return original(*args, **kwargs)

        return become
