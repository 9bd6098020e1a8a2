"""Compute the range and the numbers of an axis, in coarse steps, so that charts rarely shift."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from typing import NamedTuple

_SHORTEST = 20
_ENDS = (1.0, 1.5, 2.0, 3.0, 4.5, 7.0, 10.0)
_NICE = (1.0, 2.0, 5.0, 10.0)
_LARGEST = sys.float_info.max
_SMALLEST = 1e-290
_LARGEST_EXPONENT = math.log10(_LARGEST) - 1e-9
_MORE_PARTS = 5
"""Further parts into which a range is divided until two ticks lie in it."""

_LEAST_LOG = 0.05

_GRAINS = 16
"""Most steps in which an axis grows: with finer ones a live chart would shift often."""
_DECADES, _STILL_DECADES = 2.0, 1.7
"""Decades from which an axis is logarithmic, unless the user decides."""
_MOST_ZEROS = 0.5
"""Fraction of losses that may be zero on such an axis, below which they are counted."""

_CORE = 0.05
"""Fraction of the values at either end that may be outliers."""
_START, _START_REACH = 0.02, 100.0
"""Fraction of first values, and their larger distance: a loss usually begins high."""
_FEW = 5
"""With fewer values an outlier cannot be identified."""

Pair = tuple[float, float]
"""The lowest and the highest of some neighbouring values."""


class Reach(NamedTuple):
    """The distance from the core of the values up to which a value is shown."""

    heights: float
    """In heights of the core."""
    least: float
    """The least height of a core, and the least relative to its end."""
    least_share: float


LINEAR, LOGARITHMIC = Reach(4.0, 0.0, 0.1), Reach(1.5, 1.0, 0.0)


class Range(NamedTuple):
    """The range of an axis, and how many of the given pairs lie wholly or partly outside it."""

    low: float
    high: float
    above: int = 0
    below: int = 0


def nice_end(newest: int, planned: int) -> int:
    """Return the end of a step axis that includes `newest` of `planned` steps; at least 1."""
    end = _ended(max(newest, _SHORTEST))
    return min(end, planned) if max(newest, 1) <= planned else end


def _ended(step: int) -> int:
    power: int = 10 ** (len(str(step)) - 1)
    return next(end for by in _ENDS if (end := int(by * 10) * power // 10) >= step)


def full(lows: Sequence[float], highs: Sequence[float]) -> Range:
    """Return the range of all finite values; 0 to 1 if there are none."""
    low = min(filter(math.isfinite, lows), default=0.0)
    high = max(filter(math.isfinite, highs), default=1.0)
    return Range(*_apart(min(low, high), max(low, high)))


def without_outliers(lows: Sequence[float], highs: Sequence[float], reach: Reach = LINEAR) -> Range:
    """Return a range without outliers. Pairs are given oldest first.

    A spike of 900 among losses below 1 is outside the range; the decay at the start of a run is
    inside, however short it is on the axis.
    """
    pairs = [
        (low, high)
        for low, high in zip(lows, highs, strict=True)
        if math.isfinite(low) and math.isfinite(high)
    ]
    if len(pairs) < _FEW:
        return full([low for low, _ in pairs], [high for _, high in pairs])
    bottom = -_reached([-low for low, _ in pairs], [-high for _, high in pairs], reach)
    top = _reached([high for _, high in pairs], [low for low, _ in pairs], reach)
    return within(full([bottom], [top]), lows, highs)


def _reached(ends: list[float], others: list[float], reach: Reach) -> float:
    """Return the largest of `ends` that is no outlier; `others` has the other end of each pair."""
    core = sorted(ends)[int((1 - _CORE) * (len(ends) - 1))]
    floor = sorted(others)[math.ceil(_CORE * (len(others) - 1))]
    least = max(reach.least, abs(core) * reach.least_share)
    height = max(core / 2 - floor / 2, least / 2) * 2
    if height <= 0:
        return max(ends)
    starting = max(1, int(_START * len(ends)))
    strict, lenient = _above(core, reach.heights, height), _above(core, _START_REACH, height)
    early = [end for end in ends[:starting] if end <= lenient]
    return max(early + [end for end in ends if end <= strict])


def _above(core: float, times: float, height: float) -> float:
    return core + times * height if height < _LARGEST / times / 2 else _LARGEST


def within(shown: Range, lows: Sequence[float], highs: Sequence[float]) -> Range:
    """Return the same range with the number of finite pairs that it cuts off."""
    slack = (shown.high / 2 - shown.low / 2) * 1e-9
    above = sum(math.isfinite(high) and high - slack > shown.high for high in highs)
    below = sum(math.isfinite(low) and low + slack < shown.low for low in lows)
    return Range(shown.low, shown.high, above, below)


def _apart(low: float, high: float) -> tuple[float, float]:
    """Return the ends, moved apart if numbers between them would be indistinguishable."""
    magnitude = max(abs(low), abs(high))
    if magnitude < _SMALLEST:
        return 0.0, 1.0
    if high / 2 - low / 2 >= magnitude * 1e-6:
        return low, high
    margin = magnitude * 0.05
    return max(low - margin, -_LARGEST), min(high + margin, _LARGEST)


def tick_step(low: float, high: float, count: int) -> float:
    """Return the smallest of 1, 2, 5 x 10^k that divides low..high into at most `count` parts."""
    part = (high / 2 - low / 2) / max(1, count) * 2
    if not math.isfinite(part):
        return 1e308
    power = 10.0 ** math.floor(math.log10(part))
    step = next((by * power for by in _NICE if by * power >= part * (1 - 1e-9)), 10 * power)
    return min(step, 1e308)


def rounded(shown: Range, count: int) -> Range:
    """Return the range extended to multiples of its tick step, with the same counts."""
    step = tick_step(shown.low, shown.high, count)
    low = math.floor(shown.low / step + 1e-9) * step
    high = math.ceil(shown.high / step - 1e-9) * step
    return shown._replace(low=max(low, -_LARGEST), high=min(high, _LARGEST))


def ticks(low: float, high: float, count: int) -> list[float]:
    """Return the round numbers that divide low..high into at most about `count` parts."""
    return multiples(low, high, tick_step(low, high, count))


def multiples(low: float, high: float, step: float) -> list[float]:
    """Return the multiples of `step` in low..high."""
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    numbers = (number * step for number in range(first, last + 1))
    return [number for number in numbers if math.isfinite(number)]


def spread_ticks(low: float, high: float, count: int) -> tuple[float, list[float]]:
    """Return a tick step and its multiples in low..high: about `count`, but two at least."""
    for parts in range(max(1, count), max(1, count) + _MORE_PARTS):
        step = tick_step(low, high, parts)
        numbers = multiples(low, high, step)
        if len(numbers) > 1:
            break
    return step, numbers


def log_ticks(low: float, high: float, count: int) -> list[float]:
    """Return at most about `count` powers of ten, as exponents, in low..high.

    If they fit, or if fewer than two powers lie there, include two and five times each power.
    """
    thirds = [third for third in _thirds(low, high) if _is_within(third, low, high)]
    first, last = math.ceil(low - 1e-9), math.floor(high + 1e-9)
    if len(thirds) <= count or first >= last:
        return thirds
    step = max(1, math.ceil((last - first) / max(1, count)))
    return [float(ten) for ten in range(first, last + 1, step) if ten < _LARGEST_EXPONENT]


def _thirds(low: float, high: float) -> list[float]:
    """Return the exponents of 1, 2, 5 x 10^k from below `low` to above `high`."""
    tens = range(math.floor(low), math.ceil(high) + 1)
    thirds = [ten + math.log10(by) for ten in tens for by in (1, 2, 5)]
    return [third for third in thirds if third < _LARGEST_EXPONENT]


def _is_within(number: float, low: float, high: float) -> bool:
    return low - 1e-9 <= number <= high + 1e-9


def log_label(value: float) -> str:
    """Return a label of at most four characters for 1, 2 or 5 x 10^k: 0.02, 1, 5e-3."""
    return f"{value:.6g}" if 0.0099 < value < 9999 else _scientific(value, 0)


def tick_label(value: float, step: float) -> str:
    """Return a short label that distinguishes `value` from `value ± step`: 0.05, 2.5, 1e-5."""
    if abs(value) < step / 2:
        return "0"
    size, grain = _exponent(value), _exponent(step)
    if grain < -4 or size > 4:
        return _scientific(value, min(8, max(0, size - grain)))
    return f"{value:.{max(0, -grain)}f}"


def _exponent(value: float) -> int:
    return int(f"{abs(value):.6e}".partition("e")[2])


def _scientific(value: float, digits: int) -> str:
    mantissa, _, exponent = f"{value:.{digits}e}".partition("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}e{int(exponent)}"


def short(value: float) -> str:
    """Return `value` in two or three figures, for a sentence: 0.05, 2.4, 1.2e38."""
    if value and not 1e-4 <= abs(value) < 1e4:
        return _scientific(value, 1)
    return f"{value:.2g}" if abs(value) < 100 else f"{value:.0f}"


def step_label(step: int) -> str:
    """Return a step in few characters: 500, 1.5k, 20k, 3M."""
    for unit, power in (("", 1), ("k", 10**3), ("M", 10**6), ("G", 10**9)):
        if step < 999.5 * power:
            return f"{step / power:.3g}{unit}"
    return f"{step / 10**12:.3g}T"


class Axis(NamedTuple):
    """Maps values to heights; with `is_log` the range is of decimal logarithms."""

    shown: Range
    is_log: bool = False
    has_values: bool = True
    """Whether there is any finite value; without one the range means nothing."""

    def place(self, value: float) -> float:
        """Return the height of a value: 0 to 1 within the range, at least -1, at most 2."""
        low, high = self.shown.low, self.shown.high
        value = _log(value) if self.is_log else value
        return min(2.0, max(-1.0, (value / 2 - low / 2) / (high / 2 - low / 2)))

    def side(self, value: float) -> int:
        """Return 1 for a value above the range, -1 for one below it, 0 for one within."""
        place = self.place(value)
        return int(place > 1 + 1e-9) - int(place < -1e-9)

    def value(self, number: float) -> float:
        """Return the value of a number of the range."""
        return 10.0 ** min(number, _LARGEST_EXPONENT) if self.is_log else number

    def numbered(self, count: int) -> tuple[Axis, list[tuple[float, str]]]:
        """Return the axis extended to round numbers, and about `count` numbers with labels."""
        if not self.has_values:
            return self, []
        if self.is_log:
            return self._numbered_log(count)
        shown = rounded(self.shown, _GRAINS)
        step, numbers = spread_ticks(shown.low, shown.high, count)
        return Axis(shown), [(number, tick_label(number, step)) for number in numbers]

    def _numbered_log(self, count: int) -> tuple[Axis, list[tuple[float, str]]]:
        thirds = _thirds(self.shown.low, self.shown.high)
        low = max(third for third in thirds if third <= self.shown.low + 1e-9)
        high = min((third for third in thirds if third >= self.shown.high - 1e-9),
                   default=self.shown.high)  # fmt: skip
        values = [10.0**exponent for exponent in log_ticks(low, high, count)]
        axis = Axis(self.shown._replace(low=low, high=high), is_log=True)
        return axis, [(value, log_label(value)) for value in values]


def axis(
    pairs: Iterable[Pair],
    validations: Iterable[Pair] = (),
    *,
    is_full: bool,
    is_log: bool | None,
    was_log: bool = False,
) -> Axis:
    """Return an axis for finite (low, high) pairs, oldest first; a log axis needs high > 0.

    Outliers are found among `pairs` and among `validations` apart: these are few, and may be
    decades above. If `is_log` is None, the axis is logarithmic where it spans two decades, or a
    little less if it `was_log`: an axis at the limit does not turn to and fro.
    """
    groups = [list(pairs), list(validations)]
    if is_log is None:
        is_log = _spans(groups, _STILL_DECADES if was_log else _DECADES)
    if is_log:
        groups = list(map(_logs, groups))
    shown = _joint_range(groups, None if is_full else LOGARITHMIC if is_log else LINEAR)
    if is_log and shown.high - shown.low < 2 * _LEAST_LOG:
        shown = shown._replace(low=shown.low - _LEAST_LOG, high=shown.high + _LEAST_LOG)
    return Axis(shown, is_log, has_values=any(groups))


def _joint_range(groups: Sequence[Sequence[Pair]], reach: Reach | None) -> Range:
    """Return one range for all groups, without the outliers of any; with them if reach is None."""
    lows, highs = ([pair[end] for group in groups for pair in group] for end in (0, 1))
    if reach is None:
        return full(lows, highs)
    parts = [
        without_outliers([low for low, _ in group], [high for _, high in group], reach)
        for group in groups
        if group
    ]
    if not parts:
        return full([], [])
    joint = full([part.low for part in parts], [part.high for part in parts])
    return within(joint, lows, highs)


def _spans(groups: Sequence[Sequence[Pair]], decades: float) -> bool:
    ends = [pair for group in groups for pair in group]
    zeros = sum(high <= 0 for _, high in ends)
    if not ends or zeros > _MOST_ZEROS * len(ends) or min(low for low, _ in ends) < 0:
        return False
    shown = _joint_range(list(map(_logs, groups)), LOGARITHMIC)
    return shown.high - shown.low > decades


def _logs(pairs: Iterable[Pair]) -> list[Pair]:
    return [(_log(low if low > 0 else high), _log(high)) for low, high in pairs if high > 0]


def _log(value: float) -> float:
    return math.log10(max(value, _SMALLEST)) if value > 0 else -_LARGEST / 4
