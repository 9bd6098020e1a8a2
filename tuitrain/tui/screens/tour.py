"""The screen of the guided tour: that of a run, and below it what to do next."""

from __future__ import annotations

from textual import getters
from textual.app import ComposeResult
from textual.binding import Binding

from tuitrain.core.commands import Pause
from tuitrain.tui import tour_place
from tuitrain.tui.keys import keymap_of, shown
from tuitrain.tui.last_view import LastView
from tuitrain.tui.screens.run import RunScreen
from tuitrain.tui.widgets.guide import Guide
from tuitrain.tui.widgets.run_panels import RunAdvice


class TourScreen(RunScreen):
    """Lead through the screen of a run, which waits whenever there is something to read."""

    guide = getters.query_one(Guide)

    def compose_guide(self) -> ComposeResult:
        keymap = keymap_of(self.app)
        keys = {
            binding.id: shown(binding, keymap)
            for binding in RunScreen.BINDINGS
            if isinstance(binding, Binding) and binding.id
        }
        guide = Guide(keys, tour_place.read(self.latest.directory))
        yield guide.data_bind(snapshot=RunScreen.fast_snapshot)

    def on_mount(self) -> None:
        self.query_one(RunAdvice).remove()  # the tour gives its own, and needs the room

    def first_view(self) -> LastView:
        return LastView("Batch")

    def keep_view(self) -> None:
        """The tour chooses the view, not the user: the next run is shown as the last one was."""

    def show_view(self, name: str) -> None:
        super().show_view(name)
        self.guide.view = name
        if name == "Loss" and not self.has_class("-tall"):  # the guide takes its room
            self.views.enlarge_named("curve")

    def on_guide_reached(self, event: Guide.Reached) -> None:
        """Keep the place, and pause, so that nothing changes while the user reads."""
        tour_place.write(self.latest.directory, event.place)
        if self.latest.state == "running":
            self.send(Pause())

    def action_enlarge(self) -> None:
        if not self.guide.turn():
            super().action_enlarge()
