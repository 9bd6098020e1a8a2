"""The processes of a distributed training, as torchrun and its like name them."""

from __future__ import annotations

from collections.abc import Mapping


def rank_of(environment: Mapping[str, str]) -> int:
    """Return the number of this process among them; 0 if it is alone."""
    return _number(environment, "RANK", 0)


def count_of(environment: Mapping[str, str]) -> int:
    """Return how many there are, this one included."""
    return _number(environment, "WORLD_SIZE", 1)


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, "")
    return int(text) if text.isdecimal() else default
