"""Lay out a loss chart: a pure function from losses to a drawing."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from tuitrain.core.safe import safe
from tuitrain.store.rollup import Bucket
from tuitrain.view.chart import braille, columns, scale
from tuitrain.view.chart.axes import GUTTER, ROWS, ruled
from tuitrain.view.chart.braille import ACROSS
from tuitrain.view.chart.drawing import (
    CURSOR,
    Axes,
    ChartOptions,
    Drawing,
    Frame,
    Mark,
    Ruler,
    Segment,
    Stroke,
    signs,
)
from tuitrain.view.chart.validations import line_of
from tuitrain.view.picture import Role
from tuitrain.view.text import words
from tuitrain.view.text.cells import width_of

_LEAST_WIDTH, _LEAST_HEIGHT = 20, 5
"""Below this size a chart has no axes."""
_LEAST_FOR_WORDS = 6
"""Least rows of a canvas whose topmost row is used for words."""
_HALF_LIFE = 0.01
BACK = "↶"
"""Marks where a take continues from an older checkpoint."""
_LONGEST_NAME = 30


@dataclass(frozen=True, slots=True)
class _Part:
    """The part of the chart that a segment fills: the columns of cells first..last."""

    segment: Segment
    axis: scale.Axis
    gathered: list[Bucket | None]
    is_past: bool
    first: int
    last: int
    range_of_history: scale.Axis
    """Losses outside it are no part of the smoothed line."""
    is_back: bool = False
    """Whether it begins with another take that went back to an older checkpoint."""

    def role(self, role: Role) -> Role:
        return "past" if self.is_past else role


def canvas_columns(width: int) -> int:
    """Return how many buckets over the steps 1..nice_end a chart of that width can show."""
    return ACROSS * max(1, width - GUTTER - 1 if width >= _LEAST_WIDTH else width)


def laid_out(
    segments: Sequence[Segment], *, width: int, height: int, options: ChartOptions
) -> Drawing:
    """Return the drawing of `segments`, given oldest first, in at least 2 x 2 cells."""
    axes: Axes = "whole" if width >= _LEAST_WIDTH and height >= _LEAST_HEIGHT else "none"
    header = int(axes != "none" and height - ROWS[axes] >= _LEAST_FOR_WORDS)
    lineage = [segment for segment in segments if not segment.is_abandoned]
    abandoned = [segment for segment in segments if segment.is_abandoned]
    owner = _owner(lineage) or _owner(abandoned)
    own = [segment for segment in lineage or abandoned if segment.loss_name == owner]
    ends = options.ends(max((segment.x.x(segment.last) for segment in segments), default=0))
    frame, axis, x_ticks, y_ticks = ruled(
        _axis_of(own, options), axes, (width, height), header=header, ends=ends, unit=options.unit
    )
    half_life = _HALF_LIFE * (ends[1] - ends[0]) if options.half_life is None else options.half_life
    parts = _parts(lineage, owner, axis, frame, options)
    abandoned_parts = [_part(segment, owner, axis, frame, options) for segment in abandoned]
    return Drawing(
        frame,
        axes,
        x_ticks,
        y_ticks,
        _rulers(parts, frame, options),
        [*_abandoned_lines(abandoned_parts, frame, half_life), *_bands(parts, frame)],
        list(_curves(parts, frame, half_life)) if half_life else [],
        [
            *_points(parts, frame, has_colour=options.has_colour),
            *(_words(parts, frame) if header else ()),
        ],
        is_log=axis.is_log,
        smoothed=_smoothed_at(options.cursor, parts, half_life),
    )


def _owner(segments: Sequence[Segment]) -> str:
    """Return the loss that the y axis belongs to: that of the newest segment with any value."""
    names = (
        segment.loss_name
        for segment in reversed(segments)
        if segment.buckets or segment.validations
    )
    return next(names, "")


def _axis_of(segments: Iterable[Segment], options: ChartOptions) -> scale.Axis:
    own = list(segments)
    return scale.axis(
        [pair for segment in own for pair in _ends_of_buckets(segment)],
        [pair for segment in own for pair in _validation_pairs(segment)],
        is_full=options.full_range,
        is_log=options.log_y,
        was_log=options.was_log,
    )


def _ends_of_buckets(segment: Segment) -> Iterator[scale.Pair]:
    return ((bucket.low, bucket.high) for bucket in segment.buckets if bucket.finite)


def _validation_pairs(segment: Segment) -> Iterator[scale.Pair]:
    return ((value, value) for _, value in segment.validations if math.isfinite(value))


def _parts(
    segments: Sequence[Segment], owner: str, axis: scale.Axis, frame: Frame, options: ChartOptions
) -> list[_Part]:
    """Return the segments side by side: each ends before the first cell of the next one."""
    parts = [_part(segment, owner, axis, frame, options) for segment in segments]
    ends = [*(part.first - 1 for part in parts[1:]), frame.columns - 1]
    backs = [False, *(_is_back(before, part) for before, part in pairwise(parts))]
    return [
        replace(part, last=last, is_back=back)
        for part, last, back in zip(parts, ends, backs, strict=False)
    ]


def _is_back(before: _Part, part: _Part) -> bool:
    takes = before.segment.takes, part.segment.takes
    return all(takes) and takes[0][-1][1] != takes[1][0][1]


def _part(
    segment: Segment, owner: str, axis: scale.Axis, frame: Frame, options: ChartOptions
) -> _Part:
    own = axis if segment.loss_name == owner else _axis_of([segment], options)
    known = segment._replace(buckets=(*segment.history, *segment.buckets))
    return _Part(
        segment,
        own,
        columns.columns(
            segment.buckets, lambda step: frame.dot(segment.x.x(step)), ACROSS * frame.columns
        ),
        segment.loss_name != owner,
        frame.cell(segment.x.x(segment.first)),
        frame.cell(segment.x.x(segment.last)),
        _axis_of([known], options) if segment.history else own,
    )


def _rulers(parts: Sequence[_Part], frame: Frame, options: ChartOptions) -> list[Ruler]:
    """Return where the loss is another one than before, and the cursor."""
    rulers = [Ruler(part.first, "muted" if part.is_back else "swap") for part in parts[1:]]
    if options.cursor is not None and frame.shows(options.cursor):
        rulers.append(Ruler(frame.cell(options.cursor), CURSOR))
    return rulers


def _bands(parts: Iterable[_Part], frame: Frame) -> Iterator[Mark]:
    """Yield the envelopes of the losses as cells: plotext takes eight times as long for dots."""
    cells: dict[Role, braille.Cells] = defaultdict(lambda: defaultdict(int))
    for part in parts:
        cells_of_role = cells[part.role("envelope")]
        for piece in columns.unbroken(part.gathered):
            for column, bottom, top in _uprights(piece, part.axis, frame):
                for row, bits in braille.upright(column, bottom, top):
                    cells_of_role[column // ACROSS, row] |= bits
    for role, cells_of_role in cells.items():
        yield from signs(cells_of_role, role)


def _abandoned_lines(parts: Iterable[_Part], frame: Frame, half_life: float) -> Iterator[Mark]:
    """Yield the smoothed losses of abandoned segments as cells; the lineage is drawn over them."""
    for part in parts:
        for dots in _smooth(part, frame, half_life):
            yield from signs(braille.dashed(dots), "past")


def _uprights(
    piece: Sequence[tuple[int, Bucket]], axis: scale.Axis, frame: Frame
) -> Iterator[tuple[int, int, int]]:
    """Yield (column, bottom, top) in dots; neighbouring columns touch each other."""
    places = [(at, axis.place(bucket.low), axis.place(bucket.high)) for at, bucket in piece]
    before: tuple[int, int] | None = None
    for column, low, high in columns.band(places):
        bottom, top = frame.dot_up(low), frame.dot_up(high)
        last_bottom, last_top = before or (bottom, top)
        before = bottom, top
        yield column, min(bottom, last_top + 1), max(top, last_bottom - 1)


def _curves(parts: Iterable[_Part], frame: Frame, half_life: float) -> Iterator[Stroke]:
    """Yield the smoothed lines within the axis; each segment starts a new line."""
    for part in parts:
        for dots in _smooth(part, frame, half_life):
            xs, ys = [x for x, _ in dots], [y for _, y in dots]
            # there and back one dot lower: one dot is too thin to stand out from the band
            ys += [max(0, y - 1) for y in reversed(ys)]
            yield Stroke(xs + xs[::-1], ys, part.role("smooth"))


def _smooth(part: _Part, frame: Frame, half_life: float) -> Iterator[list[tuple[int, int]]]:
    """Yield the pieces of a segment's smoothed line, in dots."""
    row, means = _means(part, half_life)
    for unbroken in columns.unbroken(row):
        line = [(column, part.axis.place(means[bucket])) for column, bucket in unbroken]
        for piece in columns.inside(line):
            yield [(x, frame.dot_up(place)) for x, place in piece]


