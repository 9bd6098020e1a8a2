"""The dialogs for the settings of a live run: what their keys make, and the last change."""

from __future__ import annotations

import math
from typing import NamedTuple

from tuitrain.core.commands import LIVE, SETTINGS, Change, Setting
from tuitrain.core.errors import WrongUse
from tuitrain.core.values import Integer
from tuitrain.history import changes as history
from tuitrain.view.panel.event_log import describe
from tuitrain.view.state.snapshot import Snapshot

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
    """Return the change that an undo would revert; None if there is none."""
    last = history.last_change(run.lineage.events)
    if last is None or (description := describe(last[0])) is None:
        return None
    changed_s = (entry.elapsed_s for entry in reversed(run.log) if entry.event == last[0])
    since_s = next(changed_s, -math.inf)  # the log keeps only the newest
    return LastChange(description[0], max(0.0, run.elapsed_s - since_s))
