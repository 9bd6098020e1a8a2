"""What the charts of a run are read from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from tuitrain.core.events import EpochEnded
from tuitrain.core.segment import Segment
from tuitrain.store.epochs import Best, EpochPart
from tuitrain.store.rollup import Bucket
from tuitrain.store.schema import BatchRow


class Source(Protocol):
    """A reader of losses, series and epochs: a client or a record."""

    def losses(self, take: int, first: int, last: int, level: int) -> list[Bucket]:
        """Return the losses of the steps first..last, in buckets of 2^level steps."""
        ...

    def values(self, name: str, take: int, steps: tuple[int, int], level: int) -> list[Bucket]:
        """Return the values of a series in the steps (first, last), in buckets of 2^level steps."""
        ...

    def validations(self, segment: Segment, level: int) -> list[tuple[int, float]]:
        """Return (step, validation loss) of at most one epoch per 2^level steps."""
        ...

    def batches_in(self, take: int, first: int, last: int, most: int) -> list[BatchRow]:
        """Return the first `most` batches of the steps first..last of a take."""
        ...

    def elapsed(self, take: int, steps: Iterable[int]) -> list[tuple[int, int]]:
        """Return (step, training time in ms) of these steps; unrecorded ones are left out."""
        ...

    def epochs(self, segment: Segment, level: int) -> list[EpochEnded]:
        """Return at most one epoch per 2^level steps of the segment."""
        ...

    def best(self, segment: Segment, part: EpochPart, signs: Mapping[str, int]) -> dict[str, Best]:
        """Return the best value of each name among the epochs that ended in the segment."""
        ...
