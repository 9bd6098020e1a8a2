"""A live comparison of several runs: curves, differing settings, results."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from textual import getters
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.reactive import var
from textual.screen import Screen

from tuitrain.connection.client import Client
from tuitrain.connection.follower import Follower
from tuitrain.core.safe import safe
from tuitrain.tui.errors import Complaint, until_left
from tuitrain.tui.palette import ScreenCommands
from tuitrain.tui.screens.help import HelpScreen
from tuitrain.tui.widgets.compared import ComparedCharts, Legend, Results, Settings
from tuitrain.tui.widgets.keys_footer import KeysFooter
from tuitrain.view.chart.compare import SIGNS, Compared
from tuitrain.view.chart.curves import Curves

_LOOK_S = 1.0
_ENDED_EVERY = 5
"""Pulls between two reads of an ended run, which may be resumed."""
_SIGNS_OF_CHARTS = [
    ("$cell-series1", " A", "a run: on its curve, in the tables"),
    ("$cell-series1", " ◆", "its loss was swapped"),
    ("$error", " ×", "a value that is not finite"),
    ("$success", " ★", "the better one"),
]


class CompareScreen(Screen[None]):
    """Follow and compare the runs in these directories; send them no commands."""

    AUTO_FOCUS = "#tables"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (16, "-high")]
    COMMANDS = {ScreenCommands}
    BINDINGS = [
        Binding("v", "next", "Next curves", id="compare.next",
                tooltip="The next curves, where there is no room for all"),
        Binding("q,escape,ctrl+c", "leave", "Back", key_display="q", id="compare.leave",
                tooltip="Back; runs go on"),
        Binding("question_mark", "help", "Help", key_display="?", id="run.help",
                tooltip="Keys and signs"),
    ]  # fmt: skip

    compared: var[tuple[Compared, ...]] = var(())

    charts = getters.query_one("#charts", ComparedCharts)

    def __init__(self, directories: Sequence[Path]) -> None:
        """Compare up to 26 runs; raise TuitrainError or OSError if one cannot be read."""
        super().__init__()
        self._followers = [Follower(Client(directory)) for directory in directories[: len(SIGNS)]]
        self._curves = [Curves(follower.client.record) for follower in self._followers]
        self._looks = 0
        for follower in self._followers:
            follower.run  # noqa: B018 - raises for an unreadable run before the screen opens
        self._one_at_a_time = asyncio.Lock()
        self._broken = Complaint(self)

    def compose(self) -> ComposeResult:
        yield Legend(id="legend").data_bind(subject=CompareScreen.compared)
        yield ComparedCharts(id="charts").data_bind(subject=CompareScreen.compared)
        with VerticalScroll(id="tables"):
            yield Settings(id="differs").data_bind(subject=CompareScreen.compared)
            yield Results(id="did").data_bind(subject=CompareScreen.compared)
        yield KeysFooter()

    def on_mount(self) -> None:
        self.set_interval(_LOOK_S, self.follow)

    async def on_screen_resume(self) -> None:
        await self.follow()

    @until_left
    async def follow(self) -> None:
        """Read new events and update the panels, except under a dialog."""
        async with self._one_at_a_time:
            if not self.is_active:
                return
            try:
                self.compared = await asyncio.to_thread(self._look, 2 * self.size.width)
            except Exception as error:  # noqa: BLE001 - an unreadable record must not end the app
                self._broken.show(f"cannot read a run: {safe(error)}")

    def _look(self, points: int) -> tuple[Compared, ...]:
        self._looks += 1
        is_turn_of_ended = self._looks % _ENDED_EVERY == 1
        runs = [
            follower.look() if is_turn_of_ended or not follower.run.has_ended else follower.run
            for follower in self._followers
        ]
        return tuple(
            Compared.read(number, run, curves, points)
            for number, (run, curves) in enumerate(zip(runs, self._curves, strict=True))
        )

    def watch_compared(self) -> None:
        self.refresh_bindings()

    def check_action(self, action: str, _parameters: tuple[object, ...]) -> bool | None:
        """Offer the next curves only where some have no room."""
        return action != "next" or self.charts.has_more

    def action_next(self) -> None:
        self.charts.turn()

    def action_leave(self) -> None:
        self.dismiss()

    def action_help(self) -> None:
        explained = [binding for binding in self.BINDINGS if isinstance(binding, Binding)]
        self.app.push_screen(HelpScreen(explained, signs=_SIGNS_OF_CHARTS))
