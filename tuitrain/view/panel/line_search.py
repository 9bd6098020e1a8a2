"""The loss of a batch along the step that was taken on it, and whether the step was too long."""

from __future__ import annotations

import math
from typing import NamedTuple

from tuitrain.core.decode import decoded
from tuitrain.core.detail import LINE_SEARCH, LineSearch
from tuitrain.core.errors import DamagedRecord
from tuitrain.store.schema import key_of
from tuitrain.view.panel.plane import Grid, Plane
from tuitrain.view.panel.reads import Details, Reads
from tuitrain.view.picture import Line, Picture, Role, Span, filled, fitted, prose
from tuitrain.view.state.made_of import rank_count
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.state.training_loss import loss_at
from tuitrain.view.text import words
from tuitrain.view.text.cells import width_of

_AXIS_NAMES = ("in steps: ○ before, ● after", "○ before, ● after")
_TAKEN = 1.0
"""The place of the weights after the step; those before it are at 0."""
_LITTLE = 0.9
"""A step that gains this share of what the best one would is right."""
_NOTHING = 1e-4
"""A relative change of the loss that is none."""
_ROUNDING = 2.0**-23
"""A change of the loss that single precision makes by itself."""


class Verdict(NamedTuple):
    """A verdict on a step: right for its batch, too far, too short, or flat."""

    word: str
    why: str
    role: Role


def verdict(search: LineSearch) -> Verdict:
    """Return how far the step was by the losses along it, or that these are flat."""
    losses, after = search.by_place, search.after
    before = losses[0.0]
    if not (math.isfinite(after) and math.isfinite(before)):
        return Verdict("too far", "the loss is not finite after it", "bad")
    ahead = {at: loss for at, loss in losses.items() if at >= 0 and math.isfinite(loss)}
    best = min(ahead, key=lambda at: ahead[at])
    gain, most = before - after, before - ahead[best]
    change = max(ahead.values()) - min(ahead.values())
    if change <= max(_NOTHING * abs(before), _ROUNDING):
        return Verdict("flat", "the loss hardly changes along the step", "muted")
    if gain < 0:
        return Verdict("too far", "it raised the loss of its own batch", "bad")
    if gain >= _LITTLE * most:
        return Verdict("right", "no step on this line does much better", "good")
    if best < _TAKEN:
        return Verdict("too far", f"{best:g} of it is better", "warn")
    more = "" if best < search.places[-1] else " or more"
    return Verdict("too short", f"{best:g} steps{more} are better", "warn")


def line_search(run: Snapshot, reads: Reads, width: int, height: int) -> Picture:
    """Return the newest loss along a step, with the places before and after the step."""
    newest = reads.details.newest_detail(run.take, run.step, LINE_SEARCH)
    if newest is None:
        return filled(prose(_missing(run), width), width, height)
    step, search = newest[0], _checked(decoded(LineSearch, newest[1]))
    said = verdict(search)
    of = ", rank 0's samples" if rank_count(run) > 1 else ""
    about = Span(f" step {words.count(step)} · {words.loss(loss_at(run, step))}{of} ", "muted")
    heading = [Span(f" {said.word}", said.role), Span(f": {said.why}")]
    lines = _heading(heading, about, width)
    finite = [loss for loss in search.losses if math.isfinite(loss)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    ends = search.places[0], search.places[-1]
    plane = Plane.of(ends, (low, high if high > low else low + 1), width, height - len(lines))
    if not plane.is_empty:
        lines += plane.framed(_curve(search, plane), _AXIS_NAMES, width)
    return filled(lines, width, height)


def search_at(details: Details, take: int, step: int) -> LineSearch | None:
    """Return what was measured along that very step; None if it was not."""
    body = details.detail(key_of(take, step), LINE_SEARCH)
    return _checked(decoded(LineSearch, body)) if body is not None else None


def _heading(said: list[Span], about: Span, width: int) -> list[Line]:
    """Return one line, or two; without the reason where that would take a third."""
    word, why = said
    cells = width_of(word.text) + width_of(why.text)
    if cells > width:
        return [fitted([word, Span(" ·"), about], width)]
    if cells + 2 + width_of(about.text) <= width:
        return [fitted([*said, Span(" ·"), about], width)]
    return [fitted(said, width), fitted([about], width)]


def _curve(search: LineSearch, plane: Plane) -> Grid:
    losses = search.by_place
    grid = plane.curve(losses.items(), "smooth")
    for place, sign in ((0.0, "○"), (_TAKEN, "●")):
        cell = plane.cell(place, losses[place])
        if cell is not None:
            grid[cell] = Span(sign, "validation")
    return grid


def _missing(run: Snapshot) -> str:
    if run.is_watched:
        return "of a watched script it is not measured: only the script can repeat a batch"
    if run.has_ended:
        return "not in this record: it is measured where . trains one batch"
    return ". trains one batch and measures it (models up to 4 million weights)"


def _checked(search: LineSearch) -> LineSearch:
    """Return it; DamagedRecord unless it has a loss at each place, before and after the step."""
    is_complete = len(search.places) == len(search.losses) and {0.0, _TAKEN} <= {*search.places}
    if not is_complete:
        raise DamagedRecord("its line search is cut off")
    return search
