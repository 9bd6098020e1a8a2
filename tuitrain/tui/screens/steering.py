"""The keys that steer a run. A command is shown as pending until the record has its answer."""

from __future__ import annotations

import asyncio
from functools import partial

from textual.binding import Binding
from textual.reactive import var
from textual.screen import Screen

from tuitrain.connection.client import Client
from tuitrain.connection.pending import PendingCommands
from tuitrain.core.commands import (
    Boundary,
    Change,
    Command,
    FindRate,
    Pause,
    Resume,
    Rollback,
    SaveCheckpoint,
    Setting,
    Step,
    Stop,
    SwapLoss,
    Undo,
)
from tuitrain.core.safe import safe
from tuitrain.tui.disabled import disabled_action
from tuitrain.tui.errors import Complaint
from tuitrain.tui.palette import ScreenCommands
from tuitrain.tui.screens.choice import confirm
from tuitrain.tui.screens.epoch import ROLLBACK, EpochScreen
from tuitrain.tui.screens.losses import LossesScreen
from tuitrain.tui.screens.number import NumberScreen
from tuitrain.tui.screens.rate_sweep import RateSweepScreen
from tuitrain.view.form import settings
from tuitrain.view.form.pace import faster, slower
from tuitrain.view.panel.forks import kept_epochs, none_kept
from tuitrain.view.state.possible import how_to_go_on, why_not
from tuitrain.view.state.rate import lr_of
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text.words import duration

ANSWER_S = (0.05, 0.1, 0.15, 0.2, 0.3)
"""Seconds after a command at which the record is read for its answer, besides the usual pulls."""


