"""A loss as a curve over one prediction, with the samples of the newest batch on it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from tuitrain.core.decode import decoded
from tuitrain.core.detail import BATCH, LOSS_CURVES, Batch, LossCurve, LossCurves
from tuitrain.core.errors import DamagedRecord
from tuitrain.core.safe import safe
from tuitrain.view.panel.plane import Grid, Plane
from tuitrain.view.panel.reads import Details, Reads, no_batch
from tuitrain.view.picture import Line, Picture, Span, filled, fitted, prose
from tuitrain.view.state.lesson import entry_of
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.state.training_loss import loss_at
from tuitrain.view.text import words
from tuitrain.view.text.cells import cut, first_fitting, padded, to_the_right, width_of, wrapped

_TOP_AT = {"log-odds": -6.0, "residual": 3.0}
"""The place whose loss is at the top: beyond it a curve may leave the chart."""
_ALMOST = 1.2
"""A curve that is nowhere so many times higher is shown whole: it levels off."""
_NEAR = {"log-odds": (-5.0, 0.0, 5.0), "residual": (0.5, 1.0, 3.0)}
"""The places whose values and slopes stand in the table."""
_AXIS_NAMES = {
    "log-odds": ("log-odds of the right class", "log-odds"),
    "residual": ("prediction − target, in standard deviations", "prediction − target"),
}
_LEAST_WIDTH, _LEAST_HEIGHT = 24, 5
_FEW, _ROOMY = 2, 24
"""Curves of losses that the run has not used, in charts of fewer rows than that."""
_TO_THE_EYE = 1e-3
_SAMPLE, _ABOVE = "●", "▲"
_NAME_CELLS = 18


class _Seen(NamedTuple):
    curves: LossCurves
    batch: Batch | None
    step: int


def curve(run: Snapshot, reads: Reads, width: int, height: int) -> Picture:
    """Return the loss in use over one prediction, the other losses behind it, and the samples."""
    return curve_of(run.loss, run, reads.details, width, height)


def curve_of(loss: str, run: Snapshot, details: Details, width: int, height: int) -> Picture:
    """Return a loss over one prediction, as if it were the one in use."""
    seen = _seen(run, details)
    own = seen.curves.curves.get(loss) if seen else None
    if seen is None or own is None or width < _LEAST_WIDTH or height < _LEAST_HEIGHT:
        return filled(prose(_missing(loss, run, seen), width), width, height)
    places, curves = seen.curves.places, seen.curves.curves
    top = _value_at(own, places, _TOP_AT[seen.curves.axis])
    top = top if math.isfinite(top) and top > 0 else 1.0
    highest = max(filter(math.isfinite, own.values), default=top)
    top = highest if top < highest < _ALMOST * top else top
    plane = Plane.of((places[0], places[-1]), (0.0, top), width, height - 1)
    ghosts = _ghosts(loss, run, curves, most=_FEW if height < _ROOMY else len(curves))
    grid: Grid = {}
    for ghost in ghosts.values():
        grid |= plane.curve(zip(places, ghost.values, strict=True), "past", is_dashed=True)
    grid |= plane.curve(zip(places, own.values, strict=True), "smooth")
    if seen.batch is not None:
        losses = seen.batch.losses
        if loss != run.loss:  # where they would lie
            losses = tuple(_value_at(own, places, place) for place in seen.batch.places)
        _put_samples(grid, zip(seen.batch.places, losses, strict=False), plane)
    for name, ghost in ghosts.items():
        _name(grid, safe(name), zip(places, ghost.values, strict=True), plane)
    chart = plane.framed(grid, _AXIS_NAMES[seen.curves.axis], width)
    return filled([_heading(loss, seen, width), *chart], width, height)


def lesson(run: Snapshot, reads: Reads, width: int, height: int) -> Picture:
    """Return what the loss in use is, and its values and slopes beside those of the others."""
    seen = _seen(run, reads.details)
    table = list(_table(run, seen.curves, width)) if seen else []
    text = list(_text(run, width))
    room = max(0, height - len(table) - 1)
    return filled([*table, *([fitted([], width)] if table else []), *text[:room]], width, height)


def _seen(run: Snapshot, details: Details) -> _Seen | None:
    """Return the newest curves, and the newest batch if it was trained with the loss in use."""
    newest = None
    for segment in reversed(run.segments):
        newest = newest or details.newest_detail(segment.take, segment.last, LOSS_CURVES)
    if newest is None:
        return None
    batch = details.newest_detail(run.take, run.step, BATCH)
    is_of_loss = batch is not None and loss_at(run, batch[0]) == run.loss
    try:
        curves = _checked(decoded(LossCurves, newest[1]))
        seen = decoded(Batch, batch[1]) if batch is not None and is_of_loss else None
    except DamagedRecord:
        return None
    return _Seen(curves, seen, batch[0] if batch else 0)


def _checked(curves: LossCurves) -> LossCurves:
    """Return the curves; DamagedRecord unless each has a value and a slope at every place."""
    lengths = {
        len(part) for curve in curves.curves.values() for part in (curve.values, curve.slopes)
    }
    if len(curves.places) < 2 or lengths != {len(curves.places)}:
        raise DamagedRecord("its loss curves are cut off")
    return curves


def _missing(loss: str, run: Snapshot, seen: _Seen | None) -> str:
    if run.is_watched:
        return "of a watched script no loss is recorded as a curve"
    if run.started is None:
        return f"{safe(run.task)} is not loaded{'' if run.has_ended else ' yet'}"
    if run.problem.kind is None:
        return "the outputs of this task have no axis that a loss could be drawn over"
    if seen is None and run.latest is None:
        return no_batch(run)
    if seen is None:
        return "this record has no loss curves: those of today's runs do"
    if loss not in seen.curves.curves:
        return f"{words.loss(loss)} has no curve over this axis"
    return f"a curve needs {_LEAST_WIDTH} x {_LEAST_HEIGHT} cells"


def _value_at(curve: LossCurve, places: Sequence[float], place: float) -> float:
    return curve.values[_index(places, place)]


def _index(places: Sequence[float], place: float) -> int:
    return min(range(len(places)), key=lambda index: abs(places[index] - place))


def _ghosts(
    loss: str, run: Snapshot, curves: Mapping[str, LossCurve], *, most: int
) -> dict[str, LossCurve]:
    """Return the curves behind that of a loss, in the order of the catalogue.

    They are those of the usual loss, of the losses that the run has used, and of at most so many
    others: the one that is flattest where the model is wrong, then the next.
    """
    known = [name for name in {**dict.fromkeys(run.problem.losses), **curves} if name in curves]
    used = {loss, run.loss, *known[:1], *(segment.loss for segment in run.segments)}
    shown = [curves[name] for name in known if name in used]
    others: list[str] = []
    for name in known:
        if name not in used and not any(_coincide(curves[name], curve) for curve in shown):
            others.append(name)
            shown.append(curves[name])
    others.sort(key=lambda name: round(curves[name].values[0], 1))  # stable: the flattest first
    others = [*others[:1], *(name for name in known if name in others[1:])]
    names = used.union(others[:most]) - {loss}
    return {name: curves[name] for name in known if name in names}


def _coincide(one: LossCurve, other: LossCurve) -> bool:
    """Return whether two curves are one to the eye, as cross-entropy and nll are."""
    pairs = zip(one.values, other.values, strict=True)
    return all(math.isclose(*pair, rel_tol=_TO_THE_EYE, abs_tol=_TO_THE_EYE) for pair in pairs)


def _name(grid: Grid, name: str, points: Iterable[tuple[float, float]], plane: Plane) -> None:
    """Write the name of a curve beside its leftmost point that has room for it."""
    for column, row in filter(None, (plane.cell(*point) for point in points)):
        for at in (row + 1, row - 1, row + 2, row - 2):
            places = [(column + 1 + offset, at) for offset in range(width_of(name))]
            is_inside = places[-1][0] < plane.columns and 0 <= at < plane.rows
            before, after = (column, at), (places[-1][0] + 1, at)
            is_apart = not any(
                grid.get(place, Span("")).role == "muted" for place in (before, after)
            )
            if is_inside and is_apart and not any(place in grid for place in places):
                grid.update({place: Span(character, "muted")
                             for place, character in zip(places, name, strict=False)})  # fmt: skip
                return


def _put_samples(grid: Grid, samples: Iterable[tuple[float, float]], plane: Plane) -> None:
    """Put each sample at its loss; one beyond the chart at its edge."""
    (low, high), (_, top) = plane.x, plane.y
    for place, loss in samples:
        cell = plane.cell(min(high, max(low, place)), min(top, max(0.0, loss)))
        if cell is not None and math.isfinite(place) and math.isfinite(loss):
            grid[cell] = Span(_ABOVE if loss > top else _SAMPLE, "validation")


def _heading(loss: str, seen: _Seen, width: int) -> Line:
    spans = [Span(f" {words.loss(loss)}", "smooth")]
    if seen.batch is not None and seen.batch.places:
        count = len(seen.batch.places)
        at = f"of step {words.count(seen.step)}"
        texts = [f"  {_SAMPLE} the first {count} samples {at}", f"  {_SAMPLE} {count} {at}", ""]
        spans.append(Span(first_fitting(texts, width - width_of(spans[0].text)), "validation"))
    room = width - sum(width_of(span.text) for span in spans)
    ghosts = ("  dashed: other losses, l lists them all", "  dashed: other losses", "")
    return fitted([*spans, Span(first_fitting(ghosts, room), "muted")], width)


def _table(run: Snapshot, curves: LossCurves, width: int) -> Iterator[Line]:
    """Yield value and slope of each loss at a few places."""
    near = _NEAR[curves.axis][: max(1, (width - 1 - _NAME_CELLS) // 18)]
    what = "log-odds" if curves.axis == "log-odds" else "residual"
    head = f" {'value and slope at':<{_NAME_CELLS}}"
    head += "".join(f"{f'{what} {place:g}':>18}" for place in near)
    yield fitted([Span(head, "muted")], width)
    losses = sorted(curves.curves.items(), key=lambda item: item[0] != run.loss)
    for name, values in losses:
        is_own = name == run.loss
        spans = [Span(f" {'●' if is_own else ' '} ", "smooth")]
        spans.append(
            Span(padded(cut(safe(words.loss(name)), 16), 16), "strong" if is_own else "text")
        )
        for place in near:
            index = _index(curves.places, place)
            value, slope = words.value(values.values[index]), f"{values.slopes[index]:.2g}"
            spans += [Span(to_the_right(value, 9)), Span(to_the_right(slope, 9), "muted")]
        yield fitted(spans, width)


def _text(run: Snapshot, width: int) -> Iterator[Line]:
    """Yield the lesson of the catalogue on the loss in use."""
    if not run.loss:
        yield from prose("the loss is known with the script's first step", width)
        return
    loss = entry_of(run.problem, run.loss)
    if loss is None:
        yield from prose(f"{words.loss(run.loss)}: a loss of this run's own", width)
        return
    yield from prose(loss.formula, width, "accent")
    rows: Mapping[str, str] = {"inside": loss.inside, "when": loss.when, "not": loss.when_not}
    for label, text in rows.items():
        for number, part in enumerate(wrapped(text, max(16, width - 9))):
            head = label if number == 0 else ""
            yield fitted([Span(f" {head:<7} ", "muted"), Span(part)], width)
