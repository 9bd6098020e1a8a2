"""A table of spans, split into blocks of columns if it is too wide."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

from tuitrain.view.picture import Line, Picture, Span, fitted
from tuitrain.view.text.cells import cut, padded, width_of, wrapped

NO_BREAK = "\u00a0"
_GAP = 2
_LEAST, _MOST = 14, 40
"""Cells of a column."""
_BREAK = re.compile(r"(?<=[:=/_\u00a0])|(?<=,)(?!\d{3}\b)|(?<=[^e]-)")
"""Places at which a long word may end a line: not within 1,000 or 1e-05."""


class Row(NamedTuple):
    """The label of a row, and its cells."""

    label: str
    cells: tuple[Span, ...]


def table(heads: Sequence[Span], rows: Sequence[Row], width: int) -> Picture:
    """Return the table in lines of `width` cells; columns that do not fit go to the next block.

    Heads are cut if they are too long. Cells are wrapped between words; words that a NO_BREAK joins
    stay together.
    """
    label_cells = max((width_of(row.label) for row in rows), default=0) + _GAP
    room = max(1, (width - label_cells) // (_LEAST + _GAP))
    lines: list[Line] = []
    for first in range(0, len(heads), room):
        part = slice(first, first + room)
        block = [
            Row("", tuple(heads[part])),
            *(row._replace(cells=row.cells[part]) for row in rows),
        ]
        if lines:
            lines.append(fitted([], width))
        lines += _block(block, label_cells, width)
    return tuple(lines)


def _block(rows: Sequence[Row], label_cells: int, width: int) -> list[Line]:
    room = width - label_cells
    least = max(1, min(_LEAST, room))
    most = min(_MOST, max(least, room // len(rows[0].cells) - _GAP))
    heads, *body = rows
    texts_by_row = [[[cut(span.text, most)] for span in heads.cells]]
    texts_by_row += [[_wrapped(span, most) for span in row.cells] for row in body]
    cells = [
        max(width_of(text) for texts in column for text in texts)
        for column in zip(*texts_by_row, strict=True)
    ]
    return [
        line
        for row, texts in zip(rows, texts_by_row, strict=True)
        for line in _lines(row, texts, label_cells, cells, width)
    ]


def _wrapped(span: Span, cells: int) -> list[str]:
    """Return the text in lines; a word that fits in none breaks beside its numbers, not in them."""
    lines = [""]
    for word in span.text.split(" "):
        gap = " " if lines[-1] else ""
        for part in [word] if width_of(word) <= cells else _BREAK.split(word):
            if width_of(lines[-1] + gap + part) <= cells:
                lines[-1] += gap + part
            else:
                lines += wrapped(part, cells)
            gap = ""
    return [line.replace(NO_BREAK, " ") for line in lines if line] or [""]


def _lines(
    row: Row, columns: Sequence[Sequence[str]], label_cells: int, cells: Sequence[int], width: int
) -> Iterator[Line]:
    for number, texts in enumerate(zip_longest(*columns, fillvalue="")):
        label = row.label if number == 0 else ""
        spans = [Span(padded(label, label_cells), "muted")]
        for text, span, room in zip(texts, row.cells, cells, strict=True):
            spans += [Span(padded(text, room), span.role), Span(" " * _GAP)]
        yield fitted(spans[:-1], width)
