"""Combine dots into cells: a braille character of Unicode has 2 x 4 dots."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
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
    for x, bottom, top in _uprights(dots):
        for row, bits in upright(x, bottom, top):
            cells[x // ACROSS, row] |= bits
    return cells


def dashed(dots: Sequence[tuple[int, int]]) -> Cells:
    """Return the cells of such a line with a gap in every third column, where it is that long."""
    cells = line(dots)
    with_gaps = {place: bits for place, bits in cells.items() if place[0] % 3 != 2}
    return with_gaps or cells


def _uprights(dots: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    """Yield (column, bottom, top) for the dots of a line, all of a steep part of it at once."""
    for (x, y), (to_x, to_y) in pairwise(dots):
        run, rise = to_x - x, to_y - y
        if abs(run) > 1 or not rise:
            steps = max(abs(run), abs(rise), 1)
            for at in range(steps):
                between = y + round(at / steps * rise)
                yield x + round(at / steps * run), between, between
            continue
        last = to_y - (1 if rise > 0 else -1)  # the end is the next part's
        turn = y + int(rise / 2) if run else last
        turn = min(turn, last) if rise > 0 else max(turn, last)
        yield x, min(y, turn), max(y, turn)
        if turn != last:
            after = turn + (1 if rise > 0 else -1)
            yield to_x, min(after, last), max(after, last)
    for x, y in dots[-1:]:
        yield x, y, y
