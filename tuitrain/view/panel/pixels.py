"""A grey picture in cells, each of which shows two pixels, one above the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tuitrain.view.picture import Image, Line, Part, Span

_HALF = "▀"
_LARGE = 16
"""Pixels up to which a small picture is enlarged."""
_LEAST = 8
"""Pixels on each side of a picture that may be shrunk."""


class Pixels(NamedTuple):
    """Rows of brightnesses from 0 to 15."""

    rows: Sequence[Sequence[int]]
    digits: str
    width: int
    """The picture as it was recorded, for terminals that show it whole in the same cells."""

    @classmethod
    def read(cls, digits: str, width: int) -> Pixels:
        """Return the picture of a record: rows of `width` hexadecimal digits."""
        rows = [digits[start : start + width] for start in range(0, len(digits), width)]
        return cls(
            [[int(digit, 16) for digit in row.ljust(width, "0")] for row in rows], digits, width
        )

    @property
    def size(self) -> tuple[int, int]:
        """The cells that it needs across and down."""
        return (len(self.rows[0]) if self.rows else 0), -(-len(self.rows) // 2)

    def resized(self, rows: int) -> Pixels:
        """Return it enlarged if it is small, or shrunk by halves until it fits so many rows.

        One that would be too small to be recognised is left higher.
        """
        larger = max(1, _LARGE // max(1, *map(len, (self.rows, self.rows[0]))))
        picture = self._replace(
            rows=[
                [pixel for pixel in row for _ in range(larger)]
                for row in self.rows
                for _ in range(larger)
            ]
        )
        while picture.size[1] > rows and min(map(len, (picture.rows, picture.rows[0]))) >= _LEAST:
            picture = picture._halved()
        return picture

    def _halved(self) -> Pixels:
        pairs = zip(self.rows[::2], self.rows[1::2], strict=False)
        return self._replace(rows=[
            [sum(square) // 4 for square in zip(one[::2], one[1::2], two[::2], two[1::2],
                                                strict=False)]
            for one, two in pairs
        ])  # fmt: skip

    def lines(self) -> list[Line]:
        """Return the rows of cells."""
        rows = [*self.rows, [0] * len(self.rows[0])] if len(self.rows) % 2 else self.rows
        image = Image(self.digits, self.width, *self.size)
        return [
            tuple(Span(_HALF, Part(f"{upper:x}{lower:x}", image, column, row))
                  for column, (upper, lower) in enumerate(zip(above, below, strict=True)))
            for row, (above, below) in enumerate(zip(rows[::2], rows[1::2], strict=True))
        ]  # fmt: skip
