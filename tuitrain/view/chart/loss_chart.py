"""What stands where on a loss chart: a pure function from losses to a drawing."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from tuitrain.core.safe import safe
from tuitrain.store.rollup import Bucket
from tuitrain.view.chart import braille, columns, scale
from tuitrain.view.chart.axes import GUTTER, ROWS, ruled
from tuitrain.view.chart.braille import ACROSS
from tuitrain.view.chart.drawing import (
    Axes,
    ChartOptions,
    Drawing,
    Frame,
    Mark,
    Segment,
    Stroke,
    signs,
)
from tuitrain.view.picture import Role
from tuitrain.view.text import words
from tuitrain.view.text.cells import width_of

_LEAST_WIDTH, _LEAST_HEIGHT = 20, 5
"""Below this size a chart has no axes."""
_LEAST_FOR_WORDS = 6
"""Rows of a canvas that can spare its topmost for words."""
_HALF_LIFE = 0.01
BACK = "↶"
"""Marks where a take goes on from an older checkpoint."""
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
    return ACROSS * max(1, width - GUTTER - 1 if width >= _LEAST_WIDTH else width)


def laid_out(
    segments: Sequence[Segment], *, width: int, height: int, options: ChartOptions
) -> Drawing:
    """Return the chart of `segments`, given oldest first, in at least 2 x 2 cells."""
    axes: Axes = "whole" if width >= _LEAST_WIDTH and height >= _LEAST_HEIGHT else "none"
    header = int(axes != "none" and height - ROWS[axes] >= _LEAST_FOR_WORDS)
    line = [one for one in segments if not one.is_abandoned]
    left = [one for one in segments if one.is_abandoned]
    owner = _owner(line) or _owner(left)
    own = [one for one in line or left if one.loss_name == owner]
    newest = max((one.last for one in segments), default=options.newest)
    end = scale.nice_end(newest, options.planned)
    frame, axis, x_ticks, y_ticks = ruled(
        _axis_of(own, options), axes, (width, height), header=header, end=end
    )
    half_life = options.half_life or _HALF_LIFE * end
    seen = _placed(line, owner, axis, frame, options)
    behind = [_seen(one, owner, axis, frame, options) for one in left]
    return Drawing(
        frame,
        axes,
        x_ticks,
        y_ticks,
        [one.first for one in seen[1:]],
        [*_behind(behind, frame, half_life), *_bands(seen, frame)],
        list(_curves(seen, frame, half_life)),
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


def _placed(
    segments: Sequence[Segment], owner: str, axis: scale.Axis, frame: Frame, options: ChartOptions
) -> list[_Seen]:
    """Return the segments side by side: each reaches as far as the next one's first cell."""
    seen = [_seen(one, owner, axis, frame, options) for one in segments]
    ends = [*(one.first - 1 for one in seen[1:]), frame.columns - 1]
    return [replace(one, last=last) for one, last in zip(seen, ends, strict=False)]


def _seen(one: Segment, owner: str, axis: scale.Axis, frame: Frame, options: ChartOptions) -> _Seen:
    return _Seen(
        one,
        axis if one.loss_name == owner else _axis_of([one], options),
        columns.columns(one.buckets, 0, frame.end, ACROSS * frame.columns),
        one.loss_name != owner,
        frame.cell(one.first),
        frame.cell(one.last),
    )


