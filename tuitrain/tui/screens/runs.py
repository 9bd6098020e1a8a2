"""The list of runs, live and ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from textual import events, getters
from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.reactive import reactive
from textual.screen import Screen
from textual.widgets import Input, Static

from tuitrain.core.safe import safe
from tuitrain.store.paths import RunPaths
from tuitrain.trainer.supervisor import Started
from tuitrain.tui.alert import Alert
from tuitrain.tui.disabled import disabled_action
from tuitrain.tui.driver import Complete
from tuitrain.tui.errors import Complaint, attempt, until_left
from tuitrain.tui.home import Home
from tuitrain.tui.palette import ScreenCommands
from tuitrain.tui.screens.compare import CompareScreen
from tuitrain.tui.screens.help import HelpScreen
from tuitrain.tui.screens.new_run import NewRunScreen
from tuitrain.tui.screens.note import write
from tuitrain.tui.screens.resume import resume
from tuitrain.tui.screens.run import RunScreen
from tuitrain.tui.screens.run_end import delete, stop
from tuitrain.tui.widgets.filter import Filter
from tuitrain.tui.widgets.keys_footer import KeysFooter
from tuitrain.tui.widgets.runs_table import RunsTable
from tuitrain.view.panel.news import as_message, news
from tuitrain.view.state.possible import why_not
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text.listing import Row
from tuitrain.view.text.run_list import RunList

_LOOK_S = 1.0


class RunsScreen(Screen[None]):
    """Show the runs of a home; sort, filter and compare them, or start a new one."""

    COMMANDS = {ScreenCommands}
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

    highlighted: reactive[str] = reactive("", bindings=True, repaint=False)

    table = getters.query_one(RunsTable)
    heading = getters.query_one("#heading", Static)
    filter = getters.query_one(Filter)

    def __init__(self, home: Path, seen: Callable[[Snapshot], None]) -> None:
        """`seen` is called with the last snapshot of a run that was watched."""
        super().__init__()
        self._seen = seen
        self._home = Home(home)
        self._list = RunList()
        self._looking = asyncio.Lock()
        self._broken = Complaint(self)

    def compose(self) -> ComposeResult:
        yield Static(id="heading")
        yield RunsTable()
        yield Filter("words of a name, tag or task")
        yield KeysFooter()

    async def on_mount(self) -> None:
        self.table.focus()
        self.set_interval(_LOOK_S, self.follow)
        await self.follow()
        if not self._list.rows:
            self.action_new()
        self.call_after_refresh(self.post_message, Complete())

    async def on_screen_resume(self) -> None:
        await self.follow(is_news=False)

    @property
    def row(self) -> Row | None:
        """The highlighted run."""
        return self.table.highlighted

    @until_left
    async def follow(self, *, is_news: bool = True) -> None:
        """Read changed runs and update the list, the newest runs first.

        What happened since the last look is announced, unless the user was elsewhere: `is_news`.
        """
        if self._looking.locked() or not self.is_active:
            return
        async with self._looking:
            rows, before = list[Row](), self._list.rows
            try:
                async for rows in self._home.read():
                    if len(rows) > len(self._list.rows):
                        self._show(self._list.read(rows))
            except OSError as error:
                self._broken.show(f"cannot read the runs: {safe(error)}")
            self._show(self._list.read(rows))
            for run in _with_news(before, rows) if is_news else ():
                self.post_message(Alert(as_message(run)))

    def _show(self, runs: RunList) -> None:
        self._list = runs
        self.table.show(runs.shown)
        self._mark_highlighted()
        self._head()

    def _head(self) -> None:
        heading = self._list.heading(self.size.width, self.row)
        self.heading.update(Content.styled(heading, "$cell-muted"))

    def _mark_highlighted(self) -> None:
        row = self.row
        place = f"{row.directory} {row.run.state if row.run else ''}" if row else ""
        self.highlighted = f"{place} {len(self._list.marked)}"

    def check_action(self, action: str, _parameters: tuple[object, ...]) -> bool | None:
        """Return None, which greys the key, for what the highlighted run cannot do."""
        if action == "delete":
            return True if self._list.to_delete(self.row) else None
        if action not in ("open", "stop", "resume", "tag"):
            return True
        return True if self.row is not None and self.row.allows(action) else None

    def on_resize(self) -> None:
        self._head()

    def on_key(self, event: events.Key) -> None:
        """Say why a greyed key does nothing."""
        disabled, row = disabled_action(self, event.key), self.row
        if disabled is None or row is None:
            return
        if why := why_not(row.run, *disabled) if row.run else self._list.why_not_read(row):
            self.notify(why, markup=False)

    def on_data_table_row_highlighted(self) -> None:
        self._mark_highlighted()
        self._head()

    def on_data_table_row_selected(self) -> None:
        self.action_open()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._show(self._list.with_words(event.value))

    def on_input_submitted(self) -> None:
        self.table.focus()

    def open(self, paths: RunPaths, started: Started | None = None) -> None:
        """Show a run on top of the list."""
        attempt(
            self,
            f"open {safe(paths.name)}",
            lambda: self.app.push_screen(
                RunScreen(paths.directory, started, leave=self._come_back)
            ),
        )

    def _open_started(self, started: Started | None) -> None:
        if started is not None:
            self.open(started.paths, started)

    def _come_back(self, last: Snapshot) -> None:
        self._seen(last)
        while self.app.screen is not self:
            self.app.pop_screen()

    def action_open(self) -> None:
        if (row := self.row) is None:
            return
        if row.allows("open"):
            self.open(RunPaths(row.directory))
        else:
            self.notify(self._list.why_not_read(row), markup=False)

    def action_new(self) -> None:
        self.app.push_screen(NewRunScreen(self._home.directory), self._open_started)

    def action_resume(self) -> None:
        if (row := self.row) is not None and row.run is not None:
            resume(self, row.run, self._open_started)

    def action_stop(self) -> None:
        if (row := self.row) is not None:
            stop(self, row)

    def action_delete(self) -> None:
        delete(self, self._list.to_delete(self.row), lambda: self.call_later(self.follow))

    def action_tag(self) -> None:
        if (row := self.row) is not None and row.run is not None:
            write(self, row.run, "tag", lambda: self.call_later(self.follow))

    def action_mark(self) -> None:
        if (row := self.row) is not None:
            self._show(self._list.toggled(row.directory))

    def action_compare(self) -> None:
        rows = self._list.to_compare(self.row)
        if len(rows) < 2:
            self.notify("Mark two runs with m: C compares them.")
            return
        directories = [row.directory for row in rows]
        attempt(self, "compare", lambda: self.app.push_screen(CompareScreen(directories)))

    def action_sort(self) -> None:
        self._show(self._list.in_next_order())

    def action_filter(self) -> None:
        self.filter.open()

    def action_unfilter(self) -> None:
        self.filter.reset()
        self.table.focus()

    def action_help(self) -> None:
        explained = [binding for binding in self.BINDINGS if isinstance(binding, Binding)]
        self.app.push_screen(HelpScreen(explained, signs=()))


def _with_news(before: Sequence[Row], after: Sequence[Row]) -> Iterator[Snapshot]:
    """Yield the runs that something happened to between two looks."""
    earlier = {row.directory: row.run for row in before}
    for row in after:
        last = earlier.get(row.directory)
        if last and row.run and news(last, row.run):
            yield row.run
