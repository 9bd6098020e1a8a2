"""The screen of one run: it reads the record of the run and sends commands."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path

from textual import events, getters
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, Horizontal, Vertical
from textual.reactive import reactive, var

from tuitrain.connection.client import Client
from tuitrain.connection.follower import Follower
from tuitrain.connection.parent import curves_of
from tuitrain.core.commands import Stop
from tuitrain.core.events import CheckpointGone, CheckpointSaved, Event
from tuitrain.core.safe import safe
from tuitrain.store.delta import Cursor
from tuitrain.trainer.supervisor import Started
from tuitrain.tui.alert import Alert
from tuitrain.tui.driver import Complete
from tuitrain.tui.errors import until_left
from tuitrain.tui.refresh import PULL_S, Refresh, is_idle
from tuitrain.tui.screens.charting import ChartingScreen
from tuitrain.tui.screens.fork import fork
from tuitrain.tui.screens.help import HelpScreen
from tuitrain.tui.screens.leave import leave
from tuitrain.tui.screens.note import What, write
from tuitrain.tui.screens.resume import resume
from tuitrain.tui.screens.steering import SteeringScreen
from tuitrain.tui.screens.viewing import ViewingScreen
from tuitrain.tui.views import STEPS, VIEWS, Panel
from tuitrain.tui.widgets.dialog import dialogs_over
from tuitrain.tui.widgets.filter import Filter
from tuitrain.tui.widgets.keys_footer import KeysFooter
from tuitrain.tui.widgets.loss_chart import LossChart
from tuitrain.tui.widgets.metric_charts import MetricCharts
from tuitrain.tui.widgets.run_panels import (
    EpochTable,
    Events,
    Progress,
    RunAdvice,
    RunHeader,
    Vitals,
)
from tuitrain.tui.widgets.views import PanelPicture, Tabs, Views
from tuitrain.view.chart.run_charts import Charted, loss_chart
from tuitrain.view.panel.news import as_message, news, since_shown
from tuitrain.view.panel.panels import waiting
from tuitrain.view.panel.reads import Reads
from tuitrain.view.state.progress import has_begun
from tuitrain.view.state.snapshot import Snapshot

_FIRST_LOOK_S = 2.0
"""Seconds for which keys wait for the first look: a disk that hangs must not keep the user here."""


def is_routine(event: Event) -> bool:
    """Return whether an event may wait: a run that learns has a new best epoch again and again."""
    is_saved = isinstance(event, CheckpointSaved) and event.command is None
    return is_saved or isinstance(event, CheckpointGone)


class RunScreen(ViewingScreen, inherit_bindings=False):
    """Follow a run and show its record."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide"), (180, "-huge")]
    AUTO_FOCUS = ""
    VERTICAL_BREAKPOINTS = [(0, "-short"), (16, "-high"), (34, "-tall")]
    BINDINGS = [
        *SteeringScreen.BINDINGS,
        *ChartingScreen.BINDINGS,
        Binding("f", "fork", "Fork", id="run.fork",
                tooltip="Begin another run from one of its epochs"),
        Binding("R", "resume", "Resume", key_display="R", id="run.resume",
                tooltip="Go on with a run that ended; past its end, with more epochs"),
        Binding("n", "write('note')", "Note", show=False, id="run.note",
                tooltip="Keep a note about the run, at its present step"),
        Binding("number_sign", "write('tag')", "Tag", key_display="#", show=False, id="run.tag",
                tooltip="Tag the run, or take a tag off"),
        *ViewingScreen.BINDINGS,
        Binding("q", "leave", "Leave", id="run.leave", tooltip="Leave: detach, stop or cancel"),
        Binding("ctrl+c", "leave", "Leave", show=False, id="run.interrupt", tooltip="Like q"),
        Binding("question_mark", "help", "Help", key_display="?", id="run.help",
                tooltip="Keys and signs"),
    ]  # fmt: skip

    fast_snapshot: var[Snapshot | None] = var(None)
    """For the numbers, and the bars of progress."""
    slow_snapshot: var[Snapshot | None] = var(None)
    """For everything else: of the same epoch as the fast one."""
    phase: reactive[str] = reactive("starting", bindings=True, repaint=False)

    header = getters.query_one("#header", RunHeader)
    metrics = getters.query_one("#metrics", MetricCharts)
    footer = getters.query_one(KeysFooter)

    def __init__(
        self,
        directory: Path,
        started: Started | None = None,
        *,
        leave: Callable[[Snapshot], object],
    ) -> None:
        """`leave` is called with the newest snapshot when the user leaves the screen."""
        client = Client(directory)
        self._follower = Follower(client)
        super().__init__(client, self._follower.run)
        self._curves = curves_of(client)
        self._reads = Reads(
            client.record, self._curves, client.output,
            search=lambda: self.wanted, chart_view=lambda: self.chart_view,
            sample=lambda: self.sample,
        )  # fmt: skip
        self._close = leave
        self._started = started
        self._opened_at = time.time()
        self._refresh = Refresh(time.monotonic())
        self._has_looked = False
        self._has_begun = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()

    def compose(self) -> ComposeResult:
        yield RunHeader(id="header").data_bind(RunScreen.pending, snapshot=RunScreen.slow_snapshot)
        yield Vitals(id="vitals").data_bind(snapshot=RunScreen.fast_snapshot)
        yield Tabs(id="tabs")
        with Views(initial=VIEWS[0].id, id="views"):
            yield from self._compose_training()
            for view in VIEWS[1:]:
                with Container(id=view.id):
                    yield from map(self._made, view.panels)
        yield RunAdvice(id="advice").data_bind(snapshot=RunScreen.slow_snapshot)
        yield from self.compose_guide()
        yield Filter()
        yield KeysFooter(is_held=True)

    def _compose_training(self) -> ComposeResult:
        with Horizontal(id=VIEWS[0].id):
            with Vertical(id="curves", classes="box"):
                yield LossChart(self._draw, id="loss").data_bind(subject=RunScreen.slow_snapshot)
                yield MetricCharts(self._curves, id="metrics")
                yield Progress(id="progress").data_bind(snapshot=RunScreen.fast_snapshot)
            with Horizontal(id="side", classes="box"):
                yield self._made(STEPS, at="-beside")
                yield EpochTable(id="epochs").data_bind(snapshot=RunScreen.slow_snapshot)
                yield Events(id="events").data_bind(snapshot=RunScreen.slow_snapshot)

    def compose_guide(self) -> ComposeResult:
        """Yield what leads through the screen: nothing, but on the tour."""
        yield from ()

    def _made(self, panel: Panel, at: str = "") -> PanelPicture:
        picture = PanelPicture(panel, self._reads, at=at)
        return picture if panel.is_fast else picture.data_bind(subject=RunScreen.slow_snapshot)

    def on_mount(self) -> None:
        view, panel = self.first_view()
        self.show_view(view)
        self.views.enlarge_named(panel)
        self.tabs.is_alone = bool(self.views.alone)
        self.run_worker(self._begin())
        self.set_interval(PULL_S, self.follow)

    def on_screen_resume(self) -> None:
        if self._has_looked:
            self.run_worker(self._publish(at_once=True))

    async def on_key(self, event: events.Key) -> None:
        with suppress(TimeoutError):  # before the first look, what a key means is unknown
            await asyncio.wait_for(self._has_begun.wait(), _FIRST_LOOK_S)
        self._refresh.key_pressed(time.monotonic())
        self.say_why_not(event.key)

    @until_left
    async def _begin(self) -> None:
        """Show nothing before the record is read."""
        await self.follow()
        self._has_begun.set()
        self.footer.release()
        self.call_after_refresh(self.post_message, Complete())

    @until_left
    async def follow(self) -> None:
        """Read new events and update the panels."""
        async with self._one_at_a_time:
            has_no_news = not self._pending and is_idle(self._latest)
            if self._refresh.pull(time.monotonic(), is_idle=has_no_news):
                await self._look()

    async def _look(self) -> None:
        try:
            before, self._latest = self._latest, await asyncio.to_thread(self._follower.look)
        except Exception as error:  # noqa: BLE001 - an unreadable record must not end the app
            self._broken.show(f"cannot read the run: {safe(error)}")
            return
        if self._has_looked and news(before, self._latest):
            self.post_message(Alert(as_message(self._latest)))
        self._has_looked = True
        if self._started is not None:
            self._started.process.poll()  # an ended trainer is no zombie
        self.update_pending()
        await self.explain_silence()
        await self._publish(
            at_once=not all(is_routine(new.event) for new in self._follower.delta.events)
            or (self._latest.condition, self._latest.notes) != (before.condition, before.notes)
        )

    @until_left
    async def _publish(self, *, at_once: bool) -> None:
        """Update the panels, unless a dialog covers them: then the dialog says what happened."""
        if not self.is_active:
            self._tell_dialogs()
            return
        latest, shown = self._latest, self.slow_snapshot
        waits = not has_begun(latest) or (shown is not None and not has_begun(shown))
        if latest == shown == self.fast_snapshot and not (at_once or waits):  # as in a pause
            if self.chart.is_due:
                await self.chart.draw_if_stale()
            return
        if at_once or waits or self._refresh.is_slow_due:
            if waits:  # what stands in the chart's place is the reason for the header's state
                self.chart.mark_stale()
                await self.chart.draw_of(latest)
            await self._publish_all(latest, at_once=at_once)
        elif self._is_of_shown_epoch(latest) and self._is_fast_due:
            await self.views.draw_fast(latest)  # first: it has the numbers of the vitals
            self.fast_snapshot = latest
        self.phase = latest.condition

    def _tell_dialogs(self) -> None:
        if (shown := self.slow_snapshot) is not None:
            for dialog in dialogs_over(self):
                dialog.news = since_shown(shown, self._latest)

    async def _publish_all(self, latest: Snapshot, *, at_once: bool) -> None:
        """Update all panels: together, for one frame, or else the numbers before the charts.

        While keys are pressed, no frame waits for a drawing; and the first one never does.
        """
        if self.slow_snapshot is None:
            self.fast_snapshot = self.slow_snapshot = self.metrics.subject = latest
            self.views.tell_fast(latest)
            return
        with self.app.batch_update() if self._refresh.is_calm else nullcontext():
            if self.chart.is_due and not at_once:
                await self.chart.draw_of(latest)
            await self.views.draw_fast(latest)
            if at_once:
                self.fast_snapshot = latest
            await self.metrics.draw_of(latest)  # its titles have numbers of the vitals, too
            self.fast_snapshot = self.slow_snapshot = latest
        self.check_idle()  # for a frame with what was held

    @property
    def _is_fast_due(self) -> bool:
        return self._refresh.is_fast_due(has_many=self.views.shows_fast)

    def _is_of_shown_epoch(self, latest: Snapshot) -> bool:
        """Return whether a batch may be shown beside the epochs that the screen shows now."""
        shown = self.slow_snapshot
        return shown is not None and shown.last_epoch == latest.last_epoch

    def watch_chart_view(self) -> None:
        """Draw all charts in the new way at once."""
        if self.is_mounted:
            self.chart.draw_now()
            self.metrics.look(self.chart_view)
            self.views.mark_stale()

    def _draw(self, run: Snapshot, width: int, height: int) -> Charted:
        if not has_begun(run):
            since = self._opened_at if run.stage_since is None else run.stage_since
            return Charted(waiting(run, max(0.0, time.time() - since), width, height))
        was_log = self.chart.is_log
        return loss_chart(run, self._curves, width, height, self.chart_view, was_log=was_log)

    def action_leave(self) -> None:
        stop = partial(self.send, Stop())
        leave(self, lambda: self._latest, stop=stop, close=self._close)

    def action_fork(self) -> None:
        fork(self, self._latest, self._show_fork)

    def _show_fork(self, started: Started) -> None:
        """Show the fork; who leaves it comes to the list of runs, or here if the app began here."""
        leave = self._come_back if self.app.screen_stack[0] is self else self._close
        self.app.push_screen(RunScreen(started.paths.directory, started, leave=leave))

    def _come_back(self, _last: Snapshot) -> None:
        while self.app.screen is not self:
            self.app.pop_screen()

    def action_write(self, what: What) -> None:
        write(self, self._latest, what, lambda: self.run_worker(self._look_now()))

    @until_left
    async def _look_now(self) -> None:
        async with self._one_at_a_time:
            await self._look()

    def action_resume(self) -> None:
        resume(self, self._latest, self._follow_again)

    def _follow_again(self, started: Started) -> None:
        self._started, self._opened_at = started, time.time()
        self.run_worker(self._look_again(started.since))

    @until_left
    async def _look_again(self, since: Cursor | None) -> None:
        async with self._one_at_a_time:
            self._latest = await asyncio.to_thread(self._follower.look_at_a_restart, since)
            await self._publish(at_once=True)

    def action_help(self) -> None:
        self.app.push_screen(
            HelpScreen([binding for binding in self.BINDINGS if isinstance(binding, Binding)])
        )
