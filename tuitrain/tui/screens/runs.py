"""The list of runs: live and ended, as they are now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from rich.text import Text
from textual import getters
from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.reactive import reactive
from textual.screen import Screen
from textual.theme import Theme
from textual.widgets import DataTable, Footer, Input, Static

from tuitrain import supervisor
from tuitrain.client import Client
from tuitrain.core.commands import Stop
from tuitrain.core.errors import TuitrainError
from tuitrain.core.safe import safe
from tuitrain.store.paths import RunPaths
from tuitrain.tui.home import Home
from tuitrain.tui.palette import ScreenCommands
from tuitrain.tui.screens.choice import Choice, ChoiceScreen
from tuitrain.tui.screens.compare import CompareScreen
from tuitrain.tui.screens.help import HelpScreen
from tuitrain.tui.screens.new_run import NewRunScreen
from tuitrain.tui.screens.number import NumberScreen
from tuitrain.tui.screens.run import RunScreen
from tuitrain.view.listing import COLUMNS, NARROW, ORDERS, Row, ordered, to_compare
from tuitrain.view.model import Snapshot

_LOOK_S = 1.0
_AT_ONCE = 25
"""Runs that are read between two repaints of the list."""
_WIDE = 110


class RunsScreen(Screen[None]):
    """Show the runs of a home; open, stop, delete, resume one, or begin another."""

    COMMANDS = {ScreenCommands}
    BINDINGS = [
        Binding("enter", "open", "Open", id="runs.open", tooltip="Watch and steer this run"),
        Binding("n", "new", "New", id="runs.new", tooltip="Fill in the form for a new run"),
        Binding("R", "resume", "Resume", key_display="R", id="runs.resume",
                tooltip="Go on with a run that ended"),
        Binding("S", "stop", "Stop", key_display="S", id="run.stop",
                tooltip="End the run with a checkpoint (asks)"),
        Binding("D", "delete", "Delete", key_display="D", id="runs.delete",
                tooltip="Delete a run that ended, for good (asks)"),
        Binding("m", "mark", "Mark", show=False, id="runs.mark",
                tooltip="Mark this run for a comparison, or no longer"),
        Binding("C", "compare", "Compare", key_display="C", show=False, id="runs.compare",
                tooltip="The marked runs over each other; or this one and its newest neighbour"),
        Binding("s", "sort", "Sort", id="runs.sort", tooltip="Sort by newest, name, state, task"),
        Binding("slash", "filter", "Filter", key_display="/", id="runs.filter",
                tooltip="Show the runs with that in their name"),
        Binding("q,ctrl+c", "app.exit_now", "Leave", key_display="q", id="runs.leave",
                tooltip="Leave; runs go on"),
        Binding("question_mark", "help", "Help", key_display="?", id="run.help",
                tooltip="Keys and signs"),
        Binding("escape", "unfilter", "All", show=False, id="runs.all", tooltip="Show all again"),
    ]  # fmt: skip

    order: reactive[str] = reactive(ORDERS[0], init=False)
    highlighted: reactive[str] = reactive("", bindings=True, repaint=False)

    table: getters.query_one[DataTable[Text]] = getters.query_one("#runs", DataTable)
    heading = getters.query_one("#heading", Static)
    filter = getters.query_one("#filter", Input)

    def __init__(self, home: Path, seen: Callable[[Snapshot], None]) -> None:
        """`seen` hears of the run that was watched last."""
        super().__init__()
        self._home = Home(home)
        self._seen = seen
        self._rows: list[Row] = []
        self._shown: dict[str, Row] = {}
        self._columns: tuple[str, ...] = ()
        self._marked: list[Path] = []
        self._looking = asyncio.Lock()
        self._broken = ""

    def compose(self) -> ComposeResult:
        yield Static(id="heading")
        yield DataTable(id="runs", cursor_type="row", cursor_foreground_priority="renderable")
        yield Input(id="filter", placeholder="part of a name", compact=True)
        yield Footer(compact=True, show_command_palette=False)

    async def on_mount(self) -> None:
        self.filter.display = False
        self.table.focus()
        self.set_interval(_LOOK_S, self.follow)
        self.app.theme_changed_signal.subscribe(self, self._recolour)
        await self.follow()
        if not self._rows:
            self.action_new()

    async def on_screen_resume(self) -> None:
        await self.follow()

    def on_resize(self) -> None:
        self._show()

    async def follow(self) -> None:
        """Read what is new, and show it; the newest runs first, where there are many."""
        if self._looking.locked() or not self.is_active:
            return
        async with self._looking:
            rows: list[Row] = []
            reading = self._home.rows()
            while several := await asyncio.to_thread(self._some, reading):
                rows += several
                if len(rows) > len(self._rows):
                    self._rows = [*rows]
                    self._show()
            self._rows = rows
            self._show()

    def _some(self, rows: Iterator[Row]) -> list[Row]:
        try:
            some = list(islice(rows, _AT_ONCE))
        except OSError as error:
            self.app.call_later(self._complain, f"cannot read the runs: {safe(error)}")
            return []
        return some

    def _complain(self, message: str) -> None:
        if message != self._broken:
            self._broken = message
            self._say(message)

    def watch_order(self) -> None:
        self._show()

    def _show(self) -> None:
        table = self.table
        columns = COLUMNS if self.size.width >= _WIDE else NARROW
        rows = ordered(self._all(), self.order, self.filter.value)
        if columns != self._columns:
            self._columns = columns
            table.clear(columns=True)
            for column in columns:
                if column == "mark":  # always as wide as a mark: setting one moves nothing
                    table.add_column("", key=column, width=1)
                else:
                    table.add_column(column, key=column)
            self._shown = {}
        keys = [str(row.directory) for row in rows]
        if keys != list(self._shown):
            self._refill(rows, keys)
        else:
            self._update(rows)
        self._shown = dict(zip(keys, rows, strict=True))
        self._mark_highlighted()
        self._entitle(len(rows))

    def _all(self) -> list[Row]:
        return [row._replace(is_marked=row.directory in self._marked) for row in self._rows]

    def _refill(self, rows: list[Row], keys: list[str]) -> None:
        """Fill the table anew, with the cursor on the run where it was."""
        table, kept = self.table, self._highlighted_key()
        table.clear()
        for key, row in zip(keys, rows, strict=True):
            table.add_row(*(self._text(row, column) for column in self._columns), key=key)
        if kept in keys:
            table.move_cursor(row=keys.index(kept), animate=False)

    def _recolour(self, _theme: Theme) -> None:
        """Write every cell anew: a cell keeps the colours that it was written in."""
        self._shown = {}
        self._show()

    def _update(self, rows: list[Row]) -> None:
        for row in rows:
            before = self._shown[str(row.directory)]
            for column in self._columns:
                if row.cell(column) != before.cell(column):
                    self.table.update_cell(
                        str(row.directory), column, self._text(row, column), update_width=True
                    )

    def _text(self, row: Row, column: str) -> Text:
        text, role = row.cell(column)
        variables = self.app.get_css_variables()
        names = {"good": "success", "bad": "error", "warn": "warning", "strong": "foreground",
                 "text": "foreground", "accent": "accent"}  # fmt: skip
        return Text(text, style=variables[names.get(role, f"cell-{role}")], no_wrap=True)

    def _entitle(self, count: int) -> None:
        live = sum(1 for row in self._rows if row.run and not row.run.has_ended)
        marked = sum(1 for row in self._rows if row.directory in self._marked)
        parts = [
            f" {count} run{'' if count == 1 else 's'}",
            f"{live} live",
            f"by {self.order}",
            "enter opens one",
            f"{marked} marked, C compares" if marked else "m marks, C compares",
        ]
        if self.filter.value:
            parts.append(f"with {safe(self.filter.value, limit=30)!r} in the name")
        if not self._rows:
            parts = [" no runs yet: n begins one"]
        self.heading.update(Content.styled(" · ".join(parts), "$cell-muted"))

    def _highlighted_key(self) -> str:
        if not self.table.row_count:
            return ""
        return str(self.table.coordinate_to_cell_key(self.table.cursor_coordinate).row_key.value)

    def _mark_highlighted(self) -> None:
        row = self._row()
        self.highlighted = f"{row.directory} {row.run.state if row.run else ''}" if row else ""

    def _row(self) -> Row | None:
        return self._shown.get(self._highlighted_key())

    def on_data_table_row_highlighted(self) -> None:
        self._mark_highlighted()

    def on_data_table_row_selected(self) -> None:
        self.action_open()

    def check_action(self, action: str, _parameters: tuple[object, ...]) -> bool | None:
        """Grey what the highlighted run cannot do."""
        row = self._row()
        run = row.run if row else None
        match action:
            case "open":
                return True if run else None
            case "stop":
                return True if run and not run.has_ended else None
            case "resume":
                return True if run and run.has_ended else None
            case "delete":
                return True if row and (run is None or run.has_ended) else None
            case _:
                return True

    def action_open(self) -> None:
        if (row := self._row()) is not None:
            self.open(RunPaths(row.directory))

    def open(self, paths: RunPaths, started: supervisor.Started | None = None) -> None:
        """Show a run on top of the list."""
        try:
            screen = RunScreen(paths.directory, started, leave=self._come_back)
        except (TuitrainError, OSError, ValueError) as error:
            self._say(f"cannot open {safe(paths.name)}: {safe(error)}")
            return
        self.app.push_screen(screen)

    def _come_back(self, last: Snapshot) -> None:
        self._seen(last)
        while self.app.screen is not self:
            self.app.pop_screen()

    def action_new(self) -> None:
        self.app.push_screen(NewRunScreen(self._home.directory), self._opened)

    def _opened(self, started: supervisor.Started | None) -> None:
        if started is not None:
            self.open(started.paths, started)

    def action_stop(self) -> None:
        row = self._row()
        if row is None:
            return
        choices = [Choice("stop", "y", "Stop the run"), Choice("stay", "n", "Let it train")]
        self.app.push_screen(
            ChoiceScreen("Stop", f"End {row.name}? It saves a checkpoint first.", choices),
            lambda chosen: self._stop(row) if chosen == "stop" else None,
        )

    def _stop(self, row: Row) -> None:
        try:
            Client(row.directory).send(Stop())
        except OSError as error:
            self._say(f"cannot stop {row.name}: {safe(error.strerror)}")

    def action_delete(self) -> None:
        row = self._row()
        if row is None:
            return
        choices = [Choice("delete", "y", "Delete it"), Choice("keep", "n", "Keep it")]
        question = f"Delete {row.name} for good, with its record and checkpoints?"
        self.app.push_screen(
            ChoiceScreen("Delete", question, choices),
            lambda chosen: self._delete(row) if chosen == "delete" else None,
        )

    def _delete(self, row: Row) -> None:
        try:
            supervisor.delete(RunPaths(row.directory))
        except (TuitrainError, OSError) as error:
            self._say(f"cannot delete {row.name}: {safe(error)}")
        self.call_later(self.follow)

    def action_resume(self) -> None:
        row = self._row()
        if row is None or row.run is None:
            return
        paths = RunPaths(row.directory)
        if row.run.state != "finished":
            self._resume(paths, None)
            return
        self.app.push_screen(
            NumberScreen("epochs", row.run.planned_epochs, says=f"{row.name} is finished."),
            lambda change: self._resume(paths, int(change.value or 0)) if change else None,
        )

    def _resume(self, paths: RunPaths, epochs: int | None) -> None:
        try:
            started = supervisor.resume(paths, epochs=epochs)
        except (TuitrainError, OSError) as error:
            self._say(safe(error))
            return
        self.open(paths, started)

    def action_mark(self) -> None:
        if (row := self._row()) is not None:
            if row.directory in self._marked:
                self._marked.remove(row.directory)
            else:
                self._marked.append(row.directory)
            self._show()

    def action_compare(self) -> None:
        rows = to_compare(self._all(), self._row(), self._marked)
        if len(rows) < 2:
            self.notify("Mark two runs with m: C compares them.")
            return
        try:
            screen = CompareScreen([row.directory for row in rows])
        except (TuitrainError, OSError, ValueError) as error:
            self._say(f"cannot compare: {safe(error)}")
            return
        self.app.push_screen(screen)

    def action_sort(self) -> None:
        self.order = ORDERS[(ORDERS.index(self.order) + 1) % len(ORDERS)]

    def action_filter(self) -> None:
        self.filter.display = True
        self.filter.focus()

    def action_unfilter(self) -> None:
        self.filter.value = ""
        self.filter.display = False
        self.table.focus()

    def on_input_changed(self) -> None:
        self._show()

    def on_input_submitted(self) -> None:
        self.filter.display = bool(self.filter.value)
        self.table.focus()

    def action_help(self) -> None:
        explained = [each for each in self.BINDINGS if isinstance(each, Binding)]
        self.app.push_screen(HelpScreen(explained, signs=()))

    def _say(self, message: str) -> None:
        self.notify(message, severity="error", markup=False)
