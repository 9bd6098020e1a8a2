"""The panels of a comparison; each draws its function of `view.chart.compare`."""

from __future__ import annotations

from textual.reactive import var

from tuitrain.tui.widgets.async_picture import AsyncPicture
from tuitrain.tui.widgets.cells import Cells
from tuitrain.view.chart import compare
from tuitrain.view.chart.compare import Compared
from tuitrain.view.picture import Picture


class _FittedPanel(Cells):
    """A panel as high as its picture."""

    DEFAULT_CSS = """
    _FittedPanel { height: 1; }
    """

    subject: var[tuple[Compared, ...]] = var(())

    _lines = 0

    def watch_subject(self) -> None:
        self.draw()

    def on_resize(self) -> None:
        super().on_resize()
        self.draw()

    def draw(self) -> None:
        """Draw the runs, if there are any and the panel has a width."""
        if self.subject and self.size.width:
            self.attempt(lambda: self._adjust_height(self.picture(self.subject)))

    def _adjust_height(self, picture: Picture) -> Picture:
        """Give the panel the height of the picture, and return the picture."""
        if len(picture) != self._lines:  # setting a height lays the whole screen out
            self._lines = len(picture)
            self.styles.height = self._lines + self.gutter.height
        return picture

    def picture(self, compared: tuple[Compared, ...]) -> Picture:
        """Return the picture of the runs, for the panel's width."""
        raise NotImplementedError


class Legend(_FittedPanel):
    """The sign and the colour of each run."""

    def picture(self, compared: tuple[Compared, ...]) -> Picture:
        return compare.legend(compared, self.size.width)


class Settings(_FittedPanel):
    """The settings in which the runs differ."""

    BORDER_TITLE = "what differs"

    def picture(self, compared: tuple[Compared, ...]) -> Picture:
        return compare.settings_table(compared, self.size.width)


class Results(_FittedPanel):
    """The last and the best value of each metric."""

    def picture(self, compared: tuple[Compared, ...]) -> Picture:
        self.entitle(compare.results_title(compared, self.size.width - 2))
        return compare.results_table(compared, compare.shared_by(compared), self.size.width)


class ComparedCharts(AsyncPicture):
    """A chart for each metric that the runs share, as many as fit."""

    MIN_INTERVAL_S = 2.0

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(self._charts, id=id)
        self._page = 0

    def watch_subject(self) -> None:
        self.mark_stale()
        self._entitle_page()

    def on_resize(self) -> None:
        super().on_resize()
        self._entitle_page()
        self.screen.refresh_bindings()  # the other panels may take the room for some curves

    @property
    def has_more(self) -> bool:
        """Whether there is no room for all metrics."""
        return bool(self.subject) and compare.has_more(self.subject, *self.size)

    def turn(self) -> None:
        """Show the next metrics; after the last ones, the first again."""
        self._page += 1
        self.refresh_now()
        self._entitle_page()

    def _charts(self, compared: tuple[Compared, ...], width: int, height: int) -> Picture:
        return compare.page(compared, self._page, width, height)

    def _entitle_page(self) -> None:
        if self.subject:
            self.entitle(compare.page_title(self.subject, self._page, *self.size))
