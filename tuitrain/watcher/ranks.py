"""The processes that train together with this one."""

from __future__ import annotations

import os
import signal

from torch import distributed

from tuitrain.core.ranks import count_of, rank_of

COMES_WITHIN_S = 300.0
"""Time limit for the rank that leads to come to a step, once another one has taken it: it may
evaluate alone before, while NCCL's work is queued; NCCL itself waits for hardly longer."""
FOLLOWS_WITHIN_S = 60.0
"""The same for the others, which usually have nothing to do alone."""

GAVE_UP = signal.SIGUSR1
"""By it rank 0 tells its launcher that the run is over, while the script goes on."""


def rank() -> int:
    """Return the number of this process; 0 if it is alone."""
    return distributed.get_rank() if _has_group() else rank_of(os.environ)


def count() -> int:
    """Return how many processes there are, this one included."""
    return distributed.get_world_size() if _has_group() else count_of(os.environ)


def _has_group() -> bool:
    return distributed.is_available() and distributed.is_initialized()
