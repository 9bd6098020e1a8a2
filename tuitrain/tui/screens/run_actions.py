"""The actions on one run of a list: open, stop, delete and resume it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from textual import events
from textual.binding import Binding
from textual.screen import Screen

from tuitrain.connection.client import Client
from tuitrain.core.commands import Stop
from tuitrain.core.errors import TuitrainError
from tuitrain.core.safe import safe
from tuitrain.store.paths import RunPaths
from tuitrain.trainer import supervisor
from tuitrain.tui.disabled import disabled_action
from tuitrain.tui.screens.choice import Choice, ChoiceScreen
from tuitrain.tui.screens.note import write
from tuitrain.tui.screens.resume import resume
from tuitrain.tui.screens.run import RunScreen
from tuitrain.view.state.possible import why_not
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text.listing import Row, to_be_deleted


class RunActionsScreen(Screen[None]):
    """A screen that lists runs, one of which is highlighted."""

    BINDINGS = [
        Binding("enter", "open", "Open", id="runs.open", tooltip="Watch and steer this run"),
        Binding("R", "resume", "Resume", key_display="R", id="runs.resume",
                tooltip="Go on with a run that ended"),
        Binding("S", "stop", "Stop", key_display="S", id="run.stop",
                tooltip="End the run with a checkpoint (asks)"),
        Binding("D", "delete", "Delete", key_display="D", id="runs.delete",
                tooltip="Delete this run, or the marked ones, if they ended, for good (asks)"),
        Binding("number_sign", "tag", "Tag", key_display="#", show=False, id="runs.tag",
                tooltip="Tag this run, or take a tag off"),
    ]  # fmt: skip

    def __init__(self, seen: Callable[[Snapshot], None]) -> None:
        """`seen` is called with the last snapshot of a run that was watched."""
        super().__init__()
        self._seen = seen

    @property
    def row(self) -> Row | None:
        """The highlighted run."""
        raise NotImplementedError

    @property
    def rows_to_delete(self) -> list[Row]:
        """The runs that D would delete."""
        raise NotImplementedError

    async def follow(self) -> None:
        """Read changed runs and update the list."""
        raise NotImplementedError

    def check_action(self, action: str, _parameters: tuple[object, ...]) -> bool | None:
        """Return None, which greys the key, for what the highlighted run cannot do."""
        if action == "delete":
            return True if self.rows_to_delete else None
        if action not in ("open", "stop", "resume", "tag"):
            return True
        return True if self.row is not None and self.row.allows(action) else None

    def on_key(self, event: events.Key) -> None:
        """Say why a greyed key does nothing."""
        disabled, run = disabled_action(self, event.key), self.row.run if self.row else None
        if disabled is not None and run is not None and (why := why_not(run, *disabled)):
            self.notify(why, markup=False)

    def attempt(self, what: str, do: Callable[[], object]) -> None:
        """Call `do`; report an error as "cannot `what`"."""
        try:
            do()
        except (TuitrainError, OSError, ValueError) as error:
            self.report(f"cannot {what}: {safe(error)}")

    def report(self, message: str) -> None:
        """Show an error."""
        self.notify(message, severity="error", markup=False)

    def open(self, paths: RunPaths, started: supervisor.Started | None = None) -> None:
        """Show a run on top of the list."""
        self.attempt(
            f"open {safe(paths.name)}",
            lambda: self.app.push_screen(
                RunScreen(paths.directory, started, leave=self._come_back)
            ),
        )

    def _come_back(self, last: Snapshot) -> None:
        self._seen(last)
        while self.app.screen is not self:
            self.app.pop_screen()

    def action_open(self) -> None:
        if (row := self.row) is not None:
            self.open(RunPaths(row.directory))

    def action_stop(self) -> None:
        if (row := self.row) is None:
            return
        choices = [Choice("stop", "y", "Stop the run"), Choice("stay", "n", "Let it train")]
        self.app.push_screen(
            ChoiceScreen("Stop", f"End {row.name}? It saves a checkpoint first.", choices),
            lambda chosen: self._stop(row) if chosen == "stop" else None,
        )

    def _stop(self, row: Row) -> None:
        self.attempt(f"stop {row.name}", lambda: Client(row.directory).send(Stop()))

    def action_delete(self) -> None:
        rows = self.rows_to_delete
        choices = [Choice("delete", "y", "Delete"), Choice("keep", "n", "Keep")]
        self.app.push_screen(
            ChoiceScreen("Delete", to_be_deleted(rows), choices),
            lambda chosen: self._delete(rows) if chosen == "delete" else None,
        )

    def _delete(self, rows: list[Row]) -> None:
        for row in rows:
            self.attempt(f"delete {row.name}", partial(supervisor.delete, RunPaths(row.directory)))
        self.call_later(self.follow)

    def action_tag(self) -> None:
        if (row := self.row) is not None and row.run is not None:
            write(self, row.run, "tag", lambda: self.call_later(self.follow))

    def action_resume(self) -> None:
        if (row := self.row) is not None and row.run is not None:
            resume(self, row.run, lambda started: self.open(started.paths, started))
