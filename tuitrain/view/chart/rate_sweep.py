"""A sweep of the learning rate: the loss over the rate, with the suggestion."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from tuitrain.core.commands import FindRate
from tuitrain.core.decode import decoded
from tuitrain.core.detail import RATE_SWEEP, SWEPT_RATES, RateSweep
from tuitrain.core.events import RateSwept
from tuitrain.core.safe import safe
from tuitrain.view.chart import plot
from tuitrain.view.panel.reads import Details
from tuitrain.view.picture import Picture, Span, fitted
from tuitrain.view.state.rate import lr_of
from tuitrain.view.state.snapshot import Intervention, Snapshot
from tuitrain.view.text import words
from tuitrain.view.text.cells import width_of

_ENDS = math.log10(SWEPT_RATES[0]), math.log10(SWEPT_RATES[1])


def chart(run: Snapshot, details: Details, width: int, height: int) -> Picture:
    """Return the newest sweep of the run in width x height cells."""
    sweep = _sweep(run, details)
    heading = fitted(_whole(_heading(run), width), width)
    is_earlier = sweep is not None and sweep.suggestion is not None and result(run) is None
    if sweep is None or is_earlier:
        return (heading, *(fitted([], width),) * height)[:height]
    rates = [math.log10(rate) for rate in sweep.rates]
    curves = [
        plot.Curve(tuple(zip(rates, sweep.losses, strict=False)), "past"),
        plot.Curve(tuple(zip(rates, sweep.smoothed, strict=False)), "smooth"),
    ]
    in_use, suggested = _places(lr_of(run)), _places(sweep.suggestion)
    options = plot.ChartOptions(0, unit="log-rate", window=_ENDS, cursor=next(in_use, None))
    below = plot.draw_curves(
        curves, width=width, height=height - 1, options=options, rulers=list(suggested)
    )
    return (heading, *below)[:height]


def request(run: Snapshot) -> Intervention | None:
    """Return the newest command that asked for a sweep; None if there is none."""
    asked = [command for command in run.interventions if command.kind == FindRate.kind]
    return asked[-1] if asked else None


def result(run: Snapshot) -> RateSwept | None:
    """Return the end of the sweep that was asked for last; None before, and if it was dropped."""
    asked = request(run)
    events = (recorded.event for recorded in reversed(run.log))
    swept = next((event for event in events if isinstance(event, RateSwept)), None)
    return swept if swept and asked and swept.command == asked.id else None


def _whole(spans: Iterable[Span], width: int) -> list[Span]:
    """Return the first spans, as many as there is room for, and one at least."""
    heading = list(spans)
    while len(heading) > 1 and sum(width_of(span.text) for span in heading) > width:
        heading.pop()
    return heading


def _heading(run: Snapshot) -> Iterator[Span]:
    asked, swept = request(run), result(run)
    if swept is not None:
        if swept.suggestion is None:
            yield Span(" the loss fell at no rate", "warn")
        else:
            yield Span(f" │ suggestion {swept.suggestion:g}", "swap")
        yield Span(f"  │ in use {lr_of(run) or 0:g}")
        yield Span(f"  {words.count(swept.batches)} batches, ")
        yield Span("all undone", "good")
    elif asked is not None and asked.reason:
        yield Span(f" no sweep: {safe(asked.reason)}", "warn")
    else:
        yield Span(" the rate rises from batch to batch until the loss diverges …", "accent")


def _sweep(run: Snapshot, details: Details) -> RateSweep | None:
    """Return the points at the present step, or else those of the newest sweep of the lineage."""
    places = [(run.take, run.step), *((part.take, part.last) for part in reversed(run.segments))]
    sweeps = (details.newest_detail(*place, RATE_SWEEP) for place in places)
    newest = next(filter(None, sweeps), None)
    return decoded(RateSweep, newest[1]) if newest else None


def _places(rate: float | None) -> Iterator[float]:
    """Yield the place of a rate on the axis, if it is on it."""
    if rate and _ENDS[0] <= math.log10(rate) <= _ENDS[1]:
        yield math.log10(rate)
