"""What stands where on a loss chart: a pure function from losses to a drawing."""

from __future__ import annotations

import math
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from tuitrain.core.safe import safe
from tuitrain.store.rollup import Bucket
from tuitrain.view import scale, series
from tuitrain.view.drawing import (
    ACROSS,
    UP,
    ChartOptions,
    Drawing,
    Frame,
    Mark,
    Segment,
    Stroke,
    Tick,
)
from tuitrain.view.picture import Role

_GUTTER = 4
"""Cells for the numbers of the y axis at least: a chart whose numbers grow must not shift."""
_LEAST_WIDTH, _LEAST_HEIGHT = 20, 5
"""Below this size a chart has no axes."""
_LEAST_FOR_WORDS = 6
"""Rows of a canvas that can spare its topmost for words."""
_X_TICK, _Y_TICK = 10, 3
"""Cells from one number to the next."""
_HALF_LIFE = 0.01
_BRAILLE = ((0, 0x40, 0x44, 0x46, 0x47), (0, 0x80, 0xA0, 0xB0, 0xB8))
"""The signs' bits for the lowest 0 to 4 dots, left and right."""
_LONGEST_NAME = 30


@dataclass(frozen=True, slots=True)
class _Seen:
    """A segment where it stands in the frame, in the cells first..last."""

    segment: Segment
    axis: scale.Axis
    gathered: list[Bucket | None]
    is_past: bool
    first: int
    last: int

    def role(self, role: Role) -> Role:
        return "past" if self.is_past else role


def canvas_columns(width: int) -> int:
    """Return how many buckets over the steps 1..nice_end are worth having for a chart so wide."""
    return ACROSS * max(1, width - _GUTTER - 1 if width >= _LEAST_WIDTH else width)