def _means(part: _Part, half_life: float) -> tuple[list[Bucket | None], dict[Bucket, float]]:
    """Return the columns without what the axis cuts off, and the smoothed value of each."""
    axis = part.range_of_history
    history = [_without_cut_off(bucket, axis) for bucket in part.segment.history]
    row = [bucket and _without_cut_off(bucket, axis) for bucket in part.gathered]
    buckets = [bucket for bucket in row if bucket]
    line = columns.smoothed([*history, *buckets], half_life, is_log=axis.is_log)[len(history) :]
    means = dict(zip(buckets, line, strict=True))
    row = [bucket if bucket and not math.isnan(means[bucket]) else bucket and _gap(bucket)
           for bucket in row]  # fmt: skip
    return row, means


def _gap(bucket: Bucket) -> Bucket:
    return bucket._replace(finite=0)


def _smoothed_at(x: float | None, parts: Sequence[_Part], half_life: float) -> float | None:
    """Return the smoothed value at a place; None where there is none."""
    if x is None or not half_life:
        return None
    for part in reversed(parts):
        step = part.segment.x.step(x)
        if step > part.segment.first - 0.5:
            _, means = _means(part, half_life)
            value = _between([(bucket.last, value) for bucket, value in means.items()], step)
            return None if value is None or math.isnan(value) else value
    return None


