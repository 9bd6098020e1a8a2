"""The application: themes, signals, and which screen comes first."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from textual.app import App
from textual.screen import Screen

from tuitrain.store.paths import RunPaths
from tuitrain.supervisor import Started
from tuitrain.tui import themes
from tuitrain.tui.screens.run import RunScreen
from tuitrain.tui.screens.start import StartScreen
from tuitrain.view.model import Snapshot


class TuitrainApp(App[Snapshot]):
    """Show runs. Its result is the run that was watched last, as it was found last."""

    TITLE = "tuitrain"

    def __init__(
        self, home: Path, *, watch: RunPaths | None = None, started: Started | None = None
    ) -> None:
        self._themes = themes.load()
        super().__init__()
        self._home = home
        self._watch = watch
        self._started = started
        for theme in self._themes:
            self.register_theme(theme)
        self.theme = themes.DEFAULT

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Let Textual's own themes do too: what they lack is the default theme's."""
        return next(theme.variables for theme in self._themes if theme.name == themes.DEFAULT)

    def on_mount(self) -> None:
        self.push_screen(self._first_screen())
        # Textual handles neither: a lost terminal would leave a process that spins
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self.exit)

    def _first_screen(self) -> Screen[None]:
        if self._watch is None:
            return StartScreen(self._home)
        return RunScreen(self._watch.directory, self._started)

    def action_exit_now(self) -> None:
        self.exit()