def laid_out(
    segments: Sequence[Segment], *, width: int, height: int, options: ChartOptions
) -> Drawing:
    """Return the chart of `segments`, given oldest first, in at least 2 x 2 cells."""
    has_axes = width >= _LEAST_WIDTH and height >= _LEAST_HEIGHT
    rows = height - 2 if has_axes else height
    header = int(has_axes and rows >= _LEAST_FOR_WORDS)
    owner = _owner(segments)
    own = [one for one in segments if one.loss_name == owner]
    axis, numbers = _axis_of(own, options).numbered(max(2, (rows - header) // _Y_TICK))
    labels = [label.rjust(_GUTTER) for _, label in numbers]
    gutter = 1 + max(map(len, labels)) if has_axes else 0
    end = scale.nice_end(max((one.last for one in segments), default=0), options.planned)
    frame = Frame(width - gutter, rows, header, end)
    seen = _placed(segments, owner, axis, frame, options)
    heights = [frame.cell_up(axis.place(value)) for value, _ in numbers]
    return Drawing(
        frame,
        has_axes,
        _steps(frame),
        [Tick(cell, label) for cell, label in zip(heights, labels, strict=True)],
        [one.first for one in seen[1:]],
        list(_bands(seen, frame)),
        list(_curves(seen, frame, options.half_life or _HALF_LIFE * end)),
        [*_points(seen, frame), *(_words(seen, frame) if header else ())],
    )


def _owner(segments: Sequence[Segment]) -> str:
    """Return the name of the loss that the y axis belongs to: the newest with anything to show."""
    drawn = (one.loss_name for one in reversed(segments) if one.buckets or one.validations)
    return next(drawn, "")


def _axis_of(segments: Iterable[Segment], options: ChartOptions) -> scale.Axis:
    pairs = [pair for one in segments for pair in _pairs(one)]
    return scale.axis(pairs, is_full=options.full_range, is_log=options.log_y)


def _pairs(segment: Segment) -> Iterator[tuple[float, float]]:
    """Yield the (low, high) of all that a segment shows, as far as it is finite."""
    yield from ((one.low, one.high) for one in segment.buckets if one.finite)
    yield from ((value, value) for _, value in segment.validations if math.isfinite(value))


def _steps(frame: Frame) -> list[Tick]:
    numbers = scale.ticks(0, frame.end, max(1, frame.columns // _X_TICK))
    whole = [int(number) for number in numbers if number == int(number)]
    return [Tick(frame.cell(step), scale.step_label(step)) for step in whole]


def _placed(
    segments: Sequence[Segment], owner: str, axis: scale.Axis, frame: Frame, options: ChartOptions
) -> list[_Seen]:
    starts = [frame.cell(one.first) for one in segments]
    ends = [*(start - 1 for start in starts[1:]), frame.columns - 1]
    return [
        _Seen(
            one,
            axis if one.loss_name == owner else _axis_of([one], options),
            series.columns(one.buckets, 0, frame.end, ACROSS * frame.columns),
            one.loss_name != owner,
            first,
            last,
        )
        for one, first, last in zip(segments, starts, ends, strict=False)
    ]


def _bands(seen: Iterable[_Seen], frame: Frame) -> Iterator[Mark]:
    """Yield the losses' envelopes as cells, which cost plotext an eighth of what their dots do."""
    cells: dict[tuple[Role, int, int], int] = defaultdict(int)
    for one in seen:
        role = one.role("envelope")
        for stretch in series.stretches(one.gathered):
            for column, bottom, top in _runs(stretch, one.axis, frame):
                for row, dots in _dots(column, bottom, top):
                    cells[role, column // ACROSS, row] |= dots
    for (role, across, row), dots in cells.items():
        yield Mark(across, row, chr(0x2800 + dots), role)


def _dots(column: int, bottom: int, top: int) -> Iterator[tuple[int, int]]:
    """Yield the rows of cells that a run of dots crosses, with the bits of the dots in each."""
    bits = _BRAILLE[column % ACROSS]
    for row in range(bottom // UP, top // UP + 1):
        low, high = max(0, bottom - UP * row), min(UP, top + 1 - UP * row)
        yield row, bits[high] - bits[low]


def _runs(
    stretch: Sequence[tuple[int, Bucket]], axis: scale.Axis, frame: Frame
) -> Iterator[tuple[int, int, int]]:
    """Yield (column, bottom, top) in dots, each reaching as far as its neighbour's."""
    places = [(at, axis.place(bucket.low), axis.place(bucket.high)) for at, bucket in stretch]
    before: tuple[int, int] | None = None
    for column, low, high in series.band(places):
        bottom, top = frame.dot_up(low), frame.dot_up(high)
        last_bottom, last_top = before or (bottom, top)
        before = bottom, top
        yield column, min(bottom, last_top + 1), max(top, last_bottom - 1)


def _curves(seen: Iterable[_Seen], frame: Frame, half_life: float) -> Iterator[Stroke]:
    """Yield the smoothed lines, each begun anew with its segment, of what the axis shows."""
    for one in seen:
        row = [bucket and _kept(bucket, one.axis) for bucket in one.gathered]
        buckets = [bucket for bucket in row if bucket]
        means = dict(zip(buckets, series.smoothed(buckets, half_life), strict=True))
        for stretch in series.stretches(row):
            line = [(column, one.axis.place(means[bucket])) for column, bucket in stretch]
            for piece in _inside(line):
                xs, ys = [x for x, _ in piece], [frame.dot_up(place) for _, place in piece]
                # there and back one dot lower: one dot is too thin to stand out from the band
                ys += [max(0, y - 1) for y in reversed(ys)]
                yield Stroke(xs + xs[::-1], ys, one.role("smooth"))


def _kept(bucket: Bucket, axis: scale.Axis) -> Bucket:
    """Return the bucket without an extreme that the axis cuts off.

    One loss of 900 would lift a line of losses below 1 for many half-lives.
    """
    for extreme in (bucket.high, bucket.low):
        if bucket.finite and axis.side(extreme):
            bucket = bucket._replace(total=bucket.total - extreme, finite=bucket.finite - 1)
    return bucket


def _inside(line: list[tuple[int, float]]) -> Iterator[list[tuple[int, float]]]:
    """Yield the pieces of a line that are within its axis, each with the points just beyond."""

    def is_near(at: int) -> bool:
        return any(0 <= place <= 1 for _, place in line[max(0, at - 1) : at + 2])

    for near, piece in groupby(range(len(line)), key=is_near):
        if near:
            yield [line[at] for at in piece]


def _points(seen: Iterable[_Seen], frame: Frame) -> list[Mark]:
    """Return the signs for single things, one a cell; the last that is given for a cell stays."""
    marks = (mark for one in seen for mark in (*_validated(one, frame), *_broken(one, frame)))
    return list({(mark.column, mark.row): mark for mark in marks}.values())


def _validated(one: _Seen, frame: Frame) -> Iterator[Mark]:
    for step, value in one.segment.validations:
        column = frame.cell(step)
        if not math.isfinite(value):
            yield Mark(column, 0, "×", "bad")
        elif one.axis.side(value):
            yield from _cut(one, frame, column, value, value)
        else:
            row = frame.cell_up(one.axis.place(value))
            yield Mark(column, row, "●", one.role("validation"))


def _broken(one: _Seen, frame: Frame) -> Iterator[Mark]:
    """Yield arrow heads where losses are cut off, and crosses where some were not finite."""
    for column, bucket in enumerate(one.gathered):
        if bucket is None:
            continue
        if bucket.finite:
            yield from _cut(one, frame, column // ACROSS, bucket.low, bucket.high)
        if bucket.finite < bucket.steps:
            yield Mark(column // ACROSS, 0, "×", "bad")


def _cut(one: _Seen, frame: Frame, column: int, low: float, high: float) -> Iterator[Mark]:
    if one.axis.side(high) > 0:
        yield Mark(column, frame.top, "▲", one.role("warn"))
    if one.axis.side(low) < 0:
        yield Mark(column, 0, "▼", one.role("warn"))


def _words(seen: Sequence[_Seen], frame: Frame) -> Iterator[Mark]:
    """Yield the topmost row: whose stretch it is, and at its end how much is cut off."""
    warning = _warning(one for one in seen if not one.is_past)
    free = frame.columns - (len(warning) + 1 if warning else 0)
    for number, one in enumerate(seen):
        start = one.first + (number > 0)
        label = _label(one, is_first=number == 0, cells=min(one.last + 1, free) - start)
        if label:
            yield Mark(start, frame.rows - 1, label, "muted" if one.is_past else "swap")
    if warning and free >= 0:
        yield Mark(frame.columns - len(warning), frame.rows - 1, warning, "warn")


def _warning(seen: Iterable[_Seen]) -> str:
    sides = [
        (one.axis.side(low), one.axis.side(high))
        for one in seen
        for low, high in _pairs(one.segment)
    ]
    above, below = sum(high > 0 for _, high in sides), sum(low < 0 for low, _ in sides)
    counts = (("▲", above, "above"), ("▼", below, "below"))
    return "  ".join(f"{sign} {count} {where}" for sign, count, where in counts if count)


def _label(one: _Seen, *, is_first: bool, cells: int) -> str:
    """Return the longest name for a stretch that fits into so many cells, or nothing."""
    name = _narrow(one.segment.loss_name)
    if one.is_past:
        low, high = (scale.short(one.axis.value(end)) for end in one.axis.shown[:2])
        labels = [f"{name} {low}–{high}", name]
    else:
        labels = [] if is_first else [f"{name} ▸", name]
    if labels and cells > 3:
        labels.append(f"{name[: cells - 1]}…")
    return next((label for label in labels if len(label) <= cells), "")


def _narrow(name: str) -> str:
    """Return a name whose every character fills one cell."""
    return "".join(
        "\ufffd"
        if unicodedata.east_asian_width(sign) in "WF" or unicodedata.category(sign) in ("Mn", "Me")
        else sign
        for sign in safe(name, limit=_LONGEST_NAME)
    )
