"""Combine dots into cells: a braille character of Unicode has 2 x 4 dots."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

ACROSS, UP = 2, 4
"""Dots of a cell."""

Cells = dict[tuple[int, int], int]
"""The bits of the dots of each cell (column, row), counted from the lower left."""

_LOWEST = ((0, 0x40, 0x44, 0x46, 0x47), (0, 0x80, 0xA0, 0xB0, 0xB8))
"""The bits of the lowest 0 to 4 dots, in the left and the right column of a cell."""


def character(bits: int) -> str:
    """Return the character with these dots."""
    return chr(0x2800 + bits)


def upright(column: int, bottom: int, top: int) -> Iterator[tuple[int, int]]:
    """Yield (row of cells, bits) for the dots bottom..top of a column of dots."""
    lowest = _LOWEST[column % ACROSS]
    for row in range(bottom // UP, top // UP + 1):
        low, high = max(0, bottom - UP * row), min(UP, top + 1 - UP * row)
        yield row, lowest[high] - lowest[low]


def line(dots: Sequence[tuple[int, int]]) -> Cells:
    """Return the cells of a line from dot to dot."""
    cells: Cells = defaultdict(int)
    for x, y in _interpolated(dots):
        for row, bits in upright(x, y, y):
            cells[x // ACROSS, row] |= bits
    return cells


def dashed(dots: Sequence[tuple[int, int]]) -> Cells:
    """Return the cells of such a line with a gap in every third column, where it is that long."""
    cells = line(dots)
    with_gaps = {place: bits for place, bits in cells.items() if place[0] % 3 != 2}
    return with_gaps or cells


def _interpolated(dots: Sequence[tuple[int, int]]) -> Iterable[tuple[int, int]]:
    for (x, y), (to_x, to_y) in pairwise(dots):
        steps = max(abs(to_x - x), abs(to_y - y), 1)
        for at in range(steps):
            yield x + round(at / steps * (to_x - x)), y + round(at / steps * (to_y - y))
    yield from dots[-1:]
