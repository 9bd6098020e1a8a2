"""The form for a new run: the options of `tuitrain run`, checked while the user types."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Input, Static

from tuitrain.catalog.table import check_table
from tuitrain.core.errors import TuitrainError
from tuitrain.core.safe import safe
from tuitrain.core.spec import RunSpec, check_name
from tuitrain.store.initial import weights_file
from tuitrain.store.paths import RunPaths
from tuitrain.trainer import supervisor, warm
from tuitrain.trainer.notify import command_words, notify
from tuitrain.trainer.torch_query import TorchQuery
from tuitrain.tui.errors import until_left
from tuitrain.tui.widgets.form_field import FormField
from tuitrain.tui.widgets.keys_footer import KeysFooter
from tuitrain.view.form import form

_QUERY_AFTER_S = 0.3
_LABEL = 17
_BESIDE = 60
"""Cells from which on an error stands beside its field."""
_ASKING = "asking PyTorch …"


class Fork(NamedTuple):
    """The parent and the epoch of a fork, and its spec before any change."""

    parent: RunPaths
    epoch: int
    spec: RunSpec

    @classmethod
    def of(cls, parent: RunPaths, epoch: int) -> Fork:
        """Read the fork from the parent's record; raise TuitrainError if that epoch is not kept."""
        return cls(parent, epoch, supervisor.fork_spec(parent, epoch))

    def __str__(self) -> str:
        return f"fork of {self.parent.name} at epoch {self.epoch:,}"


