"""Segments: contiguous parts of a run's training, the unit of charts, tables and programs."""

from __future__ import annotations

from typing import NamedTuple

FAR = (1 << 40) - 1
"""A step, or a number of epochs, that no run reaches: the end of an open segment."""


class Segment(NamedTuple):
    """Steps first..last of a take, trained with one loss, and the epochs validated with it.

    An epoch is validated after its last batch. In between, a loss may be swapped or a take opened,
    so steps alone do not determine the segment of a validation.
    """

    take: int
    first: int
    last: int
    after_epoch: int
    last_epoch: int
    """It has the validations of epochs after_epoch + 1 to last_epoch."""
    loss: str = ""

    @property
    def steps(self) -> int:
        """The number of steps; 0 for a segment that has validations only."""
        return max(0, self.last - self.first + 1)
