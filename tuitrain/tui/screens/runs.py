"""The list of runs, live and ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from textual import getters
from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from tuitrain.core.safe import safe
from tuitrain.trainer.supervisor import Started
from tuitrain.tui.alert import Alert
from tuitrain.tui.driver import Complete
from tuitrain.tui.home import Home
from tuitrain.tui.palette import ScreenCommands
from tuitrain.tui.screens.compare import CompareScreen
from tuitrain.tui.screens.help import HelpScreen
from tuitrain.tui.screens.new_run import NewRunScreen
from tuitrain.tui.screens.run_actions import RunActionsScreen
from tuitrain.tui.widgets.filter import Filter
from tuitrain.tui.widgets.keys_footer import KeysFooter
from tuitrain.tui.widgets.runs_table import RunsTable
from tuitrain.view.panel.news import as_message, news
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text.listing import ORDERS, Row, heading, ordered, to_compare, to_delete

_LOOK_S = 1.0


class RunsScreen(RunActionsScreen):
    """Show the runs of a home; sort, filter and compare them, or start a new one."""

    COMMANDS = {ScreenCommands}
    BINDINGS = [
        *RunActionsScreen.BINDINGS,
        Binding("n", "new", "New", id="runs.new", tooltip="Fill in the form for a new run"),
        Binding("m", "mark", "Mark", show=False, id="runs.mark",
                tooltip="Mark this run, to compare or delete it with others, or no longer"),
        Binding("C", "compare", "Compare", key_display="C", show=False, id="runs.compare",
                tooltip="The marked runs over each other; or this one and its newest neighbour"),
        Binding("s", "sort", "Sort", id="runs.sort",
                tooltip="Sort by newest, name, state, task, best"),
        Binding("slash", "filter", "Filter", key_display="/", id="runs.filter",
                tooltip="Show the runs with these words in name, tag or task"),
        Binding("q,ctrl+c", "app.exit_now", "Leave", key_display="q", id="runs.leave",
                tooltip="Leave; runs go on"),
        Binding("question_mark", "help", "Help", key_display="?", id="run.help",
                tooltip="Keys and signs"),
        Binding("escape", "unfilter", "All", show=False, id="runs.all", tooltip="Show all again"),
    ]  # fmt: skip

    order: reactive[str] = reactive(ORDERS[0], init=False)
    highlighted: reactive[str] = reactive("", bindings=True, repaint=False)

    table = getters.query_one(RunsTable)
    heading = getters.query_one("#heading", Static)
    filter = getters.query_one(Filter)

    def __init__(self, home: Path, seen: Callable[[Snapshot], None]) -> None:
        """`seen` is called with the last snapshot of a run that was watched."""
        super().__init__(seen)
        self._home = Home(home)
        self._rows: list[Row] = []
        self._marked: list[Path] = []
        self._looking = asyncio.Lock()
        self._broken = ""

    def compose(self) -> ComposeResult:
        yield Static(id="heading")
        yield RunsTable()
        yield Filter("words of a name, tag or task")
        yield KeysFooter()

    async def on_mount(self) -> None:
        self.table.focus()
        self.set_interval(_LOOK_S, self.follow)
        await self.follow()
        if not self._rows:
            self.action_new()
        self.call_after_refresh(self.post_message, Complete())

    async def on_screen_resume(self) -> None:
        await self.follow(is_news=False)

    @property
    def row(self) -> Row | None:
        """The highlighted run."""
        return self.table.highlighted

    @property
    def rows_to_delete(self) -> list[Row]:
        """The marked runs, without any the highlighted one, that have ended."""
        return to_delete(self._all(), self.row)

    async def follow(self, *, is_news: bool = True) -> None:
        """Read changed runs and update the list, the newest runs first.

        What happened since the last look is announced, unless the user was elsewhere: `is_news`.
        """
        if self._looking.locked() or not self.is_active:
            return
        async with self._looking:
            rows, before = list[Row](), {row.directory: row.run for row in self._rows}
            try:
                async for rows in self._home.read():
                    if len(rows) > len(self._rows):
                        self._rows = rows
                        self._show()
            except OSError as error:
                self._complain(f"cannot read the runs: {safe(error)}")
            self._rows = rows
            self._show()
            for row in rows if is_news else ():
                earlier = before.get(row.directory)
                if earlier and row.run and news(earlier, row.run):
                    self.post_message(Alert(as_message(row.run)))

    def _complain(self, message: str) -> None:
        if message != self._broken:
            self._broken = message
            self.report(message)

    def _show(self) -> None:
        rows = self._all()
        shown = ordered(rows, self.order, self.filter.value)
        self.table.show(shown)
        self._mark_highlighted()
        text = heading(rows, shown=len(shown), order=self.order, wanted=self.filter.value)
        self.heading.update(Content.styled(text, "$cell-muted"))

    def _all(self) -> list[Row]:
        return [row._replace(is_marked=row.directory in self._marked) for row in self._rows]

    def _mark_highlighted(self) -> None:
        row = self.row
        place = f"{row.directory} {row.run.state if row.run else ''}" if row else ""
        self.highlighted = f"{place} {len(self._marked)}"

    def on_data_table_row_highlighted(self) -> None:
        self._mark_highlighted()

    def on_data_table_row_selected(self) -> None:
        self.action_open()

    def action_new(self) -> None:
        self.app.push_screen(NewRunScreen(self._home.directory), self._open_started)

    def _open_started(self, started: Started | None) -> None:
        if started is not None:
            self.open(started.paths, started)

    def action_mark(self) -> None:
        if (row := self.row) is not None:
            if row.directory in self._marked:
                self._marked.remove(row.directory)
            else:
                self._marked.append(row.directory)
            self._show()

    def action_compare(self) -> None:
        rows = to_compare(self._all(), self.row, self._marked)
        if len(rows) < 2:
            self.notify("Mark two runs with m: C compares them.")
            return
        self.attempt(
            "compare",
            lambda: self.app.push_screen(CompareScreen([row.directory for row in rows])),
        )

    def action_sort(self) -> None:
        self.order = ORDERS[(ORDERS.index(self.order) + 1) % len(ORDERS)]

    def watch_order(self) -> None:
        self._show()

    def action_filter(self) -> None:
        self.filter.open()

    def action_unfilter(self) -> None:
        self.filter.reset()
        self.table.focus()

    def on_input_changed(self) -> None:
        self._show()

    def on_input_submitted(self) -> None:
        self.table.focus()

    def action_help(self) -> None:
        explained = [binding for binding in self.BINDINGS if isinstance(binding, Binding)]
        self.app.push_screen(HelpScreen(explained, signs=()))
