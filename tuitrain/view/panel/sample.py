"""One sample of a batch taken apart: its picture, and the model's words before and after a step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from tuitrain.core.decode import decoded
from tuitrain.core.detail import SAMPLE, Sample, WrongSamples
from tuitrain.core.errors import DamagedRecord
from tuitrain.core.safe import safe
from tuitrain.view.panel.pixels import Pixels
from tuitrain.view.panel.reads import Reads
from tuitrain.view.picture import Line, Picture, Span, filled, fitted, prose
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text import words
from tuitrain.view.text.cells import bar, cut, padded

_NAME_CELLS, _NUMBER_CELLS, _MOST_BAR, _LEAST_BAR = 10, 8, 30, 4
_LEAST_NUMBER = 7
_LEAST_TABLE = 1 + _NAME_CELLS + 4 * _LEAST_NUMBER
_GRADIENT_CELLS = 10
_LEAST_WITH_GRADIENT = 1 + _NAME_CELLS + 2 * (2 * _NUMBER_CELLS + 2 + _LEAST_BAR) + _GRADIENT_CELLS
"""Cells of a table that has room for bars, too."""


def applies(run: Snapshot) -> bool:
    """Return whether the run has samples of classes, and can repeat a batch."""
    return run.problem.kind == "multiclass" and not run.is_watched


def sample(run: Snapshot, reads: Reads, width: int, height: int) -> Picture:
    """Return one of the most wrong samples of the last batch that was trained alone."""
    newest = reads.details.newest_detail(run.take, run.step, SAMPLE)
    if newest is None:
        return filled(prose(_missing(run), width), width, height)
    step, samples = newest[0], decoded(WrongSamples, newest[1]).all
    at = reads.sample() % len(samples)
    seen = _checked(samples[at])
    heading = (
        f"sample {words.count(seen.number + 1)} of step {words.count(step)}, "
        f"{_rank(at, len(samples))}: class {_class(run, seen.true)}"
    )
    lines = [*prose(heading, width, "strong")]
    rows = height - len(lines)
    picture = Pixels.read(seen.pixels, seen.width).resized(rows) if seen.width else None
    if picture is not None and width - picture.size[0] - 2 < _LEAST_TABLE:
        picture = None
    cells = picture.size[0] + 2 if picture else 0
    beside = _table(run, seen, width - cells, rows)
    for part, row in zip_longest(picture.lines() if picture else (), beside, fillvalue=()):
        left = fitted([Span(" "), *part], cells) if picture else ()
        lines.append(fitted([*left, *row], width))
    return filled(lines, width, height)


def _rank(at: int, count: int) -> str:
    """Return how wrong a sample is among the most wrong ones, and the keys that show the others."""
    ordinal = {0: "", 1: "2nd ", 2: "3rd "}.get(at, f"{at + 1}th ")
    return f"its {ordinal}most wrong{' (← →)' if count > 1 else ''}"


def _missing(run: Snapshot) -> str:
    if run.has_ended:
        return "not in this record: it is measured where . trains one batch"
    what = "takes its most wrong sample apart (models up to 4 million weights)"
    return f". trains one batch and {what}"


def _checked(seen: Sample) -> Sample:
    known = {len(seen.before), len(seen.after), len(seen.gradient) or len(seen.before)}
    if len(known) > 1 or not len(seen.before) > seen.true >= 0:
        raise DamagedRecord("its sample is cut off")
    return seen


def _class(run: Snapshot, index: int) -> str:
    classes = run.problem.classes
    return safe(classes[index], limit=20) if index < len(classes) else str(index)


def _table(run: Snapshot, seen: Sample, width: int, rows: int) -> Iterator[Line]:
    """Yield logit and probability of the classes before and after the step, the likeliest first.

    Where there is room, also the gradient of the loss by the logit before it.
    """
    before, after = map(_softmax, (seen.before, seen.after))
    has_gradient = bool(seen.gradient) and width >= _LEAST_WITH_GRADIENT
    half = (width - _NAME_CELLS - 1 - has_gradient * _GRADIENT_CELLS) // 2
    room = _NUMBER_CELLS if half >= 2 * _NUMBER_CELLS else _LEAST_NUMBER
    cells = min(_MOST_BAR, half - 2 * room - 2)
    heads = [f"{'logit':>{room}}{when:>{room}}" for when in ("before", "after")]
    head = padded(heads[0], half) + padded(heads[1], half)
    head += f"{'gradient':>{_GRADIENT_CELLS}}" if has_gradient else ""
    yield fitted([Span(" " + " " * _NAME_CELLS + head, "muted")], width)
    order = sorted(range(len(before)), key=lambda at: -max(before[at], after[at]))
    shown = order[: rows - 1]
    if seen.true not in shown:
        shown[-1:] = [seen.true]
    for at in shown:
        is_true = at == seen.true
        name = padded(cut(f"{'▸' if is_true else ' '} {_class(run, at)}", _NAME_CELLS), _NAME_CELLS)
        spans = [Span(f" {name}", "good" if is_true else "text")]
        for logits, probabilities in ((seen.before, before), (seen.after, after)):
            numbers = f"{logits[at]:{room}.2f}{probabilities[at]:{room}.3f}"
            drawn = f" {bar(probabilities[at], cells)}" if cells >= _LEAST_BAR else ""
            spans += fitted([Span(numbers), Span(drawn, "good" if is_true else "bar")], half)
        if has_gradient:
            spans.append(Span(f"{seen.gradient[at]:+{_GRADIENT_CELLS}.3f}"))
        yield fitted(spans, width)


def _softmax(logits: Sequence[float]) -> list[float]:
    """Return the probabilities; NaN for each where a logit is not finite."""
    if not all(map(math.isfinite, logits)):
        return [math.nan] * len(logits)
    powers = [math.exp(logit - max(logits)) for logit in logits]
    return [power / sum(powers) for power in powers]
