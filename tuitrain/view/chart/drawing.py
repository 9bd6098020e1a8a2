"""The input of a chart, and its drawing in dots and cells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from tuitrain.store.rollup import Bucket
from tuitrain.view.chart import columns
from tuitrain.view.chart.braille import ACROSS, UP, Cells, sign
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

    planned: int
    """The last step (or epoch) of the run as planned."""
    newest: int = 0
    """The newest step; the x axis includes it, even if no curve reaches it."""
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
    """Text that starts at a cell, counted from the canvas's lower left."""

    column: int
    row: int
    text: str
    role: Role


def signs(cells: Cells, role: Role) -> Iterator[Mark]:
    """Yield a mark for each cell of dots."""
    for (column, row), bits in cells.items():
        yield Mark(column, row, sign(bits), role)


class Tick(NamedTuple):
    """A number beside an axis, at a cell of the canvas."""

    cell: int
    label: str


class Frame(NamedTuple):
    """The canvas in cells; its topmost `header` rows are for words, not for values."""

    columns: int
    rows: int
    header: int
    end: int
    """The last step that it shows; the first is 0, before any training."""

    @property
    def top(self) -> int:
        """The topmost row for values."""
        return self.rows - self.header - 1

    def dot(self, step: float) -> int:
        """Return the column of dots of a step."""
        return columns.column_of(step, 0, self.end, ACROSS * self.columns)

    def cell(self, step: float) -> int:
        """Return the column of cells of a step, or the nearest one on the canvas."""
        return min(self.columns - 1, max(0, self.dot(step) // ACROSS))

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
    rulers: list[int]
    """Columns where the loss was swapped."""
    signs: list[Mark]
    """One sign a cell; the curves are painted over them."""
    curves: list[Stroke]
    marks: list[Mark]
    """Signs that are painted over the curves, and words."""
