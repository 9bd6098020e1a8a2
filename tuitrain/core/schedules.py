"""Schedules: a factor for the learning rate, from the share of the schedule that is done.

A schedule begins at some place of a run and ends with its last epoch. An exported program copies
its functions, so they use only the standard library.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tuitrain.core.values import OneOf

Schedule = Callable[[float], float]
"""Maps the share that is done, 0 to 1, to a factor for the learning rate."""


def constant_schedule(_done: float) -> float:
    """Return 1: the learning rate stays as it is set."""
    return 1.0


def linear_schedule(done: float) -> float:
    """Return a factor that decays linearly from 1 to 0."""
    return 1 - done


def cosine_schedule(done: float) -> float:
    """Return a factor that decays from 1 to 0 along a cosine (I. Loshchilov, F. Hutter, 2017)."""
    return (1 + math.cos(math.pi * done)) / 2


def share_done(trained: float, begin: float, epochs: int) -> float:
    """Return the share of a schedule that is done after `trained` epochs.

    It is 0 up to epoch `begin`, and 1 at the last of `epochs` epochs.
    """
    return 0.0 if trained <= begin else min(1.0, (trained - begin) / (epochs - begin))


SCHEDULES: Mapping[str, Schedule] = {
    "constant": constant_schedule,
    "cosine": cosine_schedule,
    "linear": linear_schedule,
}
OWN = "own"
"""The name of a schedule that a task of the user's own brings."""
_LAST = 1 << 31


class RateSchedule(NamedTuple):
    """A schedule by its name, and the epochs that are trained when it begins.

    Its text is `NAME@EPOCHS`, such as `cosine@4`; a constant rate is just `constant`.
    """

    name: str
    begin: float = 0.0

    @classmethod
    def read(cls, text: str, *, now: float = 0.0) -> RateSchedule:
        """Return the schedule of a text, which begins `now` if the text does not say when.

        Raises ValueError for any other text.
        """
        name, at, epochs = text.partition("@")
        if name not in SCHEDULES and not (name == OWN and at):
            raise ValueError(text)
        if name == "constant":
            if at:
                raise ValueError(text)
            return cls(name)
        begin = float(epochs) if at else now
        if not 0 <= begin <= _LAST:  # NaN fails, too
            raise ValueError(text)
        return cls(name, begin)

    @property
    def is_constant(self) -> bool:
        return self.name == "constant"

    def __str__(self) -> str:
        begin = repr(self.begin).removesuffix(".0")
        return self.name if self.is_constant else f"{self.name}@{begin}"


class ScheduleText(OneOf):
    """The name of a schedule, or the text of a `RateSchedule`."""

    def __init__(self) -> None:
        super().__init__(*SCHEDULES)

    def take(self, value: Any) -> str:
        if isinstance(value, str) and "@" in value:
            return str(RateSchedule.read(value))
        return super().take(value)
