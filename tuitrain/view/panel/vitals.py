"""The rows of numbers of a run's screen."""

from __future__ import annotations

import math

from tuitrain.core.events import EpochEnded
from tuitrain.view.picture import Picture, Role, Span, fitted
from tuitrain.view.state.made_of import device_of
from tuitrain.view.state.metrics import monitor_of, monitored
from tuitrain.view.state.progress import epochs_words
from tuitrain.view.state.rate import lr_of
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.state.training_loss import trained_loss
from tuitrain.view.text import words
from tuitrain.view.text.cells import cut, padded, width_of

_MOST_ACROSS = 5
_FIELD_CELLS = 20
_LABEL_CELLS = 10
_FIELDS = 10

_Field = tuple[str, str, Role]
"""Label, value, and the value's role."""


def vitals(run: Snapshot, width: int) -> Picture:
    """Return rows of fields, as many side by side as there is room for."""
    fields, across = _fields(run), _across(width)
    return tuple(
        fitted([piece for field in fields[start : start + across]
                for piece in _field(field, width // across)], width)
        for start in range(0, len(fields), across)
    )  # fmt: skip


def vitals_height(width: int) -> int:
    """Return how many rows of fields there are at that width, of any run."""
    return math.ceil(_FIELDS / _across(width))


def _across(width: int) -> int:
    return min(_MOST_ACROSS, max(1, width // _FIELD_CELLS))


def _fields(run: Snapshot) -> list[_Field]:
    last, best = run.last_epoch, run.best
    metric, number = _leading(run, last)
    train_loss, val_loss = _losses_in_use(run, last)
    peak = monitored(run, best)
    pace = f" ≤{run.settings['pace']:g}" if run.settings["pace"] else ""
    return [
        ("step", words.count(run.step), "strong"),
        ("loss", words.value(run.latest.loss if run.latest else None), "smooth"),
        ("val loss", words.value(val_loss), "validation"),
        (metric, words.with_unit(number, run.problem.unit_of(metric)), "strong"),
        ("epoch", epochs_words(run), "strong"),
        ("train", words.value(train_loss), "text"),
        (
            "best",
            f"{words.value(peak)} @{words.count(best.epoch)}" if best and peak is not None else "–",
            "good",
        ),
        ("rate", words.rate(run.rate) + pace, "text"),
        ("trained", words.duration(run.elapsed_s), "text"),
        ("device", device_of(run), "text"),
    ]


def _losses_in_use(run: Snapshot, last: EpochEnded | None) -> tuple[float | None, float | None]:
    """Return training and validation loss of the last epoch by the loss that is in use now.

    After a swap no epoch was trained by it; the last one may have been validated by it.
    """
    if last is None or run.is_watched or last.loss_name == run.loss:
        return trained_loss(run, last), last.val_loss if last else None
    return None, last.val_losses.get(run.loss)


def _leading(run: Snapshot, last: EpochEnded | None) -> tuple[str, float | None]:
    """Return the monitored metric; of a watched script, the first that it logged, else its rate."""
    if not run.is_watched:
        return monitor_of(run), monitored(run, last)
    return next(iter(last.metrics.items())) if last and last.metrics else ("lr", lr_of(run))


def _field(field: _Field, cells: int) -> list[Span]:
    """Return a field of so many cells; a long value comes nearer to a short label."""
    label, text, role = field
    name = cut(f" {label}", _LABEL_CELLS)
    room = max(1, cells - _LABEL_CELLS, min(width_of(text) + 1, cells - width_of(name) - 1))
    return [Span(padded(name, cells - room), "muted"), Span(padded(cut(text, room), room), role)]
