"""The outputs of a model all over its inputs, with samples: regions, shades or a curve."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from tuitrain.core.decode import decoded
from tuitrain.core.detail import SURFACE, Surface
from tuitrain.core.errors import DamagedRecord
from tuitrain.core.safe import safe
from tuitrain.view.panel.plane import Grid, Plane
from tuitrain.view.panel.reads import Details, Reads
from tuitrain.view.panel.regions import ABOVE, BELOW, regions, role_of, sign_of, wrong_in_words
from tuitrain.view.picture import Line, Picture, Span, filled, fitted, prose, whole
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text import words

_POINT = "•"
_SIGNS_APART = 18
"""Cells from one sign of a curve to the next, if there are several curves."""
_NAMED = 6
"""Classes that the heading names."""


def applies(run: Snapshot) -> bool:
    """Return whether a sample of the run is one or two numbers."""
    shape = run.problem.input_shape
    return bool(shape) and math.prod(shape) in (1, 2) and not run.is_watched


def surface(run: Snapshot, reads: Reads, width: int, height: int) -> Picture:
    """Return the newest surface or curve of the model, with the samples on it."""
    seen = _seen(run, reads.details)
    if seen is None:
        return filled(prose(_missing(run), width), width, height)
    plane = Plane.of(_ends(seen, 0), _upward(run, seen), width, height - 1)
    if plane.is_empty:
        return filled(prose("this needs more room", width), width, height)
    if len(seen.low) == 1:
        grid, name = _curves(seen, plane, is_number=run.problem.kind == "regression"), ["the input"]
    else:
        grid = regions(seen, plane, classes=len(_names(run, seen)))
        name = ["the first input, up: the second", "first input, up: second"]
    lines = [_heading(run, seen, width), *plane.framed(grid, name, width)]
    return filled(lines, width, height)


def _missing(run: Snapshot) -> str:
    shape = run.problem.input_shape
    if run.is_watched:
        return "of a watched script no outputs are recorded"
    if not applies(run):
        count = f"this one has {words.count(math.prod(shape))}" if shape else "this one has others"
        return f"drawn for models of one or two inputs; {count}"
    if run.last_epoch is None:
        return "no epoch is validated yet"
    return "no outputs of this model over its inputs are in the record"


def _seen(run: Snapshot, details: Details) -> Surface | None:
    last = run.last_epoch
    found = details.newest_detail(last.take, last.step, SURFACE) if last else None
    if found is None:
        return None
    seen = _checked(decoded(Surface, found[1]))
    if run.problem.kind != "regression" and not all(0 <= target < 256 for target in seen.targets):
        raise DamagedRecord("its surface has samples of no class")
    return seen


def _names(run: Snapshot, seen: Surface) -> list[str]:
    """Return the names of the classes; their numbers where they have none."""
    names = list(run.problem.classes)
    count = 0 if run.problem.kind == "regression" else 1 + int(max(seen.targets, default=1))
    return names + [str(number) for number in range(len(names), count)]


def _checked(seen: Surface) -> Surface:
    """Return it; DamagedRecord unless its parts fit together."""
    inputs, samples = len(seen.low), len(seen.inputs)
    grids = [seen.levels, seen.classes] if seen.classes else [seen.levels]
    sizes = {(len(grid), *map(len, grid)) for grid in grids}
    is_complete = (
        inputs in (1, 2) and len(seen.high) == inputs
        and samples == len(seen.targets) == len(seen.predicted)
        and all(len(sample) == inputs for sample in seen.inputs)
        and (seen.curves and all(len(curve) > 1 for curve in seen.curves) if inputs == 1
             else len(sizes) == 1 and seen.levels and len({*map(len, seen.levels)}) == 1
             and (seen.classes or len(seen.span) == 2))
    )  # fmt: skip
    if not is_complete:
        raise DamagedRecord("its surface is cut off")
    return seen


def _ends(seen: Surface, at: int) -> tuple[float, float]:
    return seen.low[at], seen.high[at]


def _upward(run: Snapshot, seen: Surface) -> tuple[float, float]:
    """Return the range of the y axis: of the second input, or of what is predicted."""
    if len(seen.low) == 2:
        return _ends(seen, 1)
    if run.problem.kind != "regression":
        return 0.0, 1.0
    numbers = [*filter(math.isfinite, (*seen.targets, *seen.curves[0]))] or [0.0]
    low, high = min(numbers), max(numbers)
    margin = (high - low) / 20 or 1.0
    return low - margin, high + margin


def _heading(run: Snapshot, seen: Surface, width: int) -> Line:
    spans = [Span(f" epoch {words.count(seen.epoch)}", "muted")]
    if run.problem.kind == "regression":
        what = f"{_POINT} samples" if len(seen.low) == 1 else (
            f"denser: more · samples: {ABOVE} above, {BELOW} below"
        )  # fmt: skip
        return fitted(whole([*spans, Span(f" · {what}", "validation")], width), width)
    names = _names(run, seen)
    spans += [
        Span(f" · {sign_of(at, len(names))} {safe(name, limit=16)}", role_of(at))
        for at, name in enumerate(names[:_NAMED])
    ]
    spans += [Span(f" · {wrong_in_words(len(names))}", "bad")] if len(seen.low) == 2 else []
    return fitted(whole(spans, width), width)


def _curves(seen: Surface, plane: Plane, *, is_number: bool) -> Grid:
    """Return the predicted number over one input, or the probabilities, with the samples."""
    samples = _samples(seen, plane, is_number=is_number)
    low, high = plane.x
    curves: Grid = {}
    signs: Grid = {}
    for at, curve in enumerate(seen.curves):
        xs = (low + (high - low) * index / (len(curve) - 1) for index in range(len(curve)))
        points = [*zip(xs, curve, strict=True)]
        if len(seen.curves) == 1:
            return samples | plane.curve(points, "smooth" if is_number else role_of(1))
        curves |= plane.curve(points, role_of(at))
        sign = Span(sign_of(at, len(seen.curves)), role_of(at))
        signs |= dict.fromkeys(_places_of_signs(plane, points, at / len(seen.curves)), sign)
    return curves | signs | samples


def _samples(seen: Surface, plane: Plane, *, is_number: bool) -> Grid:
    """Return the samples at their number or, where there is one curve, at their class."""
    has_height = len(seen.curves) == 1
    grid: Grid = {}
    for (x, *_), target in zip(seen.inputs, seen.targets, strict=True):
        cell = plane.cell(x, target if has_height else 0.0)
        if cell is not None and is_number:
            grid[cell] = Span(_POINT, "validation")
        elif cell is not None:
            at = int(target)
            grid[cell] = Span(sign_of(at, 2 if has_height else len(seen.curves)), role_of(at))
    return grid


def _places_of_signs(
    plane: Plane, points: Sequence[tuple[float, float]], offset: float
) -> Iterator[tuple[int, int]]:
    """Yield the cells for the signs of a curve: its highest one, and others that are far apart.

    The lowest row is left to the samples. `offset` is a share of the distance, for each curve its
    own.
    """
    cells = list(filter(None, (plane.cell(*point) for point in points)))
    highest = max(cells, key=lambda cell: cell[1], default=(0, 0))
    marked = {round((number + offset) * _SIGNS_APART) for number in range(plane.columns)}
    for column, row in (dict(cells) | {highest[0]: highest[1]}).items():
        if row and (column in marked or (column, row) == highest):
            yield column, row
