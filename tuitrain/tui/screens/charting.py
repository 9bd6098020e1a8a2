"""The keys of the charts of a run: axes, smoothing, outliers, zoom and cursor."""

from __future__ import annotations

from dataclasses import replace

from textual import getters
from textual.binding import Binding
from textual.reactive import var

from tuitrain.tui.screens.steering import SteeringScreen
from tuitrain.tui.widgets.loss_chart import LossChart
from tuitrain.view.chart.chart_view import USUAL, ChartView
from tuitrain.view.chart.live import live_window
from tuitrain.view.chart.x_maps import units_of

_CLOSER = 0.5
_NO_CHART = "This view has no chart over the steps: 1 and 5 have."
_NO_LOSS = "Only the chart of the loss is smoothed, and has outliers: view 1."
_ONE_UNIT = "Steps are all there is to put on the x axis."
_SMOOTHEST = "It is smoothed over all steps."
_ROUGHEST = "It is smoothed over one step; 0 shows no smoothed line."
_WIDEST, _CLOSEST = "All steps are shown.", "Fewer steps cannot be told apart."


class ChartingScreen(SteeringScreen, inherit_bindings=False):
    """A screen with charts of a run; all of them show the same steps and the same cursor."""

    BINDINGS = [
        Binding("y", "log_y", "Log", show=False, id="chart.log_y",
                tooltip="Logarithmic y axis, or linear"),
        Binding("x", "x_axis", "Axis", show=False, id="chart.x",
                tooltip="X axis: steps, epochs, samples, time without pauses"),
        Binding("plus", "smoother(2.0)", "Smoother", key_display="+", show=False,
                id="chart.smoother", tooltip="Smooth the losses over more steps"),
        Binding("minus", "smoother(0.5)", "Rougher", key_display="-", show=False,
                id="chart.rougher", tooltip="Smooth the losses over fewer steps"),
        Binding("0", "smoothing", "Smoothing", show=False, id="chart.smoothing",
                tooltip="No smoothed line, or the usual one again"),
        Binding("o", "outliers", "Outliers", show=False, id="chart.outliers",
                tooltip="Y axis with all outliers, or without"),
        Binding("left_square_bracket", "zoom(2.0)", "Wider", key_display="[", show=False,
                id="chart.wider", tooltip="Show twice as many steps"),
        Binding("right_square_bracket", "zoom(0.5)", "Closer", key_display="]", show=False,
                id="chart.closer", tooltip="Show half as many steps"),
        Binding("left", "move(-1)", "Left", show=False, id="chart.left",
                tooltip="Cursor to earlier steps; the title has its values"),
        Binding("right", "move(1)", "Right", show=False, id="chart.right",
                tooltip="Cursor to later steps; in view 2 both show another sample"),
        Binding("home", "first", "First", show=False, id="chart.first",
                tooltip="Cursor to the first step"),
        Binding("end", "newest", "Newest", show=False, id="chart.newest",
                tooltip="Cursor to the newest step"),
        Binding("escape", "live", "Live", key_display="esc", show=False, id="chart.live",
                tooltip="Charts that follow the run again, without a cursor"),
    ]  # fmt: skip

    chart_view: var[ChartView] = var(USUAL)
    """How the charts are looked at."""

    chart = getters.query_one("#loss", LossChart)

    def on_mount(self) -> None:
        self.chart_view = replace(self.chart_view, has_colour=not self.app.no_color)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave esc to others where the charts are live."""
        if action == "live" and self.chart_view.is_live:
            return False
        return super().check_action(action, parameters)

    @property
    def shows_charts(self) -> bool:
        """Whether there is a chart over the steps on the screen."""
        raise NotImplementedError

    def action_log_y(self) -> None:
        self._view(replace(self.chart_view, log_y=not self.chart.is_log))

    def action_x_axis(self) -> None:
        self._view(self.chart_view.next_unit(units_of(self.latest)), _ONE_UNIT)

    def action_smoother(self, factor: float) -> None:
        view = self.chart_view.smoother(factor, live_window(self.latest))
        self._view_loss(view, _SMOOTHEST if factor > 1 else _ROUGHEST)

    def action_smoothing(self) -> None:
        half_life = None if self.chart_view.half_life == 0 else 0.0
        self._view_loss(replace(self.chart_view, half_life=half_life))

    def action_outliers(self) -> None:
        self._view_loss(replace(self.chart_view, full_range=not self.chart_view.full_range))

    def action_zoom(self, factor: float) -> None:
        cursor = self.latest.step if self.chart_view.cursor is None else self.chart_view.cursor
        self._view(self._zoomed(factor, cursor), _WIDEST if factor > 1 else _CLOSEST)

    def action_move(self, cells: int) -> None:
        live = live_window(self.latest)
        width = self.chart.size.width or self.size.width
        steps = max(1, (self.chart_view.window or live).steps // width)
        self._view(self.chart_view.moved(cells * steps, self._first, self.latest.step, live))

    def action_first(self) -> None:
        self._view(self.chart_view.at(self._first, live_window(self.latest)))

    def action_newest(self) -> None:
        self._view(self.chart_view.at(self.latest.step, live_window(self.latest)))

    def action_live(self) -> None:
        self.chart_view = self.chart_view.live()

    def _view(self, view: ChartView, why_not: str = "") -> None:
        """Look at the charts in this way; say why where that changes nothing."""
        if not self.shows_charts:
            self.notify(_NO_CHART)
            return
        if view == self.chart_view and why_not:
            self.notify(why_not)
        self.chart_view = view

    def _view_loss(self, view: ChartView, why_not: str = "") -> None:
        """As `_view`, for what changes the chart of the loss only."""
        if self.shows_charts and not self.chart.is_on_screen:
            self.notify(_NO_LOSS)
        else:
            self._view(view, why_not)

    @property
    def _first(self) -> int:
        return min(self.latest.step, self.latest.lineage.step + 1)

    def _zoomed(self, factor: float, at: int) -> ChartView:
        return self.chart_view.zoomed(factor, at, live_window(self.latest))

    def on_loss_chart_pointed(self, message: LossChart.Pointed) -> None:
        """Put the cursor on a step that was clicked."""
        step = min(self.latest.step, max(self._first, message.step))
        self.chart_view = self.chart_view.at(step, live_window(self.latest))

    def on_loss_chart_turned(self, message: LossChart.Turned) -> None:
        """Zoom at the step under the mouse."""
        self.chart_view = self._zoomed(_CLOSER if message.is_up else 1 / _CLOSER, message.step)
