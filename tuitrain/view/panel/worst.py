"""The validation samples that the model gets most wrong, with their pictures if they are small."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from tuitrain.core.decode import decoded
from tuitrain.core.detail import WORST, WorstSample, WorstSamples
from tuitrain.core.safe import safe
from tuitrain.view.panel.pixels import Pixels
from tuitrain.view.panel.reads import Reads
from tuitrain.view.picture import Line, Picture, Role, Span, filled, fitted, prose
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text import words
from tuitrain.view.text.cells import cut, padded, width_of

_GAP, _WORDS = 2, 2
"""Cells between pictures, and lines of words under them."""
_LEAST_TILE = 20
"""Cells for the words under a picture."""


def worst(run: Snapshot, reads: Reads, width: int, height: int) -> Picture:
    """Return the samples that fit, the worst first, in width x height cells."""
    last = run.last_epoch
    newest = reads.details.newest_detail(last.take, last.step, WORST) if last else None
    if newest is None:
        return filled(prose(_missing(run), width), width, height)
    seen = decoded(WorstSamples, newest[1])
    if not seen.samples:
        text = f"epoch {words.count(seen.epoch)}: no validation sample is wrong"
        return filled(prose(text, width, "good"), width, height)
    what = "largest errors" if run.problem.kind == "regression" else "most confidently wrong"
    lines = [*prose(f"epoch {words.count(seen.epoch)} · {what} first", width)]
    heading = len(lines)
    if all(sample.pixels and sample.width for sample in seen.samples):
        lines += _gallery(run, seen.samples, width, height - len(lines))
    if len(lines) == heading:
        lines += _lines(run, seen.samples, width)
    return filled(lines, width, height)


def _missing(run: Snapshot) -> str:
    if run.last_epoch is None:
        return "no epoch is validated yet"
    if run.is_watched:
        return "of a watched script no validation samples are recorded"
    return "no validation samples are in the record"


def _lines(run: Snapshot, samples: Sequence[WorstSample], width: int) -> Iterator[Line]:
    """Yield a line for each sample, with what it is and what the model says below each other."""
    said = [_words(run, sample) for sample in samples]
    cells = max((width_of(true) for true, _ in said), default=0)
    for sample, (true, other) in zip(samples, said, strict=True):
        number = Span(f"{f' sample {words.count(sample.number)}':<14}", "muted")
        yield fitted([number, Span(f"{padded(true, cells)}  "), Span(other, "bad")], width)


def _words(run: Snapshot, sample: WorstSample) -> tuple[str, str]:
    """Return what a sample is, and what the model says."""
    if run.problem.kind == "regression":
        said = f"predicted {words.number(sample.predicted)}, off by {words.number(sample.score)}"
        return f"is {words.number(sample.true)}", said
    true, predicted = (_class(run, int(number)) for number in (sample.true, sample.predicted))
    return f"is {true}", f"says {predicted} ({sample.score:.0%})"


def _class(run: Snapshot, index: int) -> str:
    classes = run.problem.classes
    return safe(classes[index], limit=20) if 0 <= index < len(classes) else str(index)


def _gallery(
    run: Snapshot, samples: Sequence[WorstSample], width: int, height: int
) -> Iterator[Line]:
    """Yield rows of pictures with words under them, and samples without room for theirs as lines.

    Nothing if not one picture fits.
    """
    pictures = [
        Pixels.read(sample.pixels, sample.width).resized(height - _WORDS) for sample in samples
    ]
    tile = max(_LEAST_TILE, *(picture.size[0] for picture in pictures)) + _GAP
    rows = max(picture.size[1] for picture in pictures)
    across = (width - 1) // tile
    down = (height + 1) // (rows + _WORDS + 1)
    shown = min(len(samples), across * down)
    for first in range(0, shown, max(1, across)):
        row = slice(first, min(first + across, shown))
        yield from _tiles(run, samples[row], pictures[row], (tile, rows), width)
    if shown:
        yield from _lines(run, samples[shown:], width)


def _tiles(
    run: Snapshot, samples: Sequence[WorstSample], pictures: Sequence[Pixels],
    size: tuple[int, int], width: int,
) -> Iterator[Line]:  # fmt: skip
    tile, rows = size
    cells = [picture.lines() for picture in pictures]
    for row in range(rows):
        parts = [fitted(lines[row] if row < len(lines) else (), tile) for lines in cells]
        yield fitted([Span(" "), *chain.from_iterable(parts)], width)
    said = [_words(run, sample) for sample in samples]
    roles: tuple[Role, ...] = ("text", "bad")
    for part, role in enumerate(roles):
        texts = (padded(cut(pair[part], tile - _GAP), tile) for pair in said)
        yield fitted([Span(" "), *(Span(text, role) for text in texts)], width)
    yield fitted([], width)
