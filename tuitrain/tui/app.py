"""The application: themes, signals, keys and the first screen."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from textual.app import App
from textual.binding import Binding
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.filter import LineFilter
from textual.notifications import Notify
from textual.screen import Screen
from textual.theme import Theme

from tuitrain.store.paths import RunPaths
from tuitrain.trainer.supervisor import Started
from tuitrain.tui import keys, themes
from tuitrain.tui.alert import Alert, desktop_note
from tuitrain.tui.driver import HOLD_S, LeanDriver
from tuitrain.tui.safe_text import SafeText
from tuitrain.tui.screens.choice import ChoiceScreen
from tuitrain.tui.screens.compare import CompareScreen
from tuitrain.tui.screens.epoch import EpochScreen
from tuitrain.tui.screens.help import HelpScreen
from tuitrain.tui.screens.losses import LossesScreen
from tuitrain.tui.screens.new_run import NewRunScreen
from tuitrain.tui.screens.note import NoteScreen
from tuitrain.tui.screens.number import NumberScreen
from tuitrain.tui.screens.parameters import ParametersScreen
from tuitrain.tui.screens.rate_sweep import RateSweepScreen
from tuitrain.tui.screens.resume import ResumeScreen
from tuitrain.tui.screens.run import RunScreen
from tuitrain.tui.screens.runs import RunsScreen
from tuitrain.tui.screens.tour import TourScreen
from tuitrain.tui.theme_files import DEFAULT
from tuitrain.view.state.snapshot import Snapshot

DIALOGS: tuple[type[Screen[Any]], ...] = (
    ChoiceScreen, EpochScreen, HelpScreen, LossesScreen, NoteScreen, NumberScreen,
    ParametersScreen, RateSweepScreen, ResumeScreen,
)  # fmt: skip
"""Screens on which the keys of the app have no effect."""
SCREENS: tuple[type[Screen[Any]], ...] = (
    RunScreen, RunsScreen, NewRunScreen, CompareScreen, *DIALOGS
)  # fmt: skip
_EXIT_WITHIN_S = 3
_COMPLAINTS, _COMPLAIN_FOR_S = 3, 15
"""How many complaints about keys.toml or themes are shown at once, and for how many seconds."""
_NOTICES = 3
"""How many notifications stand on the screen together."""
_LOOK_AT_THEMES_S = _LOOK_AT_TERMINAL_S = 1


class TuitrainApp(App[Snapshot]):
    """Show runs. The result is the newest snapshot of the run that was watched last."""

    TITLE = "tuitrain"
    CSS_PATH = [
        "app.tcss", "screens/run.tcss", "screens/runs.tcss", "screens/new_run.tcss",
        "screens/dialogs.tcss", "screens/compare.tcss",
    ]  # fmt: skip
    COMMANDS = set()
    """None of Textual's own: each screen has its own palette."""
    ENABLE_COMMAND_PALETTE = False
    """Textual's own binding is off: it has no id and precedes the keys of a screen."""
    BINDINGS = [
        Binding("t", "next_theme", "Theme", show=False, id="app.theme",
                tooltip="Change the colours: the next theme"),
        Binding("ctrl+p", "command_palette", "All", id="app.palette",
                tooltip="Search all that can be done here, also without a key"),
    ]  # fmt: skip

    def __init__(
        self, home: Path, *, watch: RunPaths | None = None, started: Started | None = None,
        is_tour: bool = False,
    ) -> None:  # fmt: skip
        """Show that run, which this process may have started, else the list of all."""
        self._themes = themes.load()
        self._own_themes: list[Theme] = []
        self._safe_text = SafeText()
        super().__init__()
        self._home = home
        self._watch = watch
        self._started = started
        self._screen_of_run = TourScreen if is_tour else RunScreen
        self._last: Snapshot | None = None
        self._handlers: dict[signal.Signals, Any] = {}
        for theme in self._themes:
            self.register_theme(theme)
        self.theme = DEFAULT
        self._theme_folder, self._theme_stamp = home / themes.FOLDER, themes.Stamp()
        self.use_command_palette = True
        self.keymap, self._complaints = keys.chosen(home / keys.FILE, places())

    def get_driver_class(self) -> type[Driver]:
        """Return the driver for a terminal, or the one that TEXTUAL_DRIVER names."""
        usual = super().get_driver_class()
        return LeanDriver if usual is LinuxDriver else usual

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Return the variables of the default theme, for those that Textual's own themes lack."""
        return next(theme.variables for theme in self._themes if theme.name == DEFAULT)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return Textual's filters, and the one that makes text safe for a terminal."""
        return [*super().get_line_filters(), self._safe_text]

    def on_mount(self) -> None:
        self.set_keymap(self.keymap)
        self._complain(self._complaints)
        self._read_own_themes()
        self.set_interval(_LOOK_AT_THEMES_S, self._read_own_themes)
        self.set_timer(HOLD_S, self._reveal)
        self.set_interval(_LOOK_AT_TERMINAL_S, self._leave_lost_terminal)
        self._main_loop = asyncio.get_running_loop()
        self._handlers = {
            number: signal.signal(number, self._leave_for_signal)
            for number in (signal.SIGTERM, signal.SIGHUP)
        }

    def on_unmount(self) -> None:
        """Restore the signal handlers from before the app."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _leave_for_signal(self, _number: int, _frame: FrameType | None) -> None:
        """Exit, even if the terminal is lost or reads nothing.

        Textual handles neither signal: after a lost terminal the process would spin. If the event
        loop is stuck in a write, the alarm ends the process.
        """
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(_EXIT_WITHIN_S)
        self._main_loop.call_soon_threadsafe(self.exit)

    def _leave_lost_terminal(self) -> None:
        """Exit if the terminal is lost without a signal, as where it controls another process."""
        if isinstance(self._driver, LeanDriver) and self._driver.is_lost:
            self._leave_for_signal(signal.SIGHUP, None)

    def get_default_screen(self) -> Screen[None]:
        if self._watch is None:
            return RunsScreen(self._home, self._remember)
        return self._screen_of_run(self._watch.directory, self._started, leave=self.exit)

    def _remember(self, last: Snapshot) -> None:
        self._last = last

    def action_next_theme(self) -> None:
        names = sorted(self._theme_names)
        self.theme = names[(names.index(self.theme) + 1) % len(names)]

    @property
    def _theme_names(self) -> set[str]:
        """The names of our themes and of the user's, without those of Textual."""
        return {theme.name for theme in (*self._themes, *self._own_themes)}

    def _read_own_themes(self) -> None:
        """Use the themes of the user's folder as they are now; one in use changes at once."""
        stamp = themes.stamp(self._theme_folder)
        if stamp == self._theme_stamp:
            return
        self._theme_stamp = stamp
        self._own_themes, complaints = themes.own(self._theme_folder, self._themes)
        for theme in (*self._themes, *self._own_themes):
            self.register_theme(theme)
        if self.theme in self._theme_names:
            self.mutate_reactive(App.theme)
        else:
            self.theme = DEFAULT
        self._complain(complaints)

    def _complain(self, complaints: Sequence[str]) -> None:
        for complaint in complaints[:_COMPLAINTS]:
            self.notify(complaint, severity="warning", markup=False, timeout=_COMPLAIN_FOR_S)

    def on_notify(self, event: Notify) -> None:
        """Remove an equal notification, and the oldest ones: a key is easily pressed again."""
        new, earlier = event.notification, [*self._notifications]
        equal = [notice for notice in earlier if notice.message == new.message]
        others = [notice for notice in earlier if notice.message != new.message]
        for notice in (*equal, *others[: 1 - _NOTICES]):
            self._unnotify(notice, refresh=False)

    def on_complete(self) -> None:
        """Show the first frame, and all that follow."""
        self.call_after_refresh(self._reveal)

    def _reveal(self) -> None:
        if isinstance(self._driver, LeanDriver):
            self._driver.reveal()

    def on_alert(self, alert: Alert) -> None:
        """Ring the bell, and show a note on the desktop where the terminal is known to."""
        self.bell()
        if self._driver is not None:
            self._driver.write(desktop_note(alert.text, os.environ))

    def action_exit_now(self) -> None:
        self.exit(self._last)


def places() -> list[keys.Place]:
    """Return the bindings of every screen, and with them those of the app where they apply."""
    return [
        [
            binding
            for binding in (*screen.BINDINGS, *(() if screen in DIALOGS else TuitrainApp.BINDINGS))
            if isinstance(binding, Binding)
        ]
        for screen in SCREENS
    ]
