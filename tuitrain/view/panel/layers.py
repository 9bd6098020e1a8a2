"""The layers of a model: how far a step moved each, its gradient, and its dead units."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from tuitrain.core.decode import decoded
from tuitrain.core.detail import LAYERS, Layer, Layers
from tuitrain.core.safe import safe
from tuitrain.view.panel.reads import Reads, no_batch
from tuitrain.view.picture import Line, Picture, Role, Span, filled, fitted, prose
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text import words
from tuitrain.view.text.cells import cut, padded, to_the_right, width_of

_LEAST, _USUAL, _GREATEST = -6.0, -3.0, 0.0
"""The ends of the axis of log10(update / weight), and the place of most healthy layers."""
_FAR = 2.0
"""Decades from there that are worth a colour."""
_MOST_DEAD = 0.5
_LOG_CELLS, _GRADIENT_CELLS, _DEAD_CELLS = 6, 10, 12
_LEAST_PLOT, _MOST_PLOT = 9, 49
_LEAST_NAME, _MOST_NAME = 8, 32
_WORDY, _ROOMY = 44, 64
"""Cells from which the heading says which layers are shown, and from which there are gradients."""


class _Columns(NamedTuple):
    """Cells of the columns that depend on the width; without room one has none."""

    name: int
    plot: int
    gradient: int

    @classmethod
    def of(cls, names: Iterable[str], width: int) -> _Columns:
        gradient = _GRADIENT_CELLS if width >= _ROOMY else 0
        room = width - 3 - _LOG_CELLS - gradient - _DEAD_CELLS
        longest = max(map(width_of, names))
        name = max(_LEAST_NAME, min(longest, _MOST_NAME, room - _LEAST_PLOT))
        return cls(name, min(_MOST_PLOT, room - name - 1) // 2 * 2 + 1, gradient)


def layers(run: Snapshot, reads: Reads, width: int, height: int) -> Picture:
    """Return a row for each layer, or for the ones that are worst off, in width x height cells."""
    newest = reads.details.newest_detail(run.take, run.step, LAYERS)
    if newest is None:
        return filled(prose(_missing(run), width), width, height)
    step, measured = newest[0], decoded(Layers, newest[1]).layers
    shown = _worst(measured, max(1, height - 1))
    left = f"step {words.count(step)}"
    if len(shown) < len(measured):
        left = f"{len(shown)} worst of {len(measured)}"
        left = left if width >= _WORDY else f"{len(shown)} of {len(measured)}"
    columns = _Columns.of([left, *(safe(layer.name) for layer in shown)], width)
    if columns.plot < _LEAST_PLOT:
        text = "layers need more room: enter shows a panel alone"
        return filled(prose(text, width), width, height)
    heading = _heading(left, columns, width)
    return filled([heading, *(_row(layer, columns, width) for layer in shown)], width, height)


def _missing(run: Snapshot) -> str:
    if run.is_watched:
        return "of a watched script layers are not measured"
    if run.latest is None:
        return no_batch(run)
    return "layers are not in the record"


def _worst(measured: Sequence[Layer], count: int) -> Sequence[Layer]:
    """Return so many layers in their order: those with most dead units, or far from usual."""
    ranked = sorted(measured, key=lambda layer: (-(layer.dead or 0.0), -_distance(layer)))
    kept = {id(layer) for layer in ranked[:count]}
    return [layer for layer in measured if id(layer) in kept]


def _place(layer: Layer) -> float:
    """Return log10(update / weight): -inf if it did not move, NaN if that was not measured."""
    ratio = layer.update_ratio
    if ratio is None or math.isnan(ratio):
        return math.nan
    return math.log10(ratio) if ratio > 0 else -math.inf


def _distance(layer: Layer) -> float:
    place = _place(layer)
    return 0.0 if math.isnan(place) else abs(place - _USUAL)


def _heading(left: str, columns: _Columns, width: int) -> Line:
    ends = [f"{end:.0f}" for end in (_LEAST, _USUAL, _GREATEST)]
    half = columns.plot // 2
    axis = padded(ends[0], half - 1) + padded(ends[1], half + 1) + ends[2]
    texts = [f" {padded(cut(left, columns.name), columns.name)} {axis}"]
    texts.append(to_the_right("log10", _LOG_CELLS))
    texts += [to_the_right("gradient", columns.gradient)] if columns.gradient else []
    texts.append(to_the_right("dead units", _DEAD_CELLS))
    return fitted([Span("".join(texts), "muted")], width)


def _row(layer: Layer, columns: _Columns, width: int) -> Line:
    place = _place(layer)
    role: Role = "warn" if _distance(layer) >= _FAR else "text"
    name = padded(cut(safe(layer.name), columns.name), columns.name)
    spans = [Span(f" {name} "), *_plot(place, columns.plot)]
    spans.append(Span(to_the_right(_log(place), _LOG_CELLS), role))
    if columns.gradient:
        spans.append(Span(to_the_right(words.value(layer.gradient_norm), columns.gradient)))
    return fitted([*spans, _dead(layer)], width)


def _plot(place: float, cells: int) -> Iterator[Span]:
    """Yield a line at the usual place, and a dot where the layer is; an arrow beyond the axis."""
    signs = [Span(" ")] * cells
    signs[cells // 2] = Span("┊", "axis")
    if not math.isnan(place):
        share = (place - _LEAST) / (_GREATEST - _LEAST)
        at = round(min(1.0, max(0.0, share)) * (cells - 1))
        sign = "◂" if share < 0 else "▸" if share > 1 else "●"
        signs[at] = Span(sign, "smooth" if abs(place - _USUAL) < _FAR else "warn")
    yield from signs


def _log(place: float) -> str:
    if math.isnan(place):
        return "–"
    return f"{place:.1f}".replace("inf", "∞")


def _dead(layer: Layer) -> Span:
    if layer.dead is None:
        return Span(to_the_right("–", _DEAD_CELLS), "muted")
    text = f"{layer.dead:.0%} of {layer.units}"
    return Span(to_the_right(text, _DEAD_CELLS), "bad" if layer.dead >= _MOST_DEAD else "text")
