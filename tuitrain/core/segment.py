"""Segments: unbroken parts of a run's training, the unit of charts, tables and programs."""

from __future__ import annotations

from typing import NamedTuple

FAR = (1 << 40) - 1
"""A step, or a number of epochs, that no run reaches: the end of a segment that goes on."""


class Segment(NamedTuple):
    """Steps first..last of a take, trained with one loss, and the epochs that ended in it.

    An epoch is validated after its last batch, and between the two a loss may be swapped or another
    take opened: steps alone do not determine the segment of a validation.
    """

    take: int
    first: int
    last: int
    after_epoch: int
    last_epoch: int
    """Of the epochs, those after `after_epoch` up to `last_epoch` were validated in it."""
    loss: str = ""

    @property
    def steps(self) -> int:
        """Number of steps; 0 for a segment that only validates."""
        return max(0, self.last - self.first + 1)
