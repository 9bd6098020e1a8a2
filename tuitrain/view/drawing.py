"""The parts of a loss chart: what it is given, and what is to be painted in dots and cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from tuitrain.store.rollup import Bucket
from tuitrain.view import series
from tuitrain.view.picture import Role

ACROSS, UP = 2, 4
"""Dots of a cell."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One loss's unbroken stretch on the current line, steps first..last."""

    loss_name: str
    first: int
    last: int
    buckets: tuple[Bucket, ...]
    validations: tuple[tuple[int, float], ...] = ()
    """(step, value)"""


@dataclass(frozen=True, slots=True)
class ChartOptions:
    """How the losses are to be seen."""

    planned: int
    """The last step of the run as planned."""
    half_life: float | None = None
    """Of the smoothed line, in steps; None: 1 % of the visible steps."""
    full_range: bool = False
    """Show every outlier, however flat the rest becomes."""
    log_y: bool = False


class Stroke(NamedTuple):
    """A line through dots, counted from the canvas's lower left."""

    xs: list[int]
    ys: list[int]
    role: Role


class Mark(NamedTuple):
    """Text from a cell on, counted from the canvas's lower left."""

    column: int
    row: int
    text: str
    role: Role


class Tick(NamedTuple):
    """A number beside an axis, at a cell of the canvas."""

    cell: int
    label: str


class Frame(NamedTuple):
    """The canvas in cells; its topmost `header` rows are for words, not for losses."""

    columns: int
    rows: int
    header: int
    end: int
    """The last step that it shows; the first is 0, before any training."""

    @property
    def top(self) -> int:
        """The topmost row for losses."""
        return self.rows - self.header - 1

    def dot(self, step: float) -> int:
        """Return the column of dots of a step."""
        return series.column_of(step, 0, self.end, ACROSS * self.columns)

    def cell(self, step: float) -> int:
        """Return the column of cells of a step, or the nearest that there is."""
        return min(self.columns - 1, max(0, self.dot(step) // ACROSS))

    def dot_up(self, place: float) -> int:
        """Return the row of dots for a height from 0 to 1, or the nearest that there is."""
        return round(min(1.0, max(0.0, place)) * (UP * self.top + UP - 1))

    def cell_up(self, place: float) -> int:
        return self.dot_up(place) // UP


@dataclass(frozen=True, slots=True)
class Drawing:
    """A whole chart. What comes later covers what came before."""

    frame: Frame
    has_axes: bool
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    rulers: list[int]
    """Columns where the loss was swapped."""
    bands: list[Mark]
    """One sign a cell, as in `marks` where no text is longer."""
    curves: list[Stroke]
    marks: list[Mark]
