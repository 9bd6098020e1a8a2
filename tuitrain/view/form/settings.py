"""The dialogs for the settings of a live run: what their keys make, and the last change."""

from __future__ import annotations

import math
from typing import NamedTuple

from tuitrain.core.commands import LIVE, SETTINGS, Change, Setting
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


def strode(setting: Setting, text: str, key: str) -> str:
    """Return the text after a stride key; the same text if the result would be invalid."""
    dialog = LIVE[setting].dialog
    assert dialog is not None
    stride = next((stride for stride in dialog.strides if stride.key == key), None)
    try:
        number = float(text) or dialog.begin
    except ValueError:
        number = dialog.begin
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
