"""The application: themes, signals, and which screen comes first."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from types import FrameType

from textual.app import App
from textual.screen import Screen

from tuitrain.store.paths import RunPaths
from tuitrain.supervisor import Started
from tuitrain.tui import themes
from tuitrain.tui.screens.run import RunScreen
from tuitrain.tui.screens.runs import RunsScreen
from tuitrain.view.model import Snapshot

_EXIT_WITHIN_S = 3


class TuitrainApp(App[Snapshot]):
    """Show runs. Its result is the run that was watched last, as it was found last."""

    TITLE = "tuitrain"
    CSS_PATH = [
        "screens/run.tcss", "screens/runs.tcss", "screens/new_run.tcss", "screens/dialogs.tcss",
        "screens/compare.tcss",
    ]  # fmt: skip

    def __init__(
        self, home: Path, *, watch: RunPaths | None = None, started: Started | None = None
    ) -> None:
        self._themes = themes.load()
        super().__init__()
        self._home = home
        self._watch = watch
        self._started = started
        self._last: Snapshot | None = None
        for theme in self._themes:
            self.register_theme(theme)
        self.theme = themes.DEFAULT

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Let Textual's own themes do too: what they lack is the default theme's."""
        return next(theme.variables for theme in self._themes if theme.name == themes.DEFAULT)

    def on_mount(self) -> None:
        self._main_loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._leave_for_signal)

    def _leave_for_signal(self, _number: int, _frame: FrameType | None) -> None:
        """Exit, whatever the terminal does.

        Textual handles neither signal: a lost terminal would leave a process that spins. And where
        the terminal reads nothing, the event loop may be stuck in a write: then the kernel ends us.
        """
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(_EXIT_WITHIN_S)
        self._main_loop.call_soon_threadsafe(self.exit)

    def get_default_screen(self) -> Screen[None]:
        if self._watch is None:
            return RunsScreen(self._home, self._remember)
        return RunScreen(self._watch.directory, self._started, leave=self.exit)

    def _remember(self, last: Snapshot) -> None:
        self._last = last

    def action_exit_now(self) -> None:
        self.exit(self._last)
