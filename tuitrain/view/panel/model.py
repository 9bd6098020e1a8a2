"""The mistakes of a classifier: its confusion matrix, and the results of each class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tuitrain.core.decode import decoded
from tuitrain.core.detail import CONFUSION, LABELS, SCORES, Confusion, Labels, Scores
from tuitrain.core.safe import safe
from tuitrain.store.schema import key_of
from tuitrain.view.panel.bars import bars
from tuitrain.view.panel.reads import Details, Reads, not_recorded
from tuitrain.view.picture import Line, Picture, Role, Span, filled, fitted, prose
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text import words
from tuitrain.view.text.cells import cut, first_fitting, padded, to_the_right, width_of

_MOST_NUMBERS = 12
"""Classes up to which the matrix has numbers."""
_LONGEST_NAME, _SHORTEST_NAME, _SHORTEST_COLUMN, _LONGEST_COLUMN = 16, 3, 3, 9
_SHADES = "·░▒▓█"
_HEAD = "  samples  recall  precision      F1"
_SCORES_HEAD = "0  P(right class)  1"
_MOST_ROWS = 4
"""Rows of a class's histogram."""


class Matrix(NamedTuple):
    """The confusion matrix of an epoch, with the names of its classes."""

    epoch: int
    counts: Sequence[Sequence[int]]
    names: Sequence[str]

    @property
    def samples(self) -> int:
        return sum(map(sum, self.counts))

    def confused(self) -> list[tuple[int, int, int]]:
        """Return (samples, true class, predicted class) of the wrong predictions, most first."""
        return sorted(
            (
                (count, true, predicted)
                for true, row in enumerate(self.counts)
                for predicted, count in enumerate(row)
                if count and true != predicted
            ),
            key=lambda pair: -pair[0],
        )


def confusion(run: Snapshot, reads: Reads, width: int, height: int) -> Picture:
    """Return the matrix of the last epoch, true classes down and predicted ones across."""
    matrix = _matrix(run, reads.details)
    if matrix is None:
        return filled(prose(not_recorded(run, "confusion matrix"), width), width, height)
    epoch, samples = words.count(matrix.epoch), words.count(matrix.samples)
    headings = [
        f"epoch {epoch}{what} · down: true, across: predicted"
        for what in (f" · {samples} validation samples", f" · {samples} samples", "")
    ]
    lines = [*prose(first_fitting(headings, width - 1), width)]
    size = len(matrix.counts)
    if size > _MOST_NUMBERS and _name_cells(matrix) + 2 + size <= width and size <= height - 4:
        lines += _heat_map(matrix, width)
    elif size <= _MOST_NUMBERS and _column_cells(matrix, width) and size < height:
        lines = [*lines[: height - size - 1], *_numbers(matrix, width)]
    else:
        text = f"{size} x {size} classes need more room"
        lines += prose(text, width)
        return filled([*lines, *_worst(matrix, width, height - len(lines))], width, height)
    lines.append(fitted([], width))
    lines += _worst(matrix, width, height - len(lines))
    return filled(lines, width, height)


