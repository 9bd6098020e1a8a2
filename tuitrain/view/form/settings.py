"""The dialogs for the settings of a live run: their texts, and the strides of the keys."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from tuitrain.core.commands import SETTINGS, Change, Setting
from tuitrain.core.errors import WrongUse
from tuitrain.core.safe import safe
from tuitrain.core.values import Integer
from tuitrain.history.changes import is_change
from tuitrain.view.panel.event_log import describe
from tuitrain.view.state.snapshot import Snapshot

_CHANGES = {"loss", "rollback", "undo", *SETTINGS} - {"pace"}
"""The kinds of commands whose events `is_change` accepts."""
MOST_ABANDONED_S = 10.0
"""Seconds of training that an undo may abandon without confirmation."""


class Stride(NamedTuple):
    """The change that a key makes to a number."""

    key: str
    sign: str
    description: str
    made: Callable[[float], float]


class Field(NamedTuple):
    """The texts and strides of the dialog for a setting."""

    title: str
    question: str
    strides: tuple[Stride, ...]
    begin: float = 1.0
    """The number that a stride starts from if the setting is off or 0."""


_TIMES = (
    Stride("up", "↑", "×2", lambda number: number * 2),
    Stride("down", "↓", "÷2", lambda number: number / 2),
    Stride("pageup", "PgUp", "×10", lambda number: number * 10),
    Stride("pagedown", "PgDn", "÷10", lambda number: number / 10),
)
_PLUS = (
    Stride("up", "↑", "+1", lambda number: number + 1),
    Stride("down", "↓", "−1", lambda number: number - 1),
    Stride("pageup", "PgUp", "+10", lambda number: number + 10),
    Stride("pagedown", "PgDn", "−10", lambda number: number - 10),
)
FIELDS: Mapping[Setting, Field] = {
    "lr": Field("learning rate", "How far a step goes. From the next batch on:", _TIMES),
    "weight-decay": Field(
        "weight decay", "How hard weights are drawn to 0. From the next batch on:", _TIMES, 1e-4
    ),
    "clip-norm": Field(
        "clip norm", "Gradients longer than this are cut to it; or off. From the next batch on:",
        _TIMES,
    ),
    "batch-size": Field("batch size", "Samples a batch. From the next epoch on:", _TIMES[:2]),
    "epochs": Field("epochs", "How many epochs the run has in all:", _PLUS),
    "pace": Field("pace", "At most so many batches a second, or off:", _TIMES),
}  # fmt: skip


def strode(setting: Setting, text: str, key: str) -> str:
    """Return the text after a stride key; the same text if the result would be invalid."""
    field = FIELDS[setting]
    stride = next((stride for stride in field.strides if stride.key == key), None)
    try:
        number = float(text) or field.begin
    except ValueError:
        number = field.begin
    made = stride.made(number) if stride and math.isfinite(number) else number
    is_whole = isinstance(SETTINGS[setting].type, Integer)
    made = max(1, round(made)) if is_whole and math.isfinite(made) else made
    try:
        return Change.read(setting, typed(made)).detail
    except WrongUse:
        return text


def typed(value: float | None) -> str:
    """Return a value as a user would type it."""
    return "off" if value is None else f"{value:.10g}"


class LastChange(NamedTuple):
    """The change that an undo would revert, and the seconds of training it would abandon."""

    description: str
    abandoned_s: float


def last_change(run: Snapshot) -> LastChange | None:
    """Return the last change of a run; None if there is none."""
    for recorded in reversed(run.log):
        if is_change(recorded.event) and (description := describe(recorded.event)):
            return LastChange(description[0], max(0.0, run.elapsed_s - recorded.elapsed_s))
    for command in reversed(run.interventions):  # the log keeps only the newest
        if command.state == "applied" and command.kind in _CHANGES:
            return LastChange(f"{command.kind} {safe(command.detail)}".strip(), math.inf)
    return None
