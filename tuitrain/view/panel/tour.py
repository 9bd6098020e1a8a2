"""The guided tour: six things to do on a live run, each ticked off by what the run records."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from tuitrain.core.events import EpochEnded
from tuitrain.view.panel.advice import nonfinite_pause
from tuitrain.view.picture import Line, Picture, Role, Span, fitted
from tuitrain.view.state.snapshot import Intervention, Snapshot
from tuitrain.view.text.cells import wrapped

_KEY = re.compile(r"\[([\w.-]+)\]")
_CHARTS = "Training"
"""The view with the charts."""
_STEEP = "cross-entropy"
_BATCHES, _EPOCHS = 3, 3
_RISEN = 2.0
"""A validation loss that is so many times higher shows that a run diverges."""


class Todo(NamedTuple):
    """A thing to do; [run.undo] stands for the key of that binding."""

    text: str
    so_far: Callable[[Snapshot, str], int]
    """How often it is done, of a run with the view of that name shown."""
    times: int = 1

    def is_done(self, run: Snapshot, view: str) -> bool:
        return self.so_far(run, view) >= self.times


class TourStop(NamedTuple):
    """A thing to learn, what to do for it, and what it has shown."""

    title: str
    text: str
    todos: tuple[Todo, ...]
    seen: Callable[[Snapshot], str]

    def is_done(self, run: Snapshot, view: str) -> bool:
        """Return whether all of it is done."""
        return bool(self.todos) and all(todo.is_done(run, view) for todo in self.todos)


def _shows(name: str) -> Callable[[Snapshot, str], int]:
    return lambda _run, view: view == name


def _last(run: Snapshot, kind: str) -> Intervention | None:
    """Return the newest command of that kind that the run has carried out."""
    applied = (
        change
        for change in reversed(run.interventions)
        if change.kind == kind and change.state == "applied"
    )
    return next(applied, None)


def _epochs_since(kind: str) -> Callable[[Snapshot, str], int]:
    def count(run: Snapshot, _view: str) -> int:
        change = _last(run, kind)
        return max(0, run.epoch - (change.epoch or 0)) if change is not None else 0

    return count


def _swaps(run: Snapshot, _view: str) -> int:
    asked = [
        change.detail
        for change in run.interventions
        if change.kind == "loss" and change.state in ("pending", "applied")
    ]
    return int(asked[-1:] == [_STEEP])


def _undos(run: Snapshot, _view: str) -> int:
    rates = [change for change in run.interventions if change.kind == "lr"]
    return int(bool(rates) and rates[-1].state == "undone")


def _is_raised(run: Snapshot, _view: str) -> bool:
    return bool(run.settings["lr"] > (run.spec.lr or 0))


def _around(run: Snapshot, kind: str) -> tuple[EpochEnded, EpochEnded] | None:
    """Return the last epoch before the change and the newest one, if it ended after the change."""
    change = _last(run, kind)
    if change is None:
        return None
    before = [epoch for epoch in run.epochs if epoch.epoch <= (change.epoch or 0)]
    if not before or run.epochs[-1] is before[-1]:
        return None
    return before[-1], run.epochs[-1]


def _has_diverged(run: Snapshot, _view: str) -> bool:
    """Return whether the raised rate has made the loss rise, or has made it nonfinite."""
    if not _is_raised(run, _view):
        return False
    if nonfinite_pause(run) is not None:
        return True
    around = _around(run, "lr")
    if around is None or around[0].val_loss is None or around[1].val_loss is None:
        return False
    return not around[1].val_loss < _RISEN * around[0].val_loss  # NaN has risen, too


def _accuracy(epoch: EpochEnded) -> str:
    return f"{epoch.metrics['accuracy']:.2f}"


def _saw_batches(run: Snapshot) -> str:
    return (
        f"Above are the five steps of batch {run.step}. They took milliseconds, and moved the "
        f"weights only a little: training takes many batches. An epoch has {run.steps_per_epoch}."
    )


def _saw_epochs(run: Snapshot) -> str:
    return (
        f"Accuracy {_accuracy(run.epochs[-1])} after {run.epoch} epochs; guessing one of ten "
        f"digits has 0.10. The chart of the loss, {run.loss}, is almost flat: this run learns "
        "slowly. The next step shows why. (The run is paused, so take your time.)"
    )


def _saw_curve(_run: Snapshot) -> str:
    return (
        "On the left the model is sure and wrong, at 0 it gives the right class 50 %, on the "
        "right it is sure and right. Training moves each ● downhill. But mse levels off on the "
        "left: the worse a mistake, the less it pulls. Cross-entropy stays steep there, far above "
        "this chart."
    )


def _saw_swap(run: Snapshot) -> str:
    around = _around(run, "loss")
    if around is None:
        return ""
    before, after = around
    return (
        f"Accuracy {_accuracy(before)} with {before.loss_name}, {_accuracy(after)} after "
        f"{after.epoch - before.epoch} epochs of {after.loss_name}; model and rate are the same. "
        "In the chart, │ is the swap; losses on its two sides are not comparable, as each has its "
        "own scale. Swap when a loss teaches too little, or counts the wrong mistakes."
    )


def _saw_divergence(run: Snapshot) -> str:
    around = _around(run, "lr")
    how = "The loss is no longer finite, so the run paused by itself. "
    if around is not None and around[1].val_loss is not None:
        before, after = around
        how = (
            f"Validation loss {before.val_loss:.3g}, then {after.val_loss:.3g}; accuracy "
            f"{_accuracy(before)}, then {_accuracy(after)}. "
        )
    return (
        f"{how}That is a run that diverges: the loss jumps up and stays there, or is not finite; "
        "accuracy falls to that of guessing. To wait seldom helps."
    )


def _saw_rescue(run: Snapshot) -> str:
    accuracy, rate = _accuracy(run.epochs[-1]), run.settings["lr"]
    return (
        f"Accuracy {accuracy} and rate {rate:g}: as if the change had never been made. "
        "What was abandoned stays in the chart, dashed and grey, where the axis reaches it."
    )


STOPS = (
    TourStop(
        "One batch at a time",
        "Training repeats five steps, batch after batch:\n"
        "1 zero_grad  forget the gradients of the batch before\n"
        "2 forward    the model predicts: 10 outputs for each of 64 images of digits\n"
        "3 loss       one number for how wrong the predictions are\n"
        "4 backward   for each weight its gradient: how the loss changes with it\n"
        "5 step       move each weight against its gradient, to make the loss smaller",
        (Todo("press [run.step] to train one batch, and see its steps above",
              lambda run, _view: run.step, _BATCHES),),
        _saw_batches,
    ),
    TourStop(
        "Let it learn",
        "An epoch is once through all batches. After each one the model is tried on images that "
        "it never trains on: validation loss, and accuracy, the share that it gets right. The "
        "tour needs few of its epochs.",
        (Todo("press [run.view-training] for the charts", _shows(_CHARTS)),
         Todo("press [run.go_on] to go on, and watch the first epochs",
              lambda run, _view: run.epoch, _EPOCHS)),
        _saw_epochs,
    ),
    TourStop(
        "What a loss is",
        "A loss makes one number of prediction and truth, and training makes it smaller. Where "
        "its curve is steep, a sample pulls hard at the weights; where it is flat, hardly at all.",
        (Todo("press [run.view-loss]: the loss as a curve, samples of the last batch on it (●)",
              _shows("Loss")),),
        _saw_curve,
    ),
    TourStop(
        "Swap it in the live run",
        "Cross-entropy is the usual loss for classes. A swap keeps the weights, and takes effect "
        "at the next epoch.",
        (Todo("press [run.loss], choose cross-entropy, the first one, and press enter", _swaps),
         Todo("press [run.view-training] for the charts", _shows(_CHARTS)),
         Todo("press [run.go_on] to go on, and watch the accuracy, epoch by epoch",
              _epochs_since("loss"), _EPOCHS)),
        _saw_swap,
    ),
    TourStop(
        "Break it",
        "The learning rate is how far a step moves the weights. If it is far too high, each step "
        "leaps past the weights that it should reach: the loss rises.",
        (Todo("press [run.rate], type 3 and press enter", _is_raised),
         Todo("press [run.view-training] for the charts", _shows(_CHARTS)),
         Todo("press [run.go_on] to go on, until an epoch ends with a far higher loss",
              _has_diverged)),
        _saw_divergence,
    ),
    TourStop(
        "Rescue it",
        "[run.undo]  back to just before the last change: if that was at fault, as here\n"
        "[run.rollback]  back to the end of an epoch, keeping the settings: if no change was\n"
        "[run.rate]  a lower rate alone: too late now, as it keeps the broken weights",
        (Todo("press [run.undo], and y if it asks", _undos),
         Todo("press [run.view-training] for the charts", _shows(_CHARTS)),
         Todo("press [run.go_on] to go on, and watch one epoch", _epochs_since("undo"))),
        _saw_rescue,
    ),
)  # fmt: skip
"""In the order of the tour."""


class Place(NamedTuple):
    """How far a user is on the tour."""

    done: int = 0
    """Stops that are done and left behind."""
    has_trained: bool = False
    """Whether the run has done all that the next one takes; what was once done stays so."""
    has_seen: bool = False
    """Whether it was also looked at, in the right view."""

    @classmethod
    def of(cls, run: Snapshot) -> Place:
        """Return the place after the last stop that the run's record shows as done."""
        done = [
            number
            for number, stop in enumerate(STOPS, 1)
            if stop.is_done(run, _CHARTS)  # the view is not on record
        ]
        return cls(max(done, default=0))

    def after(self, run: Snapshot, view: str) -> Place:
        """Return the place for a newer snapshot, or another view."""
        if self.done == len(STOPS):
            return self
        stop = STOPS[self.done]
        return self._replace(
            has_trained=self.has_trained or stop.is_done(run, _CHARTS),
            has_seen=self.has_seen or stop.is_done(run, view),
        )