class SteeringScreen(Screen[None]):
    """Steer a run. The screen sends commands and shows only the state that the record has."""

    COMMANDS = {ScreenCommands}
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
        Binding("greater_than_sign", "faster", "Faster", key_display=">", show=False,
                id="run.faster", tooltip="More batches a second"),
        Binding("r", "change('lr')", "Rate", id="run.rate", tooltip="Change the learning rate"),
        Binding("L", "lr_find", "Find rate", key_display="L", show=False, id="run.lr_find",
                tooltip="Find a learning rate by a sweep, which is undone"),
        Binding("e", "change('epochs')", "Epochs", show=False, id="run.epochs",
                tooltip="Change the number of epochs in all"),
        Binding("c", "checkpoint", "Checkpoint", show=False, id="run.checkpoint",
                tooltip="Save a checkpoint after this batch"),
        Binding("u", "undo", "Undo", id="run.undo",
                tooltip="Go back to just before the last change"),
        Binding("b", "rollback", "Back", show=False, id="run.rollback",
                tooltip="Go back to an epoch, with the settings of now (asks which)"),
        Binding("S", "stop", "Stop", key_display="S", show=False, id="run.stop",
                tooltip="End the run with a checkpoint (asks)"),
    ]  # fmt: skip
    WITHOUT_KEY = [
        Binding(
            "", "change('weight-decay')", id="run.weight_decay", tooltip="Change the weight decay"
        ),
        Binding("", "change('clip-norm')", id="run.clip_norm", tooltip="Change the clip norm"),
        Binding("", "change('batch-size')", id="run.batch_size", tooltip="Change the batch size"),
        Binding("", "change('pace')", id="run.pace", tooltip="Set the pace"),
    ]
    """Bindings that appear in the command palette only."""

    pending: var[tuple[str, ...]] = var(())
    """The commands without an answer, as the header shows them."""

    def __init__(self, client: Client, latest: Snapshot) -> None:
        super().__init__()
        self._client = client
        self._latest = latest
        self._pending = PendingCommands(client)
        self._broken = Complaint(self)

    @property
    def latest(self) -> Snapshot:
        """The newest snapshot."""
        return self._latest

    async def follow(self) -> None:
        """Read new events and update the screen."""
        raise NotImplementedError

    def send(self, command: Command, at: Boundary | None = None) -> None:
        """Send the command, unless the run has ended."""
        if self._latest.has_ended:
            self.notify(f"The run is {self._latest.condition}: nothing was asked of it.")
            return
        try:
            self._pending.send(command, at)
        except OSError as error:
            self._broken.show(f"cannot send it: {safe(error.strerror)}")
        self._show_pending()
        for wait_s in ANSWER_S:
            self.set_timer(wait_s, self.follow)

    def update_pending(self) -> None:
        """Forget the answered commands; withdraw the others if the run has ended."""
        if self._pending.update(self._latest):
            self._broken.clear()
        self._show_pending()

    async def explain_silence(self) -> None:
        """Show why the trainer does not answer; repeat it only when the reason changes."""
        if self._pending.is_silence_long:
            why = await asyncio.to_thread(self._pending.why_silent, self._latest)
            self._broken.show(f"No answer: {why}.")

    def on_screen_resume(self) -> None:
        self._show_pending()

    def _show_pending(self) -> None:
        if self.is_active:  # no dialog covers the screen
            self.pending = self._pending.texts()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Return None (grey) for what the run cannot do, False (hidden) for the idle twin."""
        if action in ("pause", "go_on"):
            paused = self._latest.state == "paused"
            if paused != (action == "go_on"):
                return False
        setting = str(parameters[0]) if parameters else ""
        if why_not(self._latest, action, setting) is not None:
            return None
        return None if action in _ACTIONS and self._latest.has_ended else True

    def say_why_not(self, key: str) -> None:
        """Say why a greyed key does nothing."""
        disabled = disabled_action(self, key)
        if disabled is None:
            return
        why = why_not(self._latest, *disabled) or how_to_go_on(self._latest, disabled[0])
        if why:
            self.notify(why, markup=False)

    def action_pause(self) -> None:
        self.send(Pause())

    def action_go_on(self) -> None:
        self.send(Resume())

    def action_pause_at_epoch(self) -> None:
        if self._latest.state == "pausing":
            self.send(Resume())
        else:
            self.send(Pause(), "epoch")

    def action_step(self) -> None:
        self.send(Step())

    def action_slower(self) -> None:
        self.send(Change("pace", slower(self._pending.pace_after(self._latest), self._latest.rate)))

    def action_faster(self) -> None:
        self.send(Change("pace", faster(self._pending.pace_after(self._latest))))

    def _is_known(self, what: str) -> bool:
        """Return whether the trainer has read what the task leaves open; say so if it has not."""
        if not self._latest.spec.is_complete:
            self.notify(f"The {what} is known once {self._latest.task} is loaded.", markup=False)
        return self._latest.spec.is_complete

    def action_losses(self) -> None:
        if not self._is_known("loss"):
            return
        dialog = LossesScreen(lambda: self._latest, self._client.record)
        self.app.push_screen(dialog, lambda loss: self.send(SwapLoss(loss)) if loss else None)

    def action_change(self, setting: Setting) -> None:
        """Open the dialog that changes a setting."""
        if setting in _OF_THE_TASK and not self._is_known(setting):
            return
        run = self._latest
        self._open_number(setting, lr_of(run) if setting == "lr" else run.settings[setting])

    def _open_number(
        self, setting: Setting, value: float | None, suggestion: float | None = None
    ) -> None:
        """Ask for another value of a setting, and send the change."""
        dialog = NumberScreen(setting, value, suggestion)
        self.app.push_screen(dialog, lambda change: self.send(change) if change else None)

    def action_lr_find(self) -> None:
        self.send(FindRate())
        dialog = RateSweepScreen(lambda: self._latest, self._client.record)
        self.app.push_screen(dialog, self._offer_rate)

    def _offer_rate(self, suggestion: float | None) -> None:
        if suggestion is not None:
            self._open_number("lr", lr_of(self._latest), suggestion)

    def action_checkpoint(self) -> None:
        self.send(SaveCheckpoint())

    def action_undo(self) -> None:
        last = settings.last_change(self._latest)
        if last is None or last.abandoned_s <= settings.MOST_ABANDONED_S:
            self.send(Undo())
            return
        question = (
            f"Go back to just before: {last.description}? {duration(last.abandoned_s)} of training "
            "since then is abandoned. It stays in the record, and another undo brings it back."
        )
        do = partial(self.send, Undo())
        confirm(self, "Undo", question, do, yes="Undo it", no="Leave it as it is")

    def action_rollback(self) -> None:
        kept = kept_epochs(self._latest)
        if not kept:
            self.notify(none_kept(self._latest))
            return
        self.app.push_screen(
            EpochScreen("go back to the end of epoch", ROLLBACK, kept),
            lambda epoch: self.send(Rollback(epoch)) if epoch is not None else None,
        )

    def action_stop(self) -> None:
        question = "End this run? It saves a checkpoint first."
        do = partial(self.send, Stop())
        confirm(self, "Stop", question, do, yes="Stop the run", no="Leave it as it is")


_OF_THE_TASK: tuple[Setting, ...] = ("lr", "batch-size", "epochs")
"""Settings that a task of the user's own may have, and only its trainer reads."""
_ACTIONS = {
    binding.action.partition("(")[0]
    for binding in SteeringScreen.BINDINGS
    if isinstance(binding, Binding)
}
