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
                tooltip="Cursor to later steps"),
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

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave esc to others where the charts are live."""
        if action == "live" and self.chart_view.is_live:
            return False
        return super().check_action(action, parameters)

    def action_log_y(self) -> None:
        self.chart_view = replace(self.chart_view, log_y=not self.chart.is_log)

    def action_x_axis(self) -> None:
        self.chart_view = self.chart_view.next_unit(units_of(self.latest))

    def action_smoother(self, factor: float) -> None:
        self.chart_view = self.chart_view.smoother(factor, live_window(self.latest))

    def action_smoothing(self) -> None:
        self.chart_view = replace(
            self.chart_view, half_life=None if self.chart_view.half_life == 0 else 0.0
        )

    def action_outliers(self) -> None:
        self.chart_view = replace(self.chart_view, full_range=not self.chart_view.full_range)

    def action_zoom(self, factor: float) -> None:
        cursor = self.latest.step if self.chart_view.cursor is None else self.chart_view.cursor
        self._zoom(factor, cursor)

    def action_move(self, cells: int) -> None:
        live = live_window(self.latest)
        width = self.chart.size.width or self.size.width
        steps = max(1, (self.chart_view.window or live).steps // width)
        self.chart_view = self.chart_view.moved(cells * steps, self._first, self.latest.step, live)

    def action_first(self) -> None:
        self.chart_view = self.chart_view.at(self._first, live_window(self.latest))

    def action_newest(self) -> None:
        self.chart_view = self.chart_view.at(self.latest.step, live_window(self.latest))

    def action_live(self) -> None:
        self.chart_view = self.chart_view.live()

    @property
    def _first(self) -> int:
        return min(self.latest.step, self.latest.lineage.step + 1)

    def _zoom(self, factor: float, at: int) -> None:
        self.chart_view = self.chart_view.zoomed(factor, at, live_window(self.latest))

    def on_loss_chart_pointed(self, message: LossChart.Pointed) -> None:
        """Put the cursor on a step that was clicked."""
        step = min(self.latest.step, max(self._first, message.step))
        self.chart_view = self.chart_view.at(step, live_window(self.latest))

    def on_loss_chart_turned(self, message: LossChart.Turned) -> None:
        """Zoom at the step under the mouse."""
        self._zoom(_CLOSER if message.is_up else 1 / _CLOSER, message.step)
