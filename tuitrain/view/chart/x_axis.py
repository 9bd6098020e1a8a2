"""The x axis of a chart: steps, epochs, samples, time without pauses, or learning rates."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from operator import itemgetter
from typing import Literal, NamedTuple

from tuitrain.view.chart import scale
from tuitrain.view.text import words

XUnit = Literal["step", "epoch", "samples", "time", "log-rate"]
"""Places on an axis of `log-rate` are the decimal logarithms of learning rates."""
UNITS: tuple[XUnit, ...] = ("step", "epoch", "samples", "time")
"""Those of the charts of a run."""

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86_400.0
_OF_TIME = (
    *(1.0, 2.0, 5.0, 10.0, 15.0, 30.0),
    *(minutes * _MINUTE for minutes in (1, 2, 5, 10, 15, 30)),
    *(hours * _HOUR for hours in (1, 2, 4, 6, 12)),
    *(days * _DAY for days in (1, 2, 5)),
)
"""Seconds between two labels."""

_Knot = tuple[float, float]


class XMap(NamedTuple):
    """A map of steps to an x axis: linear between two or more knots (step, x) and beyond them."""

    knots: tuple[_Knot, ...]

    def x(self, step: float) -> float:
        """Return the place of a step."""
        return step if self is STEPS else _interpolated(step, self.knots)

    def step(self, x: float) -> float:
        """Return the step at a place."""
        return x if self is STEPS else _interpolated(x, [(to, step) for step, to in self.knots])


STEPS = XMap(((0.0, 0.0), (1.0, 1.0)))


def _interpolated(at: float, knots: Sequence[_Knot]) -> float:
    after = min(max(1, bisect_left(knots, at, key=itemgetter(0))), len(knots) - 1)
    (first, begin), (last, end) = knots[after - 1], knots[after]
    return begin + (end - begin) * (at - first) / (last - first) if last > first else end


def joined(maps: Sequence[XMap]) -> XMap:
    """Return the map of consecutive segments, given in order, from those of the segments."""
    return XMap(tuple(knot for part in maps for knot in part.knots))


def live_end(newest: float, planned: float, unit: XUnit) -> float:
    """Return the end of an axis from 0 that has `newest` of so much as is planned."""
    if unit == "time":  # in milliseconds: a run may last less than the least end
        return scale.nice_end(math.ceil(1000 * newest), 0) / 1000
    return scale.nice_end(math.ceil(newest), math.ceil(planned))


class Label(NamedTuple):
    """A number below the axis."""

    x: float
    text: str


def labels(first: float, last: float, unit: XUnit, count: int) -> list[Label]:
    """Return about `count` labels at round numbers, two at least if the range has two."""
    if unit == "time":
        return _times(first, last, count)
    if unit == "log-rate":
        exponents = scale.log_ticks(first, last, count)
        return [Label(exponent, scale.log_label(10**exponent)) for exponent in exponents]
    step, numbers = scale.spread_ticks(first, last, count)
    if unit == "epoch":
        return [Label(number, f"{number:,.6g}") for number in numbers]
    whole = sorted({int(number) for number in numbers if number == int(number)})
    return [Label(number, _count_label(number, step)) for number in whole]


def _count_label(number: int, step: float) -> str:
    """Return 500, 1.5k or 20k, or all digits where those of neighbours would be the same."""
    short = scale.step_label(number)
    return short if step >= 0.01 * number or number < 1000 else words.count(number)


def _times(first: float, last: float, count: int) -> list[Label]:
    for parts in range(count, count + 5):
        grain = _time_step((last - first) / parts)
        numbers = scale.multiples(first, last, grain)
        if len(numbers) > 1:
            break
    if grain < 1:
        return [Label(number, f"{number:.6g}s") for number in numbers]
    return [Label(number, words.duration(number)) for number in numbers]


def _time_step(seconds: float) -> float:
    if seconds <= 1:
        return scale.tick_step(0, max(seconds, 1e-3), 1)
    fitting = (step for step in _OF_TIME if step >= seconds)
    return next(fitting, scale.tick_step(0, seconds / _DAY, 1) * _DAY)
