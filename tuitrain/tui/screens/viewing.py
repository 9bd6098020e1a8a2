"""The keys of the views of a run: which of them is shown, which panel alone, and the search."""

from __future__ import annotations

from textual import getters
from textual.binding import Binding
from textual.widgets import Input

from tuitrain.tui import last_view
from tuitrain.tui.last_view import LastView
from tuitrain.tui.screens.charting import ChartingScreen
from tuitrain.tui.views import VIEWS
from tuitrain.tui.widgets.filter import Filter
from tuitrain.tui.widgets.views import Tabs, Views
from tuitrain.view.panel.batch import is_still
from tuitrain.view.panel.sample import applies as takes_apart

_OF_THE_BATCH = "view-batch"
_RUNS_ON = ". trains one batch: then the arrows show its samples, one after another."


class ViewingScreen(ChartingScreen, inherit_bindings=False):
    """A screen with the views of a run, of which it shows one at a time."""

    BINDINGS = [
        Binding("v", "curves", "Curves", show=False, id="run.curves",
                tooltip="Comparable curves in the loss chart's place, and back"),
        *(
            Binding(str(digit), f"view('{view.name}')", view.name, show=False, id=f"run.{view.id}",
                    tooltip=f"{view.name}: {view.question}")
            for digit, view in enumerate(VIEWS, 1)
        ),
        Binding("tab", "next_panel(1)", "Next panel", show=False, id="run.next_panel",
                tooltip="The next panel: focused, or alone where there is no room"),
        Binding("shift+tab", "next_panel(-1)", "Panel before", show=False, id="run.panel_before",
                tooltip="The panel before, in the same way"),
        Binding("enter", "enlarge", "Enlarge", show=False, id="run.enlarge",
                tooltip="Show the focused panel alone, and back"),
        Binding("escape", "back", "Back", key_display="esc", show=False, id="run.back",
                tooltip="Back to all panels of the view, without a search"),
        Binding("slash", "search", "Search", key_display="/", show=False, id="run.search",
                tooltip="Filter the series of view 5 by name; elsewhere search the log"),
    ]  # fmt: skip

    wanted = ""
    """The text that is searched for."""
    sample = 0
    """Which sample of the batch is shown."""

    tabs = getters.query_one("#tabs", Tabs)
    views = getters.query_one("#views", Views)
    search = getters.query_one(Filter)

    def first_view(self) -> LastView:
        """Return the view to begin with: that of the run that was looked at last."""
        return last_view.read(self._client.paths)

    @property
    def shows_charts(self) -> bool:
        return any(view.id == self.views.current and view.has_charts for view in VIEWS)

    def action_curves(self) -> None:
        """Show the metric charts in place of the loss chart, or the loss chart again."""
        self.action_view(VIEWS[0].name)
        self.toggle_class("-metrics")

    def action_view(self, name: str) -> None:
        """Show the view of that name, also in the next run that is opened."""
        self.show_view(name)
        self.keep_view()

    def keep_view(self) -> None:
        """Keep the view and its enlarged panel for the next run that is opened."""
        self.tabs.is_alone = bool(self.views.alone)
        last_view.write(self._client.paths, LastView(self.tabs.current, self.views.alone))

    def show_view(self, name: str) -> None:
        """Show the view of that name; a search ends with the view that it is of."""
        if name != self.tabs.current:
            self.search.reset()
        self.tabs.current = name
        self.views.switch(next(view.id for view in VIEWS if view.name == name))

    def action_move(self, cells: int) -> None:
        """Move the cursor or, in the view of the batch, show another one of its samples."""
        if self.views.current != _OF_THE_BATCH or not takes_apart(self.latest):
            super().action_move(cells)
        elif is_still(self.latest):
            self.sample += cells
            self.views.mark_stale()
        else:
            self.notify(_RUNS_ON)

    def action_next_panel(self, step: int) -> None:
        self.views.turn(step)
        self.keep_view()

    def action_enlarge(self) -> None:
        self.views.enlarge()
        self.keep_view()

    def action_back(self) -> None:
        self.search.reset()
        self.views.show_all()
        self.keep_view()

    def action_search(self) -> None:
        """Search the view that is shown, or else the log."""
        searched = [view for view in VIEWS if view.searched]
        view = next((view for view in searched if view.id == self.views.current), searched[-1])
        self.action_view(view.name)
        self.search.placeholder = view.searched
        self.search.open()

    def on_input_changed(self, event: Input.Changed) -> None:
        self.wanted = event.value
        self.views.mark_stale()

    def on_input_submitted(self) -> None:
        self.set_focus(None)