class NewRunScreen(Screen[supervisor.Started | None]):
    """Fill in a run and start it; the result is the started run, or None."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]
    BINDINGS = [
        Binding("enter", "train", "Train", id="form.train", tooltip="Train it", priority=True),
        Binding("up", "app.focus_previous", "Fields", key_display="↑↓", id="form.up",
                tooltip="The field above"),
        Binding("down", "app.focus_next", "Down", show=False, id="form.down",
                tooltip="The field below"),
        Binding("pagedown,ctrl+n", "next(1)", "Choices", key_display="PgDn",
                id="form.next", tooltip="The next choice of a field that has some"),
        Binding("pageup,ctrl+p", "next(-1)", "Choice before", show=False, id="form.previous",
                tooltip="The choice before"),
        Binding("escape", "leave", "Back", id="form.back", tooltip="Back, without a run"),
        Binding("ctrl+c", "leave", "Back", show=False, id="form.interrupt", tooltip="Like esc"),
    ]  # fmt: skip

    def __init__(self, home: Path, fork: Fork | None = None) -> None:
        """Without a `fork`, the run starts with new weights."""
        super().__init__()
        self._home = home
        self._fork = fork
        self._fields = form.OF_A_FORK if fork else form.FIELDS
        self._query = TorchQuery()
        self._filled = form.texts_of(fork.spec) if fork else form.filled("digits")
        self._errors: dict[str, str] = {}
        self._queried: RunSpec | None = None
        self._facts: dict[str, Any] | str = _ASKING

    def compose(self) -> ComposeResult:
        with Vertical(id="form") as box:  # a VerticalScroll has keys of its own for up and down
            fork = self._fork
            box.border_title = (
                Content(f"fork of {safe(fork.parent.name)} at epoch {fork.epoch:,}")  # no markup
                if fork
                else "new run"
            )
            for name in self._fields:
                yield FormField(name, self._filled[name])
            yield Static(id="facts")
        yield KeysFooter()

    def on_mount(self) -> None:
        self._field(self._fields[0]).focus_input()
        self._check()
        self.set_interval(_QUERY_AFTER_S, self.query_sizes)

    def on_unmount(self) -> None:
        self._query.close()
        warm.cool_down()

    def _field(self, name: str) -> FormField:
        return self.query_one(f"#{name}", FormField)

    def _values(self) -> dict[str, str]:
        return self._filled | {name: self._field(name).text for name in self._fields}

    def on_input_changed(self, event: Input.Changed) -> None:
        field = event.input.parent
        assert isinstance(field, FormField)
        if field.name == "task":
            self._refill(event.value)
        self._check()

    def on_descendant_focus(self) -> None:
        self._check()

    def _refill(self, task: str) -> None:
        """Replace the previous task's defaults by those of this task."""
        before = self._filled
        try:
            self._filled = form.filled(task)
        except TuitrainError:
            return
        for name, text in self._filled.items():
            if name in form.FIELDS and name != "task" and self._field(name).text == before[name]:
                self._field(name).text = text

    def _check(self) -> RunSpec | None:
        """Show each error next to its field; return the spec if there is none."""
        values = self._values()
        spec, errors = form.checked(values)
        errors |= self._errors_of_places(values)
        errors |= _errors_of_table(spec) if spec is not None else {}
        self._errors = errors
        for name in self._fields:
            field = self._field(name)
            hint = form.hint(name, values, has_focus=field.has_focus_within)
            field.say(safe(errors.get(name, "")), safe(hint))
            field.display = form.is_shown(name, values["task"])
        self._show_facts(spec, errors)
        return None if errors else spec

    def _errors_of_places(self, values: Mapping[str, str]) -> dict[str, str]:
        """Return the errors of a name or a path that depend on the files on disk."""
        errors = {}
        try:
            command_words(values["notify"] or None)
        except TuitrainError as error:
            errors["notify"] = str(error)
        if name := values["name"]:
            try:
                check_name(name)
            except TuitrainError as error:
                errors["name"] = str(error)
            else:
                if (self._home.absolute() / "runs" / name).exists():
                    errors["name"] = "there is a run of that name already"
        if values["init_from"]:
            try:
                weights_file(self._home, values["init_from"])
            except TuitrainError as error:
                errors["init_from"] = form.in_fields(str(error))
        return errors

    @until_left
    async def query_sizes(self) -> None:
        """Query the sizes of data and model again if the form has changed them."""
        spec, _ = form.checked(self._values())
        if spec is None or (self._queried and form.same_sizes(spec, self._queried)):
            return
        self._queried = spec
        self._facts = _ASKING
        try:
            placed = self._with_weights_path(replace(spec, init_from=None))
            facts = await asyncio.to_thread(self._query.query, "sizes", spec=asdict(placed))
            self._facts = facts
            devices = await asyncio.to_thread(self._query.query, "devices")
            self._field("device").choices = ("auto", *(device["name"] for device in devices))
            for name, default in facts.get("defaults", {}).items():
                self._field(name).suggest(str(default))
        except TuitrainError as error:
            self._facts = form.in_fields(str(error))
        if self.is_mounted:
            self._check()
            warm.warm_up()

    def _show_facts(self, spec: RunSpec | None, errors: Mapping[str, str]) -> None:
        lines = [
            Content.styled(f"{name.replace('_', ' ')}: {safe(error)}", "$error")
            for name, error in errors.items()
        ]
        if spec is not None and not errors:
            is_known = self._queried is not None and form.same_sizes(spec, self._queried)
            rows = form.explained(spec, self._facts if is_known else _ASKING)
            lines = [
                Content.assemble((f"{label:<{_LABEL}}", "$cell-muted"), safe(text))
                for label, text in rows
            ]
        self.query_one("#facts", Static).update(Content("\n").join(lines))

    def action_next(self, by: int) -> None:
        for name in self._fields:
            field = self._field(name)
            if field.has_focus_within:
                choices = form.choices(name, self._values()) or field.choices
                field.choose(choices, by)

    async def action_train(self) -> None:
        spec = self._check()
        if spec is None:
            self._show_wrong()
            return
        values = self._values()
        try:
            started = await asyncio.to_thread(self._start, spec, values["name"] or None)
            command = command_words(values["notify"] or None)
            await asyncio.to_thread(notify, started.paths, command)
        except (TuitrainError, OSError) as error:
            self.notify(safe(error), severity="error", markup=False)
            return
        self.dismiss(started)

    def _show_wrong(self) -> None:
        """Go to the first field that is wrong; say why, where there is no room beside it."""
        wrong = next((name for name in self._fields if self._field(name).is_wrong), None)
        if wrong is None:
            return
        self._field(wrong).focus_input()
        if self.size.width < _BESIDE:
            self.notify(safe(self._errors[wrong]), severity="error", markup=False)

    def _start(self, spec: RunSpec, name: str | None) -> supervisor.Started:
        if (fork := self._fork) is None:
            return supervisor.start(self._home, self._with_weights_path(spec), name)
        open_to_change = (name for name in form.OF_A_FORK if name not in form.OF_THE_START)
        changes = {name: getattr(spec, name) for name in open_to_change}
        return supervisor.fork(self._home, fork.parent, fork.epoch, changes, name)

    def _with_weights_path(self, spec: RunSpec) -> RunSpec:
        """Return the spec with the full path of its initial weights."""
        if spec.init_from is None:
            return spec
        weights = str(weights_file(self._home, spec.init_from))
        return replace(spec, init_from=weights, init_given=spec.init_from)

    def action_leave(self) -> None:
        self.dismiss(None)


def _errors_of_table(spec: RunSpec) -> dict[str, str]:
    """Return what is wrong with the columns that the form names, by the header of the table."""
    try:
        check_table(spec)
    except (TuitrainError, OSError) as error:
        return {"target": form.in_fields(str(error).replace("--target one of", "one of"))}
    return {}
