"""The parts of a chart: what it is given, and what is to be painted in dots and cells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from tuitrain.store.rollup import Bucket
from tuitrain.view.chart import columns
from tuitrain.view.chart.braille import ACROSS, UP, Cells, sign
from tuitrain.view.picture import Role


class Segment(NamedTuple):
    """Steps first..last, trained with one loss."""

    loss_name: str
    first: int
    last: int
    buckets: tuple[Bucket, ...]
    validations: tuple[tuple[int, float], ...] = ()
    """(step, value)"""
    is_abandoned: bool = False
    """It is no part of the lineage: an undo or the like went back to before it."""
    takes: tuple[tuple[int, int], ...] = ()
    """(first step, number) of the takes in it."""


@dataclass(frozen=True, slots=True)
class Curve:
    """How one number went, oldest first: (step or epoch, value)."""

    points: tuple[tuple[float, float], ...]
    role: Role = "validation"
    """Those of the role `past` are drawn behind all others, and do not move the axis."""
    sign: str = "●"
    """One cell. It tells curves apart, and marks the points of a lone one if they are few."""
    swaps: tuple[float, ...] = ()
    """Where its loss was swapped, if that is to be marked on the curve itself."""


@dataclass(frozen=True, slots=True)
class ChartOptions:
    """How the numbers are to be seen."""

    planned: int
    """The last step (or epoch) of the run as planned."""
    newest: int = 0
    """The newest step that the x axis must show, if nothing that is drawn reaches it."""
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


def signs(cells: Cells, role: Role) -> Iterator[Mark]:
    """Yield cells of dots as marks."""
    for (column, row), bits in cells.items():
        yield Mark(column, row, sign(bits), role)


class Tick(NamedTuple):
    """A number beside an axis, at a cell of the canvas."""

    cell: int
    label: str


class Frame(NamedTuple):
    """The canvas in cells; its topmost `header` rows are for words, not for numbers."""

    columns: int
    rows: int
    header: int
    end: int
    """The last step that it shows; the first is 0, before any training."""

    @property
    def top(self) -> int:
        """The topmost row for numbers."""
        return self.rows - self.header - 1

    def dot(self, step: float) -> int:
        """Return the column of dots of a step."""
        return columns.column_of(step, 0, self.end, ACROSS * self.columns)

    def cell(self, step: float) -> int:
        """Return the column of cells of a step, or the nearest that there is."""
        return min(self.columns - 1, max(0, self.dot(step) // ACROSS))

    def dot_up(self, place: float) -> int:
        """Return the row of dots for a height from 0 to 1, or the nearest that there is."""
        return round(min(1.0, max(0.0, place)) * (UP * self.top + UP - 1))

    def cell_up(self, place: float) -> int:
        return self.dot_up(place) // UP


Axes = Literal["none", "thin", "whole"]
"""Thin ones have the numbers of x in the line itself; whole ones in a row below it."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A whole chart. What comes later covers what came before."""

    frame: Frame
    axes: Axes
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    rulers: list[int]
    """Columns where the loss was swapped."""
    signs: list[Mark]
    """One sign a cell; lines go over them."""
    curves: list[Stroke]
    marks: list[Mark]
    """As `signs`, over the lines; and words."""
