"""A plan: the changes that a run is to make by itself, each at its place.

A run is its spec, its seed and its changes at their steps. What somebody changed by hand becomes a
plan when the run is trained again: by a replay, or by a program written from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tuitrain.core.commands import SETTINGS, Change, SwapLoss, wish_of
from tuitrain.core.errors import DamagedRecord, NotOnLine, WrongUse
from tuitrain.core.events import Event, LossSwapped, RunStarted, SettingChanged, TakeOpened
from tuitrain.core.history import current_line
from tuitrain.core.safe import safe


class Planned(NamedTuple):
    """A change, and the place where it is made: after so many steps and completed epochs."""

    step: int
    epoch: int
    id: str
    wish: SwapLoss | Change

    @property
    def place(self) -> tuple[int, int]:
        return self.step, self.epoch

    def as_row(self) -> dict[str, Any]:
        """Return it as a configuration file has it: `{step, epoch, loss: "mse"}`."""
        wish = self.wish
        value = wish.loss if isinstance(wish, SwapLoss) else wish.value
        return {
            "step": self.step, "epoch": self.epoch, "id": self.id,
            wish.kind: "off" if value is None else value,
        }  # fmt: skip

    @classmethod
    def of_row(cls, row: Any, number: int) -> Planned:
        """Return what `as_row` gave; the id may be missing. WrongUse for anything else."""
        if not isinstance(row, Mapping):
            raise WrongUse(f"change {number} of the schedule is no table")
        kinds = set(row) - {"step", "epoch", "id"}
        if len(kinds) != 1 or not kinds <= {"loss", *SETTINGS}:
            found = safe(", ".join(sorted(map(str, kinds)))) or "nothing"
            raise WrongUse(
                f"change {number} of the schedule sets {found}; each sets one of: "
                f"loss, {', '.join(SETTINGS)}"
            )
        step, epoch = _whole(row, "step", number), _whole(row, "epoch", number)
        (kind,) = kinds
        return cls(step, epoch, str(row.get("id", f"plan-{number}")), _wish(kind, row[kind]))


def plan_of(past: Sequence[Event]) -> list[Planned]:
    """Return the changes on the current line of a run, in order; what an undo took back is not."""
    plan: list[Planned] = []
    settings: dict[str, Any] = {}
    for event in past:
        if isinstance(event, RunStarted):
            settings = dict(event.settings)
            break
    for event in current_line(past):
        for change in changes_of(event):
            kind, value = change.wish.kind, _value(change.wish)
            if kind != "pace" and settings.get(kind) != value:
                plan.append(change)
            settings[kind] = value
    return plan


def without(plan: Iterable[Planned], ids: Sequence[str]) -> list[Planned]:
    """Return the plan without the changes of those ids, or beginnings of ids that only one has.

    Raises NotOnLine if the plan has no such change.
    """
    plan = list(plan)
    left_out = {_id_in(plan, each) for each in ids}
    return [change for change in plan if change.id not in left_out]


def _id_in(plan: Iterable[Planned], beginning: str) -> str:
    found = {change.id for change in plan if beginning and change.id.startswith(beginning)}
    if beginning in found or len(found) == 1:
        return beginning if beginning in found else found.pop()
    there = ", ".join(f"{each.id} ({each.wish.kind} {each.wish.detail})" for each in plan)
    raise NotOnLine(
        f"{safe(beginning)} is {'no' if not found else 'not one'} change on the current line; "
        + (f"there: {safe(there)}" if there else "there is none")
    )


def changes_of(event: Event) -> list[Planned]:
    """Return what makes the change again that an event tells of."""
    match event:
        case LossSwapped(wish=wish, loss=loss):
            changes: dict[str, object] = {"loss": loss}
        case SettingChanged(wish=wish, setting=setting, value=value):
            changes = {setting: value}
        case TakeOpened(take=take, settings=settings):
            wish, changes = event.wish or f"take-{take}", dict(settings)
        case _:
            return []
    try:
        return [
            Planned(event.step, event.epoch, wish, _wish(kind, value))
            for kind, value in changes.items()
        ]
    except WrongUse as error:
        raise DamagedRecord(f"its record has a change that cannot be made: {error}") from None


def _value(wish: SwapLoss | Change) -> object:
    return wish.loss if isinstance(wish, SwapLoss) else wish.value


def _whole(row: Mapping[str, Any], key: str, number: int) -> int:
    value = row.get(key)
    if type(value) is not int or not 0 <= value < 1 << 40:
        raise WrongUse(f"change {number} of the schedule needs a whole number from 0 as its {key}")
    return value


def _wish(kind: str, value: object) -> SwapLoss | Change:
    wish = wish_of(kind, value) if isinstance(value, str) else Change(kind, value)  # type: ignore[arg-type]
    if not isinstance(wish, SwapLoss | Change):
        raise WrongUse(f"{safe(kind)} cannot be planned")
    return wish
