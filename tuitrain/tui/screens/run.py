"""The screen of one run: it reads the record of the run and sends commands."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from textual import events, getters
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.reactive import reactive, var
from textual.widgets import Footer

from tuitrain.connection.client import Client
from tuitrain.connection.follower import Follower
from tuitrain.connection.parent import curves_of
from tuitrain.core.commands import Stop
from tuitrain.core.errors import TuitrainError
from tuitrain.core.safe import safe
from tuitrain.trainer.supervisor import Started
from tuitrain.tui.screens.choice import Choice, ChoiceScreen
from tuitrain.tui.screens.epoch import FORK, EpochScreen
from tuitrain.tui.screens.help import HelpScreen
from tuitrain.tui.screens.new_run import Fork, NewRunScreen
from tuitrain.tui.screens.resume import resume
from tuitrain.tui.screens.steering import SteeringScreen
from tuitrain.tui.widgets.loss_chart import LossChart
from tuitrain.tui.widgets.metric_charts import MetricCharts
from tuitrain.tui.widgets.run_panels import Epochs, Events, Header, Progress, Vitals
from tuitrain.view.chart import multiples
from tuitrain.view.chart.curves import loss_chart
from tuitrain.view.panel.forks import kept_epochs, none_kept
from tuitrain.view.panel.panels import waiting
from tuitrain.view.picture import Picture
from tuitrain.view.state.progress import has_begun
from tuitrain.view.state.snapshot import Snapshot, State

PULL_S = 1 / 3
LIVELY_EVERY, CALM_EVERY = 2, 5
"""Pulls between two updates of the slow snapshot: soon after a key, and otherwise.

