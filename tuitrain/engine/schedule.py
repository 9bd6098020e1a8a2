"""What was asked of a run before, to be done again where its steps are trained again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tuitrain.core.commands import Change, Request, SwapLoss, Wish, wish_of
from tuitrain.core.events import Event, LossSwapped, SettingChanged, TakeOpened, WishAccepted
from tuitrain.engine.training import Training


class Entry(NamedTuple):
    """A wish, and where it was granted; or where it was accepted, if it waits still."""

    step: int
    epoch: int
    request: Request
    is_granted: bool


class Schedule:
    """Entries in the order in which they come due."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries = sorted(entries, key=lambda entry: entry[:2])

    def __len__(self) -> int:
        return len(self._entries)

    def due(self, run: Training) -> Iterator[Entry]:
        """Yield, once, the entries whose place the run has reached and that change something."""
        while self._entries and self._entries[0][:2] <= (run.step, run.epoch):
            entry = self._entries.pop(0)
            if not (entry.is_granted and _is_so(run, entry.request.wish)):
                yield entry


def granted(event: Event) -> list[Entry]:
    """Return what makes the change again that an event tells of."""
    match event:
        case LossSwapped(wish=wish, loss=loss):
            changes: dict[str, object] = {"loss": loss}
        case SettingChanged(wish=wish, setting=setting, value=value):
            changes = {setting: value}
        case TakeOpened(take=take, settings=settings):
            wish, changes = event.wish or f"take {take}", dict(settings)
        case _:
            return []
    return [
        Entry(event.step, event.epoch, Request.again(wish, _wish(setting, value)), True)
        for setting, value in changes.items()
    ]


def accepted(event: WishAccepted) -> Entry:
    """Return what lets a wish wait again for its boundary."""
    wish = wish_of(event.asks, event.detail)
    request = Request(event.wish, event.asked_at, wish, event.at)
    return Entry(event.step, event.epoch, request, False)


def _is_so(run: Training, wish: Wish) -> bool:
    match wish:
        case SwapLoss(loss=loss):
            return run.loss_name == loss
        case Change(setting=setting, value=value):
            return bool(run.settings[setting] == value)
        case _:
            return False


def _wish(setting: str, value: object) -> SwapLoss | Change:
    if setting == "loss":
        return SwapLoss(str(value))
    return Change(setting, value)  # type: ignore[arg-type]