def _bands(seen: Iterable[_Seen], frame: Frame) -> Iterator[Mark]:
    """Yield the losses' envelopes as cells, which cost plotext an eighth of what their dots do."""
    cells: dict[Role, braille.Cells] = defaultdict(lambda: defaultdict(int))
    for one in seen:
        own = cells[one.role("envelope")]
        for stretch in columns.stretches(one.gathered):
            for column, bottom, top in _runs(stretch, one.axis, frame):
                for row, bits in braille.upright(column, bottom, top):
                    own[column // ACROSS, row] |= bits
    for role, those in cells.items():
        yield from signs(those, role)


def _behind(left: Iterable[_Seen], frame: Frame, half_life: float) -> Iterator[Mark]:
    """Yield the smoothed losses that are no part of the line, dashed, under the line."""
    for one in left:
        for dots in _smooth(one, frame, half_life):
            yield from signs(braille.dashed(dots), "past")


def _runs(
    stretch: Sequence[tuple[int, Bucket]], axis: scale.Axis, frame: Frame
) -> Iterator[tuple[int, int, int]]:
    """Yield (column, bottom, top) in dots, each reaching as far as its neighbour's."""
    places = [(at, axis.place(bucket.low), axis.place(bucket.high)) for at, bucket in stretch]
    before: tuple[int, int] | None = None
    for column, low, high in columns.band(places):
        bottom, top = frame.dot_up(low), frame.dot_up(high)
        last_bottom, last_top = before or (bottom, top)
        before = bottom, top
        yield column, min(bottom, last_top + 1), max(top, last_bottom - 1)


def _curves(seen: Iterable[_Seen], frame: Frame, half_life: float) -> Iterator[Stroke]:
    """Yield the smoothed lines, each begun anew with its segment, of what the axis shows."""
    for one in seen:
        for dots in _smooth(one, frame, half_life):
            xs, ys = [x for x, _ in dots], [y for _, y in dots]
            # there and back one dot lower: one dot is too thin to stand out from the band
            ys += [max(0, y - 1) for y in reversed(ys)]
            yield Stroke(xs + xs[::-1], ys, one.role("smooth"))


def _smooth(one: _Seen, frame: Frame, half_life: float) -> Iterator[list[tuple[int, int]]]:
    """Yield the pieces of a segment's smoothed line, in dots."""
    row = [bucket and _kept(bucket, one.axis) for bucket in one.gathered]
    buckets = [bucket for bucket in row if bucket]
    means = dict(zip(buckets, columns.smoothed(buckets, half_life), strict=True))
    for stretch in columns.stretches(row):
        line = [(column, one.axis.place(means[bucket])) for column, bucket in stretch]
        for piece in columns.inside(line):
            yield [(x, frame.dot_up(place)) for x, place in piece]


def _kept(bucket: Bucket, axis: scale.Axis) -> Bucket:
    """Return the bucket without an extreme that the axis cuts off.

    One loss of 900 would lift a line of losses below 1 for many half-lives.
    """
    for extreme in (bucket.high, bucket.low):
        if bucket.finite and axis.side(extreme):
            bucket = bucket._replace(total=bucket.total - extreme, finite=bucket.finite - 1)
    return bucket


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
    take = None
    for number, one in enumerate(seen):
        (_, first), *others = one.segment.takes or ((0, 0),)
        backs = [(frame.cell(step), other) for step, other in others]
        start, end = one.first + (number > 0), min(one.last + 1, free)
        label = _label(
            one, is_first=number == 0, is_back=take not in (None, first),
            cells=min([end, *(cell - 1 for cell, _ in backs)]) - start,
        )  # fmt: skip
        if label:
            yield Mark(start, frame.rows - 1, label, "muted" if one.is_past else "swap")
        yield from _backs(backs, end, frame)
        take = backs[-1][1] if backs else first
    if warning and free >= 0:
        yield Mark(frame.columns - len(warning), frame.rows - 1, warning, "warn")


def _backs(backs: Sequence[tuple[int, int]], end: int, frame: Frame) -> Iterator[Mark]:
    """Yield where a take goes on from an older checkpoint with the same loss: no swap."""
    ends = [*(cell - 1 for cell, _ in backs[1:]), end]
    for (cell, take), room in zip(backs, ends, strict=False):
        texts = (text for text in (f"{BACK} take {take}", BACK) if cell + len(text) <= room)
        if text := next(texts, ""):
            yield Mark(cell, frame.rows - 1, text, "muted")


def _warning(seen: Iterable[_Seen]) -> str:
    sides = [
        (one.axis.side(low), one.axis.side(high))
        for one in seen
        for low, high in _pairs(one.segment)
    ]
    above, below = sum(high > 0 for _, high in sides), sum(low < 0 for low, _ in sides)
    counts = (("▲", above, "above"), ("▼", below, "below"))
    return "  ".join(f"{sign} {count} {where}" for sign, count, where in counts if count)


def _label(one: _Seen, *, is_first: bool, is_back: bool, cells: int) -> str:
    """Return the longest name for a segment that fits into so many cells, or nothing.

    `is_back`: its take went back to an older checkpoint, and changed the loss there.
    """
    name = _narrow(words.loss(one.segment.loss_name))
    if is_back:
        name = f"{BACK} {name}"
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
    signs = safe(name, limit=_LONGEST_NAME)
    return "".join(sign if width_of(sign) == 1 else "\ufffd" for sign in signs)
