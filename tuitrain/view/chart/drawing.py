"""The input of a chart, and its drawing in dots and cells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from tuitrain.store.rollup import Bucket
from tuitrain.view.chart import columns
from tuitrain.view.chart.braille import ACROSS, UP, Cells, character
from tuitrain.view.chart.x_axis import STEPS, XMap, XUnit, live_end
from tuitrain.view.picture import Role


class Segment(NamedTuple):
    """The losses of the steps first..last, trained with one loss function."""

    loss_name: str
    first: int
    last: int
    buckets: tuple[Bucket, ...]
    validations: tuple[tuple[int, float], ...] = ()
    """(step, value)"""
    is_abandoned: bool = False
    """True if it is not part of the lineage, such as after an undo."""
    takes: tuple[tuple[int, int], ...] = ()
    """(first step, number) of the takes in it."""
    history: tuple[Bucket, ...] = ()
    """Earlier losses, which a zoomed chart smooths but does not show."""
    x: XMap = STEPS
    """The map of its steps to the x axis."""


@dataclass(frozen=True, slots=True)
class Curve:
    """The values of one number, oldest first: (step or epoch, value)."""

    points: tuple[tuple[float, float], ...]
    role: Role = "validation"
    """Curves of the role `past` are drawn behind all others and do not affect the axis."""
    sign: str = "●"
    """One cell; it distinguishes several curves, or marks the points of a single one if few."""
    swaps: tuple[float, ...] = ()
    """Steps or epochs of loss swaps to mark on the curve itself."""


@dataclass(frozen=True, slots=True)
class ChartOptions:
    """The options of a chart's axes and of its smoothed line."""

    planned: float
    """The end of the run as planned, on the x axis."""
    newest: float = 0
    """The newest place on the x axis, which includes it even if no curve reaches it."""
    unit: XUnit = "step"
    """Of the x axis."""
    window: tuple[float, float] | None = None
    """The part of the x axis that is shown; None: from 0 to the present and a round number."""
    cursor: float | None = None
    """A place on the x axis to mark with a line."""
    half_life: float | None = None
    """Of the smoothed line, in steps; None: 1 % of the visible steps; 0: no smoothed line."""
    full_range: bool = False
    """Show every outlier, however flat the rest becomes."""
    log_y: bool | None = None
    """None: logarithmic if the values span two decades."""
    was_log: bool = False
    """Whether the chart was so until now: then it stays so unless they span far less."""
    has_colour: bool = True
    """False: distinguish the validation by signs."""

    def ends(self, newest: float) -> tuple[float, float]:
        """Return the first and the last place of an axis that includes `newest`."""
        return self.window or (0, live_end(max(newest, self.newest), self.planned, self.unit))


class Stroke(NamedTuple):
    """A line through dots, counted from the canvas's lower left."""

    xs: list[int]
    ys: list[int]
    role: Role


class Mark(NamedTuple):
    """Text that starts at a cell, counted from the canvas's lower left."""

    column: int
    row: int
    text: str
    role: Role


CURSOR: Role = "text"


class Ruler(NamedTuple):
    """A vertical line through a column of cells: a swap, another take, or the cursor."""

    column: int
    role: Role = "swap"


def signs(cells: Cells, role: Role) -> Iterator[Mark]:
    """Yield a mark for each cell of dots."""
    for (column, row), bits in cells.items():
        yield Mark(column, row, character(bits), role)


class Tick(NamedTuple):
    """A number beside an axis, at a cell of the canvas."""

    cell: int
    label: str


class Frame(NamedTuple):
    """The canvas in cells; its topmost `header` rows are for words, not for values."""

    columns: int
    rows: int
    header: int
    first: float
    """The place at its left end; 0 is before any training."""
    last: float

    @property
    def top(self) -> int:
        """The topmost row for values."""
        return self.rows - self.header - 1

    def dot(self, x: float) -> int:
        """Return the column of dots of a place."""
        return columns.column_of(x, self.first, self.last, ACROSS * self.columns)

    def shows(self, x: float) -> bool:
        """Return whether a place is on the canvas."""
        return 0 <= self.dot(x) < ACROSS * self.columns

    def cell(self, x: float) -> int:
        """Return the column of cells of a place, or the nearest one on the canvas."""
        return min(self.columns - 1, max(0, self.dot(x) // ACROSS))

    def x(self, cell: int) -> float:
        """Return the place in the middle of a column of cells."""
        share = (ACROSS * cell + 0.5) / max(1, ACROSS * self.columns - 1)
        return self.first + min(1.0, max(0.0, share)) * (self.last - self.first)

    def dot_up(self, place: float) -> int:
        """Return the row of dots of a height from 0 to 1, or the nearest one on the canvas."""
        return round(min(1.0, max(0.0, place)) * (UP * self.top + UP - 1))

    def cell_up(self, place: float) -> int:
        return self.dot_up(place) // UP


Axes = Literal["none", "thin", "whole"]
"""Thin axes have the x numbers in the line itself, whole ones in a row below it."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A whole chart. Later fields are painted over earlier ones."""

    frame: Frame
    axes: Axes
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    rulers: list[Ruler]
    signs: list[Mark]
    """One sign a cell; the curves are painted over them."""
    curves: list[Stroke]
    marks: list[Mark]
    """Signs that are painted over the curves, and words."""
    is_log: bool = False
    """Whether the y axis is logarithmic."""
    smoothed: float | None = None
    """The value of the smoothed line at the cursor."""
