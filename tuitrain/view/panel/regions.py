"""The plane of two inputs: the region of each class, or the level of a number, with samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tuitrain.core.detail import Surface
from tuitrain.view.chart.braille import ACROSS, UP, Cells, character, upright
from tuitrain.view.panel.plane import Grid, Plane
from tuitrain.view.picture import SERIES, Role, Span

_FILLS = " ░▒▓"
"""The fills of classes, which take turns; of numbers, from the least to the greatest."""
_UNSURE, _SURE = "·", 0.9 * 255
"""The fill where the predicted class is less likely than that."""
_TWO, _MANY = "○●", "0123456789abcdefghijklmnopqrstuvwxyz"
_TWO_WRONG, _MANY_WRONG = "◇◆", "⓪①②③④⑤⑥⑦⑧⑨ⓐⓑⓒⓓⓔⓕⓖⓗⓘⓙⓚⓛⓜⓝⓞⓟⓠⓡⓢⓣⓤⓥⓦⓧⓨⓩ"
ABOVE, BELOW = "▲", "▼"

_Rows = Sequence[bytes]


def sign_of(at: int, classes: int, *, is_wrong: bool = False) -> str:
    """Return the sign of a class's samples, or of those that are taken for another class."""
    two, many = (_TWO_WRONG, _MANY_WRONG) if is_wrong else (_TWO, _MANY)
    signs = two if classes <= len(two) else many
    return signs[at % len(signs)]


def wrong_in_words(classes: int) -> str:
    """Return how a sample that is taken for another class looks."""
    return f"{' '.join(_TWO_WRONG)} wrong" if classes <= len(_TWO) else "ringed: wrong"


def role_of(at: int) -> Role:
    """Return the role of a class, which also differs by its sign."""
    return SERIES[at % len(SERIES)]


def regions(seen: Surface, plane: Plane, *, classes: int) -> Grid:
    """Return what is predicted in each cell, the borders between classes, and the samples.

    `classes` is their number, which decides on the signs of the samples.
    """
    levels = _read(seen.levels)
    if not seen.classes:
        fills = {
            cell: Span(_FILLS[level * len(_FILLS) // 256], "envelope")
            for cell, level in _by_cell(plane, levels)
        }
        return fills | _residuals(seen, plane)
    predicted = _read(seen.classes)
    sure = dict(_by_cell(plane, levels))
    fills = {
        cell: Span(_FILLS[at % len(_FILLS)] if sure[cell] >= _SURE else _UNSURE, role_of(at))
        for cell, at in _by_cell(plane, predicted)
    }
    borders = {
        cell: Span(character(bits), "strong") for cell, bits in _borders(plane, predicted).items()
    }
    return fills | borders | _samples(seen, plane, classes)


def _read(rows: Sequence[str]) -> _Rows:
    return [bytes.fromhex(row) for row in rows]


def _nearest(dots: int, values: int) -> list[int]:
    """Return the index of the value that is nearest to each dot of an axis."""
    return [round(dot / max(1, dots - 1) * (values - 1)) for dot in range(dots)]


def _by_cell(plane: Plane, rows: _Rows) -> Iterator[tuple[tuple[int, int], int]]:
    """Yield each cell with the value at its middle."""
    across = _nearest(ACROSS * plane.columns, len(rows[0]))[1::ACROSS]
    up = _nearest(UP * plane.rows, len(rows))[2::UP]
    for row, y in enumerate(up):
        for column, x in enumerate(across):
            yield (column, row), rows[y][x]


def _borders(plane: Plane, classes: _Rows) -> Cells:
    """Return the dots whose class differs from that of the dot to the right of it or above it."""
    across = _nearest(ACROSS * plane.columns, len(classes[0]))
    lines = [bytes(classes[y][x] for x in across) for y in _nearest(UP * plane.rows, len(classes))]
    cells: Cells = {}
    for y, (line, above) in enumerate(zip(lines, [*lines[1:], lines[-1]], strict=True)):
        if line == above and line.count(line[0]) == len(line):
            continue
        to_the_right = line[1:] + line[-1:]
        for x, kinds in enumerate(zip(line, to_the_right, above, strict=True)):
            if len({*kinds}) > 1:
                ((row, bits),) = upright(x, y, y)
                cells[x // ACROSS, row] = cells.get((x // ACROSS, row), 0) | bits
    return cells


def _samples(seen: Surface, plane: Plane, classes: int) -> Grid:
    """Return the samples with the signs of their classes, wrong ones over the others."""
    grid: Grid = {}
    wrong: Grid = {}
    for (x, y), target, predicted in zip(seen.inputs, seen.targets, seen.predicted, strict=True):
        cell, at = plane.cell(x, y), int(target)
        if cell is not None:
            is_right = target == predicted
            (grid if is_right else wrong)[cell] = Span(
                sign_of(at, classes, is_wrong=not is_right), role_of(at) if is_right else "bad"
            )
    return grid | wrong


def _residuals(seen: Surface, plane: Plane) -> Grid:
    grid: Grid = {}
    for (x, y), target, predicted in zip(seen.inputs, seen.targets, seen.predicted, strict=True):
        cell = plane.cell(x, y)
        if cell is not None:
            grid[cell] = Span(ABOVE if target > predicted else BELOW, "validation")
    return grid
