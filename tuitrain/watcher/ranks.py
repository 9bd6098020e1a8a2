"""The processes that train together with this one: they do not hear of commands.

A rank that pauses, ends or trains otherwise than the others leaves these in a collective operation,
until it times out, or with other weights.
"""

from __future__ import annotations

import os

from torch import distributed

from tuitrain.core.ranks import count_of, rank_of


def rank() -> int:
    """Return the number of this process; 0 if it is alone."""
    return distributed.get_rank() if _has_group() else rank_of(os.environ)


def count() -> int:
    """Return how many processes there are, this one included."""
    return distributed.get_world_size() if _has_group() else count_of(os.environ)


def _has_group() -> bool:
    return distributed.is_available() and distributed.is_initialized()
