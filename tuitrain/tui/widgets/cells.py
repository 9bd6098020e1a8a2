"""A panel of cells that repaints only the lines that changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain, zip_longest

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual import on
from textual.content import Content
from textual.events import Hide, Show, Unmount
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tuitrain.core.safe import safe
from tuitrain.tui.driver import LeanDriver
from tuitrain.tui.images import placeholder
from tuitrain.tui.widgets.role_colours import colour_of
from tuitrain.view.picture import Image, Line, Part, Picture, Span, ThemeRole, unreadable


class Cells(Widget):
    """Show a picture. Subclasses draw it and pass it to `show`."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._picture: Picture = ()
        self._strips: dict[int, Strip] = {}
        self._styles: dict[ThemeRole, Style] = {}
        self._theme: Mapping[str, str] = {}
        self._images: dict[Image, int] = {}
        self._title = ""

    def show(self, picture: Picture) -> None:
        """Replace the picture, and repaint the lines that differ."""
        before, self._picture = self._picture, picture
        self._hold_images(picture)
        for y, (old, new) in enumerate(zip_longest(before, picture, fillvalue=())):
            if old != new:
                self._strips.pop(y, None)
                self.refresh(Region(0, y, self.size.width, 1))

    def attempt(self, draw: Callable[[], Picture]) -> None:
        """Show the picture that `draw` returns; if it raises an error, show the error."""
        try:
            self.show(draw())
        except Exception as error:  # noqa: BLE001 - an unreadable record must not end the app
            self.show(unreadable(error, *self.size))

    def entitle(self, title: str) -> None:
        """Set the title on the border; an unchanged title causes no repaint."""
        if title != self._title:
            self._title = title
            self.border_title = Content(safe(title))  # no markup

    def render_line(self, y: int) -> Strip:
        """Return a line of the last picture; only its colours are computed here."""
        if y not in self._strips:
            line = self._picture[y] if y < len(self._picture) else ()
            strip = Strip([self._segment(span) for span in joined(line)])
            self._strips[y] = strip.adjust_cell_length(self.size.width, self._style("text"))
        return self._strips[y]

    def on_resize(self) -> None:
        self._strips.clear()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._strips.clear()
        self._styles.clear()
        if self._theme is not self.app.theme_variables:  # its colours are no rules of this panel
            self._theme = self.app.theme_variables
            self.refresh()

    @on(Hide)
    @on(Unmount)
    def _drop_images(self) -> None:
        self._hold_images(())
        self._strips.clear()

    @on(Show)
    def _send_images(self) -> None:
        self._hold_images(self._picture)
        self._strips.clear()

    def _hold_images(self, picture: Picture) -> None:
        """Have the terminal hold the images of a picture, and no longer those of the last one."""
        driver = self.app._driver
        if isinstance(driver, LeanDriver) and driver.images is not None:
            parts = (role for _, role in chain(*picture) if isinstance(role, Part))
            wanted = dict.fromkeys(part.image for part in parts)
            self._images = driver.images.hold(self._images, wanted)

    def _segment(self, span: Span) -> Segment:
        text, role = span
        if not isinstance(role, Part):
            return Segment(text, self._style(role))
        number = self._images.get(role.image)
        if number is not None:
            return Segment(placeholder(number, role.column, role.row), self._style("text"))
        return Segment(text, Style.from_color(*(_GREYS[int(half, 16)] for half in role.halves)))

    def _style(self, role: ThemeRole) -> Style:
        # Textual's component classes would make a node of each role whenever a panel is styled
        if role not in self._styles:
            background = self.background_colors[1]
            color = (background + colour_of(role, self.app)).rich_color
            self._styles[role] = self.rich_style + Style(color=color, bold=role == "strong" or None)
        return self._styles[role]


_GREYS = [Color.from_ansi(232 + round(brightness * 23 / 15)) for brightness in range(16)]
"""The 24 greys of a palette of 256 colours, for 16 digits."""


def joined(line: Line) -> Line:
    """Return the line with equal neighbours joined; blank cells take the role before them."""
    spans: list[Span] = []
    for span in line:
        is_blank = not span.text.strip(" ") and spans and isinstance(spans[-1].role, str)
        if spans and (span.role == spans[-1].role or is_blank):
            spans[-1] = Span(spans[-1].text + span.text, spans[-1].role)
        else:
            spans.append(span)
    return tuple(spans)