def _between(line: Sequence[tuple[int, float]], step: float) -> float | None:
    """Return the value of a line of (step, value) at a step, or that of its nearer end."""
    later = [point for point in line if point[0] >= step][:1]
    earlier = [point for point in line if point[0] < step][-1:]
    if not (earlier and later):
        return next((value for _, value in earlier or later), None)
    (first, begin), (last, end) = *earlier, *later
    return begin + (end - begin) * (step - first) / (last - first)


def _without_cut_off(bucket: Bucket, axis: scale.Axis) -> Bucket:
    """Return the bucket without an extreme that the axis cuts off.

    One loss of 900 would lift a line of losses below 1 for many half-lives.
    """
    for extreme in (bucket.high, bucket.low):
        if bucket.finite and axis.side(extreme):
            bucket = bucket._replace(total=bucket.total - extreme, finite=bucket.finite - 1)
    return bucket


def _points(parts: Iterable[_Part], frame: Frame, *, has_colour: bool) -> list[Mark]:
    """Return the marks of single values, at most one a cell: the last one."""
    marks = (
        mark
        for part in parts
        for mark in (*_validated(part, frame, has_colour=has_colour), *_troubles(part, frame))
    )
    return list({(mark.column, mark.row): mark for mark in marks}.values())


def _validated(part: _Part, frame: Frame, *, has_colour: bool) -> Iterator[Mark]:
    """Yield the line of the validations, crosses, and arrow heads where they are cut off."""
    pieces: list[list[tuple[int, int]]] = [[]]
    troubles: list[Mark] = []
    for step, value in part.segment.validations:
        x = part.segment.x.x(step)
        if not frame.shows(x):
            continue
        if math.isfinite(value) and not part.axis.side(value):
            pieces[-1].append((frame.dot(x), frame.dot_up(part.axis.place(value))))
            continue
        pieces.append([])
        if math.isfinite(value):
            troubles += _cut(part, frame, frame.cell(x), value, value)
        else:
            troubles.append(Mark(frame.cell(x), 0, "×", "bad"))
    yield from line_of(pieces, frame, part.role("validation"), has_colour=has_colour)
    yield from troubles


