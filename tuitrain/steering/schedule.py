"""The schedule of a run: commands from before a resume, and the plan of its spec."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from tuitrain.core.commands import Change, Command, Request, SwapLoss, command_of
from tuitrain.core.events import CommandAccepted, Event
from tuitrain.core.plan import Planned
from tuitrain.history.plan import changes_of
from tuitrain.steering.steerable import Steerable


class Entry(NamedTuple):
    """A command and its place: where it was applied, or accepted if it is still waiting."""

    step: int
    epoch: int
    request: Request
    how: Literal["again", "planned", "waiting"]
    """Applied here before; planned here by the spec; or still waiting for its boundary."""


class Schedule:
    """Entries in the order in which they come due."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.entries = sorted(entries, key=lambda entry: entry[:2])
        """The entries that are not due yet."""

    @property
    def catches_up(self) -> bool:
        """True while changes from before a resume remain to be reapplied."""
        return any(entry.how == "again" for entry in self.entries)

    def due(self, run: Steerable) -> Iterator[Entry]:
        """Yield the entries that are due; skip those whose value is already in effect."""
        while self.entries and self.entries[0][:2] <= run.position[1:]:
            entry = self.entries.pop(0)
            if entry.how == "waiting" or not _is_in_use(run, entry.request.command):
                yield entry


def applied(event: Event) -> list[Entry]:
    """Return the schedule entries that reapply the event's change."""
    return [_entry(change, "again") for change in changes_of(event)]


def planned(plan: Iterable[Planned], earlier: Iterable[Event] = ()) -> list[Entry]:
    """Return the entries of a plan, except the changes that earlier events already made."""
    made = {getattr(event, "command", None) for event in earlier}
    return [_entry(change, "planned") for change in plan if change.id not in made]


def accepted(event: CommandAccepted) -> Entry:
    """Return the entry with which an accepted command waits again for its boundary."""
    command = command_of(event.asks, event.detail)
    request = Request(event.command, event.asked_at, command, event.at)
    return Entry(event.step, event.epoch, request, "waiting")


def _entry(change: Planned, how: Literal["again", "planned"]) -> Entry:
    return Entry(*change.place, Request.again(change.id, change.command), how)


def _is_in_use(run: Steerable, command: Command) -> bool:
    match command:
        case SwapLoss(loss=value) | Change(value=value):
            return bool(run.settings[command.kind] == value)
        case _:
            return False
