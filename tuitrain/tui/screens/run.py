"""The screen of one run: it pulls what the run says and sends it wishes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from textual import getters
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.reactive import reactive, var
from textual.screen import Screen
from textual.widgets import Footer

from tuitrain.client import Client
from tuitrain.core.commands import (
    Boundary,
    Change,
    Pause,
    Request,
    Resume,
    SaveCheckpoint,
    Setting,
    Step,
    Stop,
    SwapLoss,
    Undo,
    Wish,
)
from tuitrain.core.safe import safe
from tuitrain.store.reader import Cursor
from tuitrain.supervisor import Started
from tuitrain.tui.screens.choice import Choice, ChoiceScreen
from tuitrain.tui.screens.help import HelpScreen
from tuitrain.tui.screens.losses import LossesScreen
from tuitrain.tui.screens.number import NumberScreen
from tuitrain.tui.widgets.loss_chart import LossChart
from tuitrain.tui.widgets.run_panels import Epochs, Events, Header, Progress, Vitals
from tuitrain.view.curves import loss_chart
from tuitrain.view.fold import fold
from tuitrain.view.model import Snapshot, State
from tuitrain.view.pace import faster, slower
from tuitrain.view.panels import waiting
from tuitrain.view.picture import Picture
from tuitrain.view.words import duration

PULL_S = 1 / 3
LIVELY_EVERY, CALM_EVERY = 2, 5
"""Pulls between two repaints of all but step and loss, unless something happens: while somebody
pressed a key not long ago, and when nobody did."""
LIVELY_FOR_S = 30.0
ASK_FROM_S = 10.0
"""Training that is left behind without a question."""
ENDED_EVERY = 3
"""Pulls between two looks at a run that has ended: somebody may resume it."""
ANSWER_S = (0.05, 0.1, 0.15, 0.2, 0.3)
"""After a wish: when to look for its answer, without waiting for the next pull."""


class RunScreen(Screen[None]):
    """Follow a run, show what its record says, and nothing else."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (16, "-high")]
    BINDINGS = [
        Binding("space", "pause", "Pause", id="run.pause", tooltip="Pause after this batch"),
        Binding("space", "go_on", "Go on", id="run.go_on", tooltip="Go on, when paused"),
        Binding("p", "pause_at_epoch", "Epoch", id="run.pause_epoch",
                tooltip="Pause at the end of this epoch; again: take it back"),
        Binding("full_stop", "step", "Step", key_display=".", id="run.step",
                tooltip="Train one batch, then pause"),
        Binding("l", "losses", "Loss", id="run.loss", tooltip="Swap the loss function"),
        Binding("less_than_sign", "slower", "Slower", key_display="<", show=False, id="run.slower",
                tooltip="Fewer batches a second"),
        Binding("greater_than_sign", "faster", "Faster", key_display=">", id="run.faster",
                tooltip="More batches a second"),
        Binding("r", "rate", "Rate", id="run.rate", tooltip="Change the learning rate"),
        Binding("e", "epochs", "Epochs", show=False, id="run.epochs",
                tooltip="Change the number of epochs in all"),
        Binding("c", "checkpoint", "Checkpoint", show=False, id="run.checkpoint",
                tooltip="Save a checkpoint after this batch"),
        Binding("u", "undo", "Undo", id="run.undo",
                tooltip="Go back to just before the last change"),
        Binding("S", "stop", "Stop", key_display="S", id="run.stop",
                tooltip="End the run with a checkpoint (asks)"),
        Binding("q", "leave", "Leave", id="run.leave", tooltip="Leave: detach, stop or cancel"),
        Binding("ctrl+c", "leave", "Leave", show=False, id="run.interrupt", tooltip="Like q"),
        Binding("question_mark", "help", "Help", key_display="?", id="run.help",
                tooltip="Keys and signs"),
    ]  # fmt: skip

    now: var[Snapshot | None] = var(None)
    settled: var[Snapshot | None] = var(None)
    asked: var[tuple[str, ...]] = var(())
    phase: reactive[State] = reactive("starting", bindings=True, repaint=False)

    header = getters.query_one("#header", Header)
    chart = getters.query_one("#loss", LossChart)

    def __init__(
        self,
        directory: Path,
        started: Started | None = None,
        *,
        leave: Callable[[Snapshot], object],
    ) -> None:
        """`leave` takes the run as it was found last, when the user has enough of it."""
        super().__init__()
        self._go_away = leave
        self._client = Client(directory)
        self._started = started
        self._cursor = Cursor()
        self._asked: list[Request] = []
        self._opened = self._touched = time.monotonic()
        self._pulls = 0
        self._one_at_a_time = asyncio.Lock()
        self._broken = ""
        self._latest = Snapshot.begin(
            self._client.name, directory, self._client.spec(), self._client.created_at()
        )

    @property
    def latest(self) -> Snapshot:
        """The run as it was found last."""
        return self._latest

    def compose(self) -> ComposeResult:
        yield Header(id="header").data_bind(RunScreen.settled, RunScreen.asked)
        yield Vitals(id="vitals").data_bind(RunScreen.now, RunScreen.settled)
        with Horizontal(id="middle"):
            with Vertical(id="curves"):
                yield LossChart(self._draw, id="loss").data_bind(RunScreen.settled)
                yield Progress(id="progress").data_bind(RunScreen.settled)
            with Horizontal(id="side"):
                yield Epochs(id="epochs").data_bind(RunScreen.settled)
                yield Events(id="events").data_bind(RunScreen.settled)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.now = self.settled = self._latest
        self.set_interval(PULL_S, self.follow)

    def on_key(self) -> None:
        self._touched = time.monotonic()

    async def follow(self) -> None:
        """Take in what was appended since the last look, and let the panels follow."""
        async with self._one_at_a_time:
            self._pulls += 1
            if not self._latest.has_ended or self._pulls % ENDED_EVERY == 0:
                await self._look()

    async def _look(self) -> None:
        try:
            look = await asyncio.to_thread(self._client.look, self._cursor)
        except Exception as error:  # noqa: BLE001 - the screen outlives a record it cannot read
            self._say_broken(f"cannot read the run: {safe(error)}")
            return
        self._reap()
        self._cursor = look.delta.cursor
        before, self._latest = (
            self._latest,
            fold(self._latest, look.delta, alive=look.alive, pid=look.pid),
        )
        self._answered()
        self._publish(at_once=bool(look.delta.events) or self._latest.state != before.state)

    def _publish(self, *, at_once: bool) -> None:
        latest = self._latest
        starting = latest.state == "starting"
        self.now = latest
        is_lively = time.monotonic() - self._touched < LIVELY_FOR_S
        every = LIVELY_EVERY if is_lively else CALM_EVERY
        if at_once or starting or self._pulls % every == 0:
            self.settled = latest
        if starting:
            self.chart.settle_again()
        self.phase = latest.state

    def _draw(self, run: Snapshot, width: int, height: int) -> Picture:
        if run.step == 0:
            return waiting(run, time.monotonic() - self._opened, width, height)
        return loss_chart(run, self._client, width, height)

    def _reap(self) -> None:
        if self._started is not None:
            self._started.process.poll()

    def _say_broken(self, message: str) -> None:
        if message != self._broken:
            self._broken = message
            self.notify(message, severity="error", markup=False)

    # Wishes: sent, and shown as asked for until the trainer has answered.

    def _send(self, wish: Wish, at: Boundary | None = None) -> None:
        if self._latest.has_ended:
            self.notify(f"The run is {self._latest.state}: nothing was asked of it.")
            return
        try:
            self._asked.append(self._client.send(wish, at))
        except OSError as error:
            self._say_broken(f"cannot send it: {safe(error.strerror)}")
        self._show_asked()
        for wait_s in ANSWER_S:
            self.set_timer(wait_s, self.follow)

    def _answered(self) -> None:
        heard = {each.id for each in self._latest.interventions}
        self._asked = [each for each in self._asked if each.id not in heard]
        if self._latest.has_ended:
            for request in self._asked:
                self._client.take_back(request)
            self._asked = []
        self._show_asked()

    def _show_asked(self) -> None:
        self.asked = tuple(f"{each.wish.kind} {each.wish.detail}".strip() for each in self._asked)

    def check_action(self, action: str, _parameters: tuple[object, ...]) -> bool | None:
        """Grey what an ended run cannot do; of two actions on one key, hide the idle one."""
        if action in ("pause", "go_on"):
            paused = self._latest.state == "paused"
            if paused != (action == "go_on"):
                return False
        steers = (
            "pause", "go_on", "pause_at_epoch", "step", "slower", "faster", "stop", "losses",
            "rate", "epochs", "checkpoint", "undo",
        )  # fmt: skip
        return None if action in steers and self._latest.has_ended else True

    def action_pause(self) -> None:
        self._send(Pause())

    def action_go_on(self) -> None:
        self._send(Resume())

    def action_pause_at_epoch(self) -> None:
        if self._latest.state == "pausing":
            self._send(Resume())
        else:
            self._send(Pause(), "epoch")

    def action_step(self) -> None:
        self._send(Step())

    def action_slower(self) -> None:
        self._send(Change("pace", slower(self._pace(), self._latest.rate)))

    def action_faster(self) -> None:
        self._send(Change("pace", faster(self._pace())))

    def _pace(self) -> float | None:
        paces = [each.wish for each in self._asked if each.wish.kind == "pace"]
        return paces[-1].value if paces else self._latest.pace  # type: ignore[union-attr]

    def action_losses(self) -> None:
        self.app.push_screen(LossesScreen(lambda: self._latest, self._client.glance), self._swap)

    def _swap(self, loss: str | None) -> None:
        if loss is not None:
            self._send(SwapLoss(loss))

    def action_rate(self) -> None:
        self._ask_for("lr")

    def action_epochs(self) -> None:
        self._ask_for("epochs")

    def _ask_for(self, setting: Setting) -> None:
        value = self._latest.settings[setting]
        self.app.push_screen(
            NumberScreen(setting, value), lambda change: self._send(change) if change else None
        )

    def action_checkpoint(self) -> None:
        self._send(SaveCheckpoint())

    def action_undo(self) -> None:
        behind_s = self._latest.since_change_s
        if behind_s is None or behind_s <= ASK_FROM_S:
            self._send(Undo())
            return
        question = f"Leave {duration(behind_s)} of training behind? An undo can be undone."
        choices = [Choice("undo", "y", "Go back"), Choice("stay", "n", "Stay here")]
        self.app.push_screen(
            ChoiceScreen("Undo", question, choices),
            lambda chosen: self._send(Undo()) if chosen == "undo" else None,
        )

    def action_stop(self) -> None:
        question = "End this run? It saves a checkpoint first."
        choices = [Choice("stop", "y", "Stop the run"), Choice("stay", "n", "Let it train")]
        self.app.push_screen(
            ChoiceScreen("Stop", question, choices),
            lambda chosen: self._send(Stop()) if chosen == "stop" else None,
        )

    def action_leave(self) -> None:
        if self._latest.has_ended:
            self._go_away(self._latest)
            return
        question = f"{self._client.name} is {self._latest.state}. Leave the screen and …"
        choices = [
            Choice("detach", "d", "Detach: it goes on without the screen"),
            Choice("stop", "s", "Stop it, with a checkpoint"),
            Choice("stay", "c", "Cancel"),
        ]
        self.app.push_screen(ChoiceScreen("Leave", question, choices), self._leave)

    def _leave(self, chosen: str | None) -> None:
        if chosen == "stop":
            self._send(Stop())
            self.set_interval(PULL_S, self._exit_when_ended)
        elif chosen == "detach":
            self._go_away(self._latest)

    def _exit_when_ended(self) -> None:
        if self._latest.has_ended:
            self._go_away(self._latest)

    def action_help(self) -> None:
        self.app.push_screen(
            HelpScreen([each for each in self.BINDINGS if isinstance(each, Binding)])
        )