def _troubles(part: _Part, frame: Frame) -> Iterator[Mark]:
    """Yield arrow heads where losses are cut off, and crosses where some are nonfinite."""
    for column, bucket in enumerate(part.gathered):
        if bucket is None:
            continue
        if bucket.finite:
            yield from _cut(part, frame, column // ACROSS, bucket.low, bucket.high)
        if bucket.finite < bucket.steps:
            yield Mark(column // ACROSS, 0, "×", "bad")


def _cut(part: _Part, frame: Frame, column: int, low: float, high: float) -> Iterator[Mark]:
    if part.axis.side(high) > 0:
        yield Mark(column, frame.top, "▲", part.role("warn"))
    if part.axis.side(low) < 0:
        yield Mark(column, 0, "▼", part.role("warn"))


def _words(parts: Sequence[_Part], frame: Frame) -> Iterator[Mark]:
    """Yield the topmost row: the name of each segment's loss, and how much is cut off."""
    warning = _warning(part for part in parts if not part.is_past)
    free = frame.columns - (len(warning) + 1 if warning else 0)
    for number, part in enumerate(parts):
        backs = [
            (frame.cell(part.segment.x.x(step)), take) for step, take in part.segment.takes[1:]
        ]
        start, end = part.first + (number > 0), min(part.last + 1, free)
        label = _label(
            part, is_first=number == 0,
            cells=min([end, *(cell - 1 for cell, _ in backs)]) - start,
        )  # fmt: skip
        if label:
            role: Role = "muted" if part.is_past or part.is_back else "swap"
            yield Mark(start, frame.rows - 1, label, role)
        yield from _backs(backs, end, frame)
    if warning and free >= 0:
        yield Mark(frame.columns - len(warning), frame.rows - 1, warning, "warn")


def _backs(backs: Sequence[tuple[int, int]], end: int, frame: Frame) -> Iterator[Mark]:
    """Yield marks where a take continues from an older checkpoint with the same loss."""
    ends = [*(cell - 1 for cell, _ in backs[1:]), end]
    for (cell, take), room in zip(backs, ends, strict=False):
        texts = (text for text in (f"{BACK} take {take}", BACK) if cell + len(text) <= room)
        if text := next(texts, ""):
            yield Mark(cell, frame.rows - 1, text, "muted")


def _warning(parts: Iterable[_Part]) -> str:
    sides = [
        (part.axis.side(low), part.axis.side(high))
        for part in parts
        for low, high in (*_ends_of_buckets(part.segment), *_validation_pairs(part.segment))
    ]
    above, below = sum(high > 0 for _, high in sides), sum(low < 0 for low, _ in sides)
    counts = (("▲", above, "above"), ("▼", below, "below"))
    return "  ".join(f"{sign} {count} {where}" for sign, count, where in counts if count)


def _label(part: _Part, *, is_first: bool, cells: int) -> str:
    """Return the longest label of a segment that fits into that many cells, or "".

    A segment with which another take begins is marked as that take, not as a swap.
    """
    name = _narrow(words.loss(part.segment.loss_name))
    if part.is_back:
        back = f"{BACK} take {part.segment.takes[0][1]}"
        labels = [f"{back}: {name}", back, BACK]
    elif part.is_past:
        low, high = (scale.short(part.axis.value(end)) for end in part.axis.shown[:2])
        labels = [f"{name} {low}–{high}", name]
    else:
        labels = [] if is_first else [f"{name} ▸", name]
    if labels and cells > 3:
        labels.append(f"{name[: cells - 1]}…")
    return next((label for label in labels if len(label) <= cells), "")


def _narrow(name: str) -> str:
    """Return the name with wide characters replaced, so that each fills one cell."""
    signs = safe(name, limit=_LONGEST_NAME)
    return "".join(sign if width_of(sign) == 1 else "\ufffd" for sign in signs)
