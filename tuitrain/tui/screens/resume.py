"""Resume an ended run; a finished one goes on for more epochs, with the schedule that is chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual import getters
from textual.app import ComposeResult
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from tuitrain.core.errors import TuitrainError
from tuitrain.core.safe import safe
from tuitrain.store.paths import RunPaths
from tuitrain.trainer import supervisor
from tuitrain.trainer.notify import command_words, notify
from tuitrain.tui.screens.number import NumberScreen
from tuitrain.tui.widgets.dialog import Dialog
from tuitrain.tui.widgets.form_field import FormField
from tuitrain.view.form import form
from tuitrain.view.form.settings import strode
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text.resumption import Resumption, asked_for, meaning
from tuitrain.view.text.words import count


def resume(
    screen: Screen[Any], run: Snapshot, resumed: Callable[[supervisor.Started], Any]
) -> None:
    """Go on with an ended run, and call `resumed`; ask first how far a finished one shall go."""

    def start(resumption: Resumption | None) -> None:
        if resumption is None:
            return
        paths, epochs = RunPaths(run.directory), resumption.epochs
        try:
            started = supervisor.resume(paths, epochs=epochs, lr_schedule=resumption.schedule)
            notify(paths, resumption.notified)
            resumed(started)
        except (TuitrainError, OSError) as error:
            screen.notify(safe(error), severity="error", markup=False)

    if run.state == "finished":
        screen.app.push_screen(ResumeScreen(run), start)
    else:
        start(Resumption())


class ResumeScreen(ModalScreen[Resumption | None]):
    """Ask how a finished run goes on; the result is None if cancelled."""

    BINDINGS = NumberScreen.BINDINGS

    epochs = getters.query_one("#epochs", FormField)
    schedule = getters.query_one("#lr_schedule", FormField)
    notify_command = getters.query_one("#notify", FormField)
    verdict = getters.query_one("#verdict", Static)

    def __init__(self, run: Snapshot) -> None:
        super().__init__()
        self._run = run

    def compose(self) -> ComposeResult:
        run = self._run
        with Dialog() as dialog:
            dialog.border_title = Content(f"resume {run.title}")  # no markup
            dialog.keys = ("enter resumes", "esc cancels", "tab next field", "↑ ↓ change")
            question = f"It is finished after {count(run.epoch)} epochs. It goes on with"
            yield Static(Content(question), classes="question")
            yield FormField("epochs", str(2 * run.epoch))
            yield FormField("lr_schedule", "")
            yield FormField("notify", "")
            yield Static(id="verdict")

    def on_mount(self) -> None:
        self.schedule.suggest(f"{self._run.settings['schedule'].partition('@')[0]}, as it is")
        self.schedule.say("", " · ".join(self.schedule.choices))
        self.epochs.say("", "in all")
        self.notify_command.say("", form.hint("notify", {}, has_focus=False))
        self.epochs.focus_input()
        self._resumption()

    def on_input_changed(self) -> None:
        self._resumption()

    def on_input_submitted(self) -> None:
        if (resumption := self._resumption()) is not None:
            self.dismiss(resumption)

    def action_stride(self, key: str) -> None:
        """Change the number, or choose the schedule before or after."""
        if self.schedule.has_focus_within:
            self.schedule.choose(self.schedule.choices, -1 if key in ("up", "pageup") else 1)
        elif self.epochs.has_focus_within:
            self.epochs.text = strode("epochs", self.epochs.text, key)

    def _resumption(self) -> Resumption | None:
        """Return what is asked for, or None if it is invalid; say what it means, or the error."""
        try:
            resumption = asked_for(self._run, self.epochs.text, self.schedule.text)
            notified = command_words(self.notify_command.text or None)
        except TuitrainError as error:
            self.verdict.update(Content.styled(safe(error), "$error"))
            return None
        self.verdict.update(Content.styled(meaning(self._run, resumption), "$cell-muted"))
        return resumption._replace(notified=tuple(notified))