An event updates both snapshots at once."""
CALM_FAST_EVERY = 2
"""Pulls between two updates of the fast snapshot when no key was pressed lately."""
LIVELY_FOR_S = 30.0
"""Seconds after a key in which the screen is updated at the higher rates."""
IDLE_EVERY = 3
"""Pulls between two reads of a run that does not train; it may be resumed from elsewhere."""


class RunScreen(SteeringScreen, inherit_bindings=False):
    """Follow a run and show its record."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (16, "-high"), (34, "-tall")]
    BINDINGS = [
        *SteeringScreen.BINDINGS,
        Binding("f", "fork", "Fork", id="run.fork",
                tooltip="Begin another run from one of its epochs"),
        Binding("R", "resume", "Resume", key_display="R", show=False, id="run.resume",
                tooltip="Go on with a run that ended; past its end, with more epochs"),
        Binding("v", "curves", "Curves", show=False, id="run.curves",
                tooltip="Comparable curves in the loss chart's place, and back"),
        Binding("q", "leave", "Leave", id="run.leave", tooltip="Leave: detach, stop or cancel"),
        Binding("ctrl+c", "leave", "Leave", show=False, id="run.interrupt", tooltip="Like q"),
        Binding("question_mark", "help", "Help", key_display="?", id="run.help",
                tooltip="Keys and signs"),
    ]  # fmt: skip

    fast_snapshot: var[Snapshot | None] = var(None)
    """For step and loss."""
    slow_snapshot: var[Snapshot | None] = var(None)
    """For everything else."""
    phase: reactive[State] = reactive("starting", bindings=True, repaint=False)

    header = getters.query_one("#header", Header)
    chart = getters.query_one("#loss", LossChart)
    metrics = getters.query_one("#metrics", MetricCharts)

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
        self._close = leave
        self._started = started
        self._opened_at = self._key_at = time.monotonic()
        self._pulls = 0
        self._has_looked = False
        self._one_at_a_time = asyncio.Lock()

    def compose(self) -> ComposeResult:
        yield Header(id="header").data_bind(RunScreen.slow_snapshot, RunScreen.pending)
        yield Vitals(id="vitals").data_bind(RunScreen.fast_snapshot, RunScreen.slow_snapshot)
        with Horizontal(id="middle"):
            with Vertical(id="curves"):
                yield LossChart(self._draw, id="loss").data_bind(subject=RunScreen.slow_snapshot)
                yield MetricCharts(self._draw_metrics, id="metrics").data_bind(
                    subject=RunScreen.slow_snapshot
                )
                yield Progress(id="progress").data_bind(RunScreen.slow_snapshot)
            with Horizontal(id="side"):
                yield Epochs(id="epochs").data_bind(RunScreen.slow_snapshot)
                yield Events(id="events").data_bind(RunScreen.slow_snapshot)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.run_worker(self.follow())  # nothing is painted before the record is read
        self.set_interval(PULL_S, self.follow)

    def on_screen_resume(self) -> None:
        if self._has_looked:
            self._publish(at_once=True)

    def on_key(self, event: events.Key) -> None:
        self._key_at = time.monotonic()
        self.say_why_not(event.key)

    async def follow(self) -> None:
        """Read new events and update the panels."""
        async with self._one_at_a_time:
            self._pulls += 1
            if not self._is_idle or self._pulls % IDLE_EVERY == 0:
                await self._look()

    @property
    def _is_idle(self) -> bool:
        """Whether the run does not train, and no command that may change that is pending."""
        run = self._latest
        if run.state != "paused":
            return run.has_ended
        pending = any(command.state == "pending" for command in run.interventions)
        return not (pending or self._pending)

    async def _look(self) -> None:
        try:
            before, self._latest = self._latest, await asyncio.to_thread(self._follower.look)
        except Exception as error:  # noqa: BLE001 - an unreadable record must not end the app
            self.complain(f"cannot read the run: {safe(error)}")
            return
        self._has_looked = True
        self._reap()
        self.update_pending()
        await self.explain_silence()
        self._publish(
            at_once=bool(self._follower.delta.events) or self._latest.state != before.state
        )

    def _publish(self, *, at_once: bool) -> None:
        """Update the panels, unless a dialog covers them."""
        if not self.is_active:
            return
        latest = self._latest
        starting = latest.state == "starting"
        is_lively = time.monotonic() - self._key_at < LIVELY_FOR_S
        fast_every, slow_every = (1, LIVELY_EVERY) if is_lively else (CALM_FAST_EVERY, CALM_EVERY)
        if at_once or starting or self._pulls % fast_every == 0:
            self.fast_snapshot = latest
        if at_once or starting or self._pulls % slow_every == 0:
            self.slow_snapshot = latest
        if starting:
            self.chart.mark_stale()
        self.phase = latest.state

    def _draw(self, run: Snapshot, width: int, height: int) -> Picture:
        if not has_begun(run):
            return waiting(run, time.monotonic() - self._opened_at, width, height)
        return loss_chart(run, self._curves, width, height)

    def _draw_metrics(self, run: Snapshot, width: int, height: int) -> Picture:
        return multiples.of_run(run, self._curves, width, height)

    def _reap(self) -> None:
        if self._started is not None:
            self._started.process.poll()

    def action_curves(self) -> None:
        """Show the metric charts in place of the loss chart, or the loss chart again."""
        self.toggle_class("-metrics")

    def action_leave(self) -> None:
        if self._latest.has_ended:
            self._close(self._latest)
            return
        question = f"{self._latest.title} is {self._latest.state}. Leave the screen and …"
        choices = [
            Choice("detach", "d", "Detach: it goes on without the screen"),
            Choice("stop", "s", "Stop it, with a checkpoint"),
            Choice("stay", "c", "Cancel"),
        ]
        self.app.push_screen(ChoiceScreen("Leave", question, choices), self._leave)

    def _leave(self, chosen: str | None) -> None:
        if chosen == "stop":
            self.send(Stop())
            self.set_interval(PULL_S, self._exit_when_ended)
        elif chosen == "detach":
            self._close(self._latest)

    def _exit_when_ended(self) -> None:
        if self._latest.has_ended:
            self._close(self._latest)

    def action_fork(self) -> None:
        kept = kept_epochs(self._latest)
        if not kept:
            self.notify(none_kept(self._latest))
            return
        dialog = EpochScreen(f"fork {self._client.name}", FORK, kept)
        self.app.push_screen(dialog, self._fork)

    def _fork(self, epoch: int | None) -> None:
        if epoch is None:
            return
        try:
            fork = Fork.of(self._client.paths, epoch)
        except (TuitrainError, OSError) as error:
            self.notify(safe(error), severity="error", markup=False)
            return
        home = self._client.paths.directory.parent.parent
        self.app.push_screen(NewRunScreen(home, fork), self._show_fork)

    def _show_fork(self, started: Started | None) -> None:
        if started is not None:
            child = RunScreen(started.paths.directory, started, leave=self._come_back)
            self.app.push_screen(child)

    def _come_back(self, _last: Snapshot) -> None:
        while self.app.screen is not self:
            self.app.pop_screen()

    def action_resume(self) -> None:
        resume(self, self._latest, self._follow_again)

    def _follow_again(self, started: Started) -> None:
        self._started, self._opened_at = started, time.monotonic()
        self.run_worker(self._look_again())

    async def _look_again(self) -> None:
        async with self._one_at_a_time:
            self._latest = await asyncio.to_thread(self._follower.look_at_a_restart)
        self._publish(at_once=True)

    def action_help(self) -> None:
        self.app.push_screen(
            HelpScreen([binding for binding in self.BINDINGS if isinstance(binding, Binding)])
        )