def picture(place: Place, run: Snapshot, view: str, keys: Mapping[str, str], width: int) -> Picture:
    """Return the stop at that place; `keys` has the key of each binding by its id."""
    marks = "●" * place.done + "○" * (len(STOPS) - place.done)
    title = STOPS[place.done].title if place.done < len(STOPS) else "That was the tour"
    head = [Span(f" tour {marks} ", "accent"), Span(title, "strong")]
    if place.has_seen:
        head.append(Span(" ✓ done. What it shows:", "good"))
    lines = _lines(place, run, view)
    return (
        fitted(head, width),
        *(line for text, role in lines for line in _wrapped(text, role, keys, width)),
    )


def _lines(place: Place, run: Snapshot, view: str) -> Iterator[tuple[str, Role]]:
    if place.done == len(STOPS):
        yield from _end(run)
        return
    stop = STOPS[place.done]
    if place.has_seen:
        yield stop.seen(run), "text"
        yield "▸ press [run.enlarge] for the next step", "good"
        return
    yield from ((line, "text") for line in stop.text.split("\n"))
    if run.has_ended:
        yield "▸ this run has ended: [run.leave] leaves, and tuitrain tour begins anew", "good"
        return
    for todo in stop.todos:
        if not todo.is_done(run, view):
            so_far = f": {todo.so_far(run, view)} of {todo.times}" if todo.times > 1 else ""
            yield f"▸ {todo.text}{so_far}", "good"


def _end(run: Snapshot) -> Iterator[tuple[str, Role]]:
    leaves = "leaves" if run.has_ended else "and then s stops this run"
    yield (
        "You took a batch apart, swapped a loss, broke a run and rescued it. [run.help] has all "
        f"keys. [run.leave] {leaves}; tuitrain attach {run.title} shows it again.",
        "text",
    )
    yield "next: tuitrain losses · tuitrain run breast-cancer · tuitrain run YOUR.csv", "good"


def _wrapped(text: str, role: Role, keys: Mapping[str, str], width: int) -> list[Line]:
    said = _KEY.sub(lambda found: keys.get(found[1], found[0]), text)
    return [fitted([Span(f" {line}", role)], width) for line in wrapped(said, max(10, width - 2))]
