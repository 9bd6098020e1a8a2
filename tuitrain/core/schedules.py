"""Schedules: a factor for the learning rate from the trained fraction of a run, 0 to 1.

An exported program copies its schedule, so schedules use only the standard library.
"""

from __future__ import annotations

import math
from collections.abc import Callable

Schedule = Callable[[float], float]
"""Maps the trained fraction of the run, 0 to 1, to a factor for the learning rate."""


def linear_schedule(done: float) -> float:
    """Return a factor that decays linearly from 1 to 0."""
    return 1 - done


def cosine_schedule(done: float) -> float:
    """Return a factor that decays from 1 to 0 along a cosine (I. Loshchilov, F. Hutter, 2017)."""
    return (1 + math.cos(math.pi * done)) / 2
