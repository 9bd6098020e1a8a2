"""The view of the charts of a run: axes, smoothing, zoom and cursor, the same for all charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from tuitrain.view.chart.x_axis import XUnit
from tuitrain.view.text import words

_LEAST_STEPS = 8
"""Steps of the closest zoom."""
_MARGIN = 0.1
"""Share of a window that stays between the cursor and its ends while the window moves along."""
_LEAST_HALF_LIFE, _HALF_LIFE = 1.0, 0.01
"""In steps, and the usual one as a share of the visible steps."""


class Window(NamedTuple):
    """The visible steps."""

    first: int
    last: int

    @property
    def steps(self) -> int:
        return max(1, self.last - self.first)


@dataclass(frozen=True, slots=True)
class ChartView:
    """The choices of a user about the charts of a run."""

    unit: XUnit = "step"
    """Of the x axis."""
    log_y: bool | None = None
    """None: logarithmic where the values span two decades."""
    half_life: float | None = None
    """Of the smoothed line, in steps; None: 1 % of the visible steps; 0: no smoothed line."""
    full_range: bool = False
    """Show every outlier."""
    window: Window | None = None
    """None: live, everything up to the present."""
    cursor: int | None = None
    """The step whose values are shown."""
    has_colour: bool = True

    def smoothing(self, live: Window) -> float:
        """Return the half-life of the smoothed line in steps; 0: there is no line."""
        if self.half_life is not None:
            return self.half_life
        return _HALF_LIFE * (self.window or live).steps

    def smoother(self, factor: float, live: Window) -> ChartView:
        """Return the view with a half-life that many times as long."""
        half_life = max(self.smoothing(live), _LEAST_HALF_LIFE / factor) * factor
        return replace(
            self, half_life=min(max(round(half_life), _LEAST_HALF_LIFE), float(live.steps))
        )

    def next_unit(self, units: Sequence[XUnit]) -> ChartView:
        """Return the view with the next of these units on its x axis."""
        at = units.index(self.unit) if self.unit in units else -1
        return replace(self, unit=units[(at + 1) % len(units)])

    def zoomed(self, factor: float, at: int, live: Window) -> ChartView:
        """Return the view of that many times as many steps; the step `at` stays where it is."""
        shown = self.window or live
        steps = max(_LEAST_STEPS, round(shown.steps * factor))
        if steps >= live.steps:
            return replace(self, window=None)
        share = min(1.0, max(0.0, (at - shown.first) / shown.steps))
        return replace(self, window=_within(live, round(at - share * steps), steps))

    def moved(self, by: int, first: int, newest: int, live: Window) -> ChartView:
        """Return the view with its cursor moved by so many steps, at first from the newest one.

        The cursor stays within the steps first..newest, and a window moves along with it.
        """
        begin = newest if self.cursor is None else self.cursor
        return self.at(min(newest, max(first, begin + by)), live)

    def at(self, cursor: int, live: Window) -> ChartView:
        """Return the view with its cursor at a step; a window moves along to show it."""
        window = self.window
        if window is not None:
            margin = round(_MARGIN * window.steps)
            if cursor < window.first + margin:
                window = _within(live, cursor - margin, window.steps)
            elif cursor > window.last - margin:
                window = _within(live, cursor + margin - window.steps, window.steps)
        return replace(self, cursor=cursor, window=window)

    def live(self) -> ChartView:
        """Return the view that follows the present, without a cursor."""
        return replace(self, window=None, cursor=None)

    @property
    def is_live(self) -> bool:
        return self.window is None and self.cursor is None

    def notes(self, *, is_log: bool) -> list[str]:
        """Return in words how a chart differs from a usual one."""
        notes = ["log y"] if is_log else []
        if self.unit != "step":
            notes.append(f"by {self.unit}")
        if self.half_life is not None:
            notes.append(
                f"smoothed over {self.half_life:.3g} step{'s' * (self.half_life != 1)}"
                if self.half_life
                else "not smoothed"
            )
        if self.full_range:
            notes.append("with outliers")
        if self.window is not None:
            first, last = (words.count(step) for step in self.window)
            notes.append(f"steps {first}–{last}")
        return notes


def _within(live: Window, first: int, steps: int) -> Window:
    """Return the window of so many steps that begins at `first`, moved into the live one."""
    first = max(live.first, min(first, live.last - steps))
    return Window(first, first + steps)


USUAL = ChartView()