def classes(run: Snapshot, reads: Reads, width: int, height: int) -> Picture:
    """Return recall, precision, F1 and scores of each class of the last epoch, lowest F1 first."""
    matrix = _matrix(run, reads.details)
    results = list(_results(matrix) if matrix else _label_results(run, reads.details))
    if not results:
        return filled([], width, height)
    scores = _scores(run, reads.details, matrix) if matrix else ()
    room = width - 1 - len(_HEAD)
    if scores and room - 2 - len(_SCORES_HEAD) < _SHORTEST_NAME:
        scores = ()
    room -= 2 + len(_SCORES_HEAD) if scores else 0
    cells = max(_SHORTEST_NAME, min(_cells_for([result.name for result in results]), room))
    rows = max(1, min(_MOST_ROWS, (height - 1) // len(results))) if scores else 1
    head = f" {'':<{cells}}{_HEAD}  {_SCORES_HEAD if scores else ''}".rstrip()
    lines = [fitted([Span(head, "muted")], width)]
    for result in sorted(results, key=lambda result: result.f1):
        counts = scores[result.at] if scores else ()
        lines += _result_lines(result, bars(counts, max(counts, default=0), rows), cells, width)
    return filled(lines, width, height)


def _scores(run: Snapshot, details: Details, matrix: Matrix) -> Sequence[Sequence[int]]:
    """Return the histogram of each class; nothing where the record has none."""
    last = run.last_epoch
    body = details.detail(key_of(last.take, last.step), SCORES) if last else None
    counts = decoded(Scores, body).counts if body else ()
    return counts if len(counts) == len(matrix.counts) else ()


def _matrix(run: Snapshot, details: Details) -> Matrix | None:
    last = run.last_epoch
    body = details.detail(key_of(last.take, last.step), CONFUSION) if last else None
    if last is None or body is None:
        return None
    counts = decoded(Confusion, body).counts
    return Matrix(last.epoch, counts, _names(run, len(counts))) if counts else None


def _names(run: Snapshot, count: int) -> list[str]:
    """Return the names of the classes, or their numbers where the record has not so many."""
    names = [safe(name) for name in run.problem.classes]
    return names if len(names) == count else [str(number) for number in range(count)]


def _name_cells(matrix: Matrix) -> int:
    return _cells_for(matrix.names)


def _cells_for(names: Sequence[str]) -> int:
    return min(_LONGEST_NAME, max(map(width_of, names)))


def _numbers(matrix: Matrix, width: int) -> Iterator[Line]:
    cells, column = _name_cells(matrix), _column_cells(matrix, width)
    head = "".join(" " + to_the_right(cut(name, column), column) for name in matrix.names)
    yield fitted([Span(" " + " " * cells + head, "muted")], width)
    for true, (name, row) in enumerate(zip(matrix.names, matrix.counts, strict=True)):
        spans = [Span(" " + to_the_right(cut(name, cells), cells), "muted")]
        for predicted, count in enumerate(row):
            text = words.count(count) if count else "·"
            role = _role(count, sum(row), is_right=true == predicted)
            spans.append(Span(" " + to_the_right(text, column), role))
        yield fitted(spans, width)


def _column_cells(matrix: Matrix, width: int) -> int:
    """Return the cells of a column of numbers; 0 where there is no room for the numbers."""
    number_cells = max(len(words.count(count)) for row in matrix.counts for count in row)
    longest = max(number_cells, *map(width_of, matrix.names))
    room = (width - _name_cells(matrix) - 1) // len(matrix.counts) - 1
    usual = max(_SHORTEST_COLUMN, min(longest, _LONGEST_COLUMN))
    return min(room, max(number_cells, usual)) if room >= number_cells else 0


def _role(count: int, of: int, *, is_right: bool) -> Role:
    """Return the role of a count; a tenth of a true class on a wrong one is much."""
    if not count:
        return "muted"
    if is_right:
        return "good"
    return "bad" if 10 * count >= of else "warn"


def _heat_map(matrix: Matrix, width: int) -> Iterator[Line]:
    """Yield a cell for each pair of classes, shaded by its share of the true class."""
    cells = _name_cells(matrix)
    for true, (name, row) in enumerate(zip(matrix.names, matrix.counts, strict=True)):
        of = sum(row)
        spans = [Span(" " + to_the_right(cut(name, cells), cells) + " ", "muted")]
        for predicted, count in enumerate(row):
            role = _role(count, of, is_right=true == predicted)
            spans.append(Span(_shade(count, of), role))
        yield fitted(spans, width)


def _shade(count: int, of: int) -> str:
    return _SHADES[-(-4 * count // of)] if count else _SHADES[0]


def _worst(matrix: Matrix, width: int, rows: int) -> Iterator[Line]:
    """Yield the pairs of classes that are confused most."""
    confused = matrix.confused()
    if not confused:
        yield fitted([Span(" every sample is right", "good")], width)
    cells = _name_cells(matrix)
    for count, true, predicted in confused[: max(0, rows)]:
        share = count / sum(matrix.counts[true])
        names = [cut(matrix.names[at], cells) for at in (true, predicted)]
        yield fitted(
            [
                Span(f" {padded(names[0], cells)}", "strong"),
                Span(" taken for ", "muted"),
                Span(padded(names[1], cells), "strong"),
                Span(f"  {words.count(count)} of {words.count(sum(matrix.counts[true]))}"),
                Span(f"  {share:.0%}", "bad" if share >= 0.1 else "warn"),
            ],
            width,
        )


class _Result(NamedTuple):
    at: int
    """The class's index."""
    name: str
    samples: int
    recall: float | None
    precision: float | None
    f1: float


def _results(matrix: Matrix) -> Iterator[_Result]:
    predictions = [sum(column) for column in zip(*matrix.counts, strict=True)]
    for at, (name, row) in enumerate(zip(matrix.names, matrix.counts, strict=True)):
        yield _result(at, name, (row[at], sum(row), predictions[at]))


def _label_results(run: Snapshot, details: Details) -> Iterator[_Result]:
    """Yield the results of each label of the last epoch; nothing where the record has none."""
    last = run.last_epoch
    body = details.detail(key_of(last.take, last.step), LABELS) if last else None
    counts = decoded(Labels, body).counts if body else ()
    for at, (name, label) in enumerate(zip(_names(run, len(counts)), counts, strict=True)):
        yield _result(at, name, label)


def _result(at: int, name: str, counts: Sequence[int]) -> _Result:
    """Return the results of a class by its samples that are right, true, and predicted."""
    right, true, predicted = counts
    return _Result(
        at,
        name,
        true,
        right / true if true else None,
        right / predicted if predicted else None,
        2 * right / (true + predicted) if true + predicted else 0.0,
    )


def _result_lines(
    result: _Result, histogram: Sequence[str], cells: int, width: int
) -> Iterator[Line]:
    """Yield the upper rows of the histogram, and the line of numbers with its lowest row."""
    *upper, lowest = histogram
    before = " " * (1 + cells + len(_HEAD) + 2)
    for row in upper:
        yield fitted([Span(before), Span(row, "bar")], width)
    recall, precision = (
        "–" if value is None else f"{value:.3f}" for value in (result.recall, result.precision)
    )
    never = "  never predicted" if result.precision is None else ""
    room = width - width_of(before + lowest) + (0 if lowest else 2)
    numbers = f"  {words.count(result.samples):>7}  {recall:>6}  {precision:>9}  {result.f1:>6.3f}"
    yield fitted(
        [
            Span(f" {padded(cut(result.name, cells), cells)}", "strong"),
            Span(numbers),
            Span(f"  {lowest}" if lowest else "", "bar"),
            Span(never if width_of(never) <= room else "", "bad"),
        ],
        width,
    )
