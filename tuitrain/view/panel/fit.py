"""Predicted numbers beside the true ones, and a histogram of their errors."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from tuitrain.core.decode import decoded
from tuitrain.core.detail import FIT, Fit
from tuitrain.core.errors import DamagedRecord
from tuitrain.store.schema import key_of
from tuitrain.view.panel.bars import bars
from tuitrain.view.panel.plane import Grid, Plane
from tuitrain.view.panel.reads import Details, Reads, not_recorded
from tuitrain.view.picture import Line, Picture, Span, filled, fitted, prose
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text import words
from tuitrain.view.text.cells import first_fitting, to_the_right, width_of

_SIGNS = "·∙•●"
"""One sample in a cell, two, up to four, and more."""


def fit(run: Snapshot, reads: Reads, width: int, height: int) -> Picture:
    """Return the predicted numbers over the true ones, with the line on which they are equal."""
    predictions = _fit(run, reads.details)
    if predictions is None:
        return filled(prose(not_recorded(run, "predictions"), width), width, height)
    pairs = [
        pair
        for pair in zip(predictions.true, predictions.predicted, strict=True)
        if _is_finite(pair)
    ]
    shown = words.count(len(pairs))
    shown = (
        shown
        if len(pairs) == predictions.samples
        else f"{shown} of {words.count(predictions.samples)}"
    )
    epoch = f"epoch {words.count(_epoch(run))}"
    headings = [
        f"{epoch} · {shown} validation samples · on the line: right",
        f"{epoch} · {shown} samples · line: right",
    ]
    heading = prose(first_fitting(headings, width - 1), width)
    if not pairs:
        lines = prose("no prediction is finite", width, "bad")
        return filled([*heading, *lines], width, height)
    ends = _with_margin([number for pair in pairs for number in pair])
    plane = Plane.of(ends, ends, width, height - len(heading))
    if plane.is_empty:
        return filled(heading, width, height)
    grid: Grid = plane.curve(((end, end) for end in ends), "axis")
    cells = Counter(plane.cell(*pair) for pair in pairs)
    for cell, count in cells.items():
        if cell is not None:
            grid[cell] = Span(_SIGNS[min(3, (count - 1).bit_length())], "validation")
    return filled([*heading, *plane.framed(grid, ["true"], width)], width, height)


def residuals(run: Snapshot, reads: Reads, width: int, height: int) -> Picture:
    """Return the histogram of the errors, predicted minus true, and their usual size."""
    errors = _fit(run, reads.details)
    if errors is None:
        return filled([], width, height)
    bias = f"{'+' if errors.mean > 0 else ''}{words.number(errors.mean)}"
    median = words.number(errors.median)
    texts, least = (" · half are off by less than ", " · half within ±"), f" mean {bias}{median}"
    heading = fitted(
        [
            Span(" mean "), Span(bias, "strong"),
            Span(first_fitting(texts, width - width_of(least))), Span(median, "strong"),
        ],
        width,
    )  # fmt: skip
    cells = max(1, min(3, (width - 2) // len(errors.counts)))
    rows = max(1, height - 3)
    histogram = bars([count for count in errors.counts for _ in range(cells)],
                     max(errors.counts), rows)  # fmt: skip
    lines = [heading, *(fitted([Span(f" {row}", "bar")], width) for row in histogram)]
    lines += _axis(errors, cells * len(errors.counts), width)
    return filled(lines, width, height)


def _axis(errors: Fit, cells: int, width: int) -> list[Line]:
    """Return the axis below a histogram of so many cells; beyond its ends are the outliers."""
    middle = cells // 2
    line = "─" * middle + "┴" + "─" * (cells - middle - 1)
    limit = words.number(errors.limit)
    low, zero, high = f"−{limit} or less", "0", f"{limit} or more"
    if width_of(low + zero + high) + 2 > width - 1:
        low, high = f"≤−{limit}", f"≥{limit}"
    gap = max(1, middle - width_of(low))
    text = f"{low}{' ' * gap}{zero}"
    text += to_the_right(high, max(width_of(high) + 1, cells - width_of(text)))
    return [fitted([Span(f" {line}", "axis")], width), fitted([Span(f" {text}", "muted")], width)]


def _fit(run: Snapshot, details: Details) -> Fit | None:
    last = run.last_epoch
    body = details.detail(key_of(last.take, last.step), FIT) if last else None
    if body is None:
        return None
    predictions = decoded(Fit, body)
    if not predictions.counts or len(predictions.true) != len(predictions.predicted):
        raise DamagedRecord("its predictions are cut off")
    return predictions


def _epoch(run: Snapshot) -> int:
    return run.last_epoch.epoch if run.last_epoch else 0


def _is_finite(pair: Sequence[float]) -> bool:
    return all(map(math.isfinite, pair))


def _with_margin(numbers: Sequence[float]) -> tuple[float, float]:
    low, high = min(numbers), max(numbers)
    margin = (high - low) / 50 or 1.0
    return low - margin, high + margin
