"""A dialog for a note or a tag of a run, live or ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, assert_never

from textual import getters
from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widgets import Input, Static

from tuitrain.connection.client import Client
from tuitrain.core.errors import TuitrainError
from tuitrain.core.notes import Note, tag_of
from tuitrain.core.safe import safe
from tuitrain.tui.widgets.dialog import Dialog
from tuitrain.view.state.made_of import tags_of
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text.words import count

What = Literal["note", "tag"]


def write(screen: Screen[Any], run: Snapshot, what: What, written: Callable[[], Any]) -> None:
    """Ask for a note or a tag, write it, and call `written`."""

    def keep(note: Note | None) -> None:
        if note is None:
            return
        try:
            Client(run.directory).write(note)
        except (TuitrainError, OSError) as error:
            screen.notify(f"cannot write it: {safe(error)}", severity="error", markup=False)
        else:
            screen.notify(_kept(note, run), markup=False)
            written()

    screen.app.push_screen(NoteScreen(what, run), keep)


def _kept(note: Note, run: Snapshot) -> str:
    """Return what was written, for a screen that has no room to show it."""
    match note.kind:
        case "note":
            return f"The note is kept at step {count(note.step)}; view 6 shows it."
        case "tag":
            return f"{run.title} has the tag {safe(note.text)} now."
        case "untag":
            return f"{run.title} no longer has the tag {safe(note.text)}."
        case other:
            assert_never(other)


class NoteScreen(ModalScreen[Note | None]):
    """Ask for a note, or for a tag to put on or take off; the result is None if cancelled."""

    BINDINGS = [Binding("escape", "dismiss", "Cancel", id="dialog.cancel")]

    field = getters.query_one("#value", Input)
    verdict = getters.query_one("#verdict", Static)

    def __init__(self, what: What, run: Snapshot) -> None:
        super().__init__()
        self._what = what
        self._run = run

    def compose(self) -> ComposeResult:
        run = self._run
        with Dialog() as dialog:
            dialog.border_title = Content(f"{self._what} · {run.title}")  # no markup
            dialog.keys = ("enter keeps it", "esc cancels")
            yield Static(Content(self._question), classes="question")
            yield Input(id="value", classes="wide", compact=True)
            yield Static(id="verdict")

    @property
    def _question(self) -> str:
        if self._what == "note":
            return f"It is kept at step {count(self._run.step)}, epoch {count(self._run.epoch)}."
        tags = ", ".join(tags_of(self._run))
        return f"{f'Tags: {tags}. ' if tags else ''}A name puts a tag on, -name takes one off."

    def on_mount(self) -> None:
        self.field.focus()

    def on_input_changed(self) -> None:
        self.verdict.update("")

    def on_input_submitted(self) -> None:
        kind, text = tag_of(self.field.value) if self._what == "tag" else ("note", self.field.value)
        try:
            self.dismiss(Note.new(kind, text, self._run.position))
        except TuitrainError as error:
            self.verdict.update(Content.styled(safe(error), "$error"))
