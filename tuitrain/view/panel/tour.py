"""The guided tour: six things to do on a live run, each ticked off by what the run records."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from tuitrain.view.panel.advice import nonfinite_pause
from tuitrain.view.picture import Line, Picture, Role, Span, fitted
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text.cells import wrapped

_KEY = re.compile(r"\[([\w.-]+)\]")
_BATCHES, _EPOCHS, _BROKEN_FOR = 3, 3, 40


class TourStop(NamedTuple):
    """A thing to learn, and what to do for it; [run.undo] stands for the key of that binding."""

    title: str
    text: str
    todo: str
    is_done: Callable[[Snapshot, str], bool]
    """Whether a run, with the view of that name shown, is past this stop."""


def _has(run: Snapshot, kind: str) -> bool:
    return any(change.kind == kind and change.state == "applied" for change in run.interventions)


def _is_broken(run: Snapshot, _view: str) -> bool:
    """Return whether the learning rate is raised above the run's first one, and its effect seen."""
    steps = [
        change.step
        for change in run.interventions
        if change.kind == "lr" and change.state == "applied" and change.step is not None
    ]
    if not steps or run.settings["lr"] <= (run.spec.lr or 0):
        return False
    return run.step >= steps[-1] + _BROKEN_FOR or nonfinite_pause(run) is not None


STOPS = (
    TourStop(
        "One batch at a time",
        "Training repeats five steps: zero the gradients, forward, loss, backward, optimizer step. "
        "Above stands what each did with one batch.",
        f"press [run.step] {_BATCHES} times: each trains one batch, and the run waits again",
        lambda run, _view: run.step >= _BATCHES,
    ),
    TourStop(
        "Let it learn",
        "All batches are an epoch. After each epoch the model is tried on images that it never "
        "trains on: validation loss, and accuracy.",
        f"press [run.view-training], then [run.go_on], and watch {_EPOCHS} epochs",
        lambda run, view: view == "Training" and run.epoch >= _EPOCHS,
    ),
    TourStop(
        "What a loss is",
        "A loss makes one number of prediction and truth, which training makes smaller. The "
        "steeper it is at a sample, the harder that pulls.",
        "press [run.view-loss]: the loss as a curve, with samples of this batch on it",
        lambda _run, view: view == "Loss",
    ),
    TourStop(
        "Swap it in the live run",
        "On the left the model is sure and wrong: there cross-entropy is steep, and mse almost "
        "flat, so that it hardly learns from such mistakes.",
        "press [run.loss], choose mse and press enter: the next epoch trains with it",
        lambda run, _view: _has(run, "loss"),
    ),
    TourStop(
        "Break it",
        "Values of different losses are not comparable: each has its own scale. The learning "
        "rate is how far a step goes. Make it far too high.",
        "press [run.view-training], then [run.rate], type 3 and press enter; see the loss rise",
        _is_broken,
    ),
    TourStop(
        "Rescue it",
        "Before a change, a run saves weights, optimizer and settings. Undo goes back to just "
        "before it; what came after stays in the chart, dashed.",
        "press [run.undo], and y if it asks",
        lambda run, _view: _has(run, "undo"),
    ),
)
"""In the order of the tour."""
END = TourStop(
    "That was the tour",
    "You took a step apart, swapped a loss and rescued a run. [run.help] has all keys; [run.leave] "
    "leaves, and tuitrain attach shows the run again.",
    "next: tuitrain losses · tuitrain run breast-cancer · tuitrain run YOUR.csv",
    lambda _run, _view: False,
)


def reached(run: Snapshot, view: str, before: int) -> int:
    """Return how many stops are done, at least `before`: what was once done stays so."""
    if before < len(STOPS) and STOPS[before].is_done(run, view):
        return before + 1
    return before


def picture(done: int, keys: Mapping[str, str], width: int) -> Picture:
    """Return the stop after `done` ones; `keys` has the key of each binding by its id."""
    stop = STOPS[done] if done < len(STOPS) else END
    marks = "●" * done + "○" * (len(STOPS) - done)
    head = [Span(f" tour {marks} ", "accent"), Span(stop.title, "strong")]
    return (
        fitted(head, width),
        *_lines(stop.text, "text", keys, width),
        *_lines(f"▸ {stop.todo}", "good", keys, width),
    )


def _lines(text: str, role: Role, keys: Mapping[str, str], width: int) -> list[Line]:
    said = _KEY.sub(lambda found: keys.get(found[1], found[0]), text)
    return [fitted([Span(f" {line}", role)], width) for line in wrapped(said, max(10, width - 2))]
