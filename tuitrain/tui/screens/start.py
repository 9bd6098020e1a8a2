"""The first screen: train digits with one key, or open a run that is there."""

from __future__ import annotations

import asyncio
from pathlib import Path

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer, OptionList, Static
from textual.widgets.option_list import Option

from tuitrain import supervisor
from tuitrain.core.catalog import TASKS
from tuitrain.core.errors import TuitrainError
from tuitrain.core.safe import safe
from tuitrain.core.spec import RunSpec
from tuitrain.store.paths import RunPaths, runs_in
from tuitrain.tui.screens.run import RunScreen

_TRAIN = "train"
_MOST_LISTED = 50


class StartScreen(Screen[None]):
    """Offer `digits`, so that Enter trains, and the newest runs below it."""

    BINDINGS = [
        Binding("q,ctrl+c", "app.exit_now", "Leave", key_display="q", id="start.leave"),
    ]

    def __init__(self, home: Path) -> None:
        super().__init__()
        self._home = home
        task = TASKS["digits"]
        self._spec = RunSpec.of(task.name, pace=task.pace)

    def compose(self) -> ComposeResult:
        spec = self._spec
        with Vertical(classes="card") as card:
            card.border_title = "tuitrain"
            yield Static(
                Content.assemble(
                    (f"{spec.task}\n", "bold"),
                    (f"{TASKS[spec.task].summary}\n\n", "$cell-muted"),
                    *_row("model", spec.model),
                    *_row("loss", spec.loss),
                    *_row("optimizer", f"{spec.optimizer}, learning rate {spec.lr:g}"),
                    *_row("batch", f"{spec.batch_size} samples"),
                    *_row("epochs", str(spec.epochs)),
                    *_row("pace", f"{spec.pace:g} batches a second, to watch; < > change it"),
                )
            )  # fmt: skip
            yield OptionList(id="choices")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self._list()

    def on_screen_resume(self) -> None:
        self._list()

    def _list(self) -> None:
        choices = self.query_one("#choices", OptionList)
        choices.clear_options()
        choices.add_option(Option(Content.assemble((" ▶ Train it", "bold")), _TRAIN))
        for paths in runs_in(self._home)[:_MOST_LISTED]:
            choices.add_option(Option(Content(f"   open {paths.name}"), str(paths.directory)))
        choices.highlighted = 0
        choices.focus()

    async def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        if event.option_id != _TRAIN:
            self._open(RunPaths(Path(event.option_id or "")), None)
            return
        try:
            started = await asyncio.to_thread(supervisor.start, self._home, self._spec)
        except (TuitrainError, OSError) as error:
            self.notify(safe(error), severity="error", markup=False)
            return
        self._open(started.paths, started)

    def _open(self, paths: RunPaths, started: supervisor.Started | None) -> None:
        try:
            screen = RunScreen(paths.directory, started)
        except (TuitrainError, OSError, ValueError) as error:
            self.notify(f"cannot open {paths.name}: {safe(error)}", severity="error", markup=False)
            return
        self.app.push_screen(screen)


def _row(label: str, text: str) -> tuple[tuple[str, str], str]:
    return (f"{label:<11}", "$cell-muted"), f"{text}\n"
