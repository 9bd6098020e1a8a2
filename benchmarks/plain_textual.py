"""An app of Textual alone, with as many cells as the screen of a run: what a key takes at least.

python -m benchmarks.plain_textual: two views of four coloured texts, which change three times a
second; the keys 1 and 2 switch between the views, as those of tuitrain do.
"""

from __future__ import annotations

from itertools import count, cycle, islice
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Container
from textual.widgets import ContentSwitcher, Static

VIEWS = ("Training", "Batch")
_TEXTS, _EVERY_S = 4, 1 / 3
_COLUMNS, _ROWS, _CELLS_OF_A_COLOUR = 74, 19, 6
_COLOURS = ("cyan", "magenta", "yellow", "green", "white")


class PlainApp(App[None]):
    """Shows one of two views."""

    CSS = """
    Container { layout: grid; grid-size: 2 2; }
    Static { border: round white; height: 1fr; }
    #tabs { height: 3; }
    """
    BINDINGS: ClassVar = [
        Binding("1", f"show('{VIEWS[1]}')", VIEWS[1]),
        Binding("2", f"show('{VIEWS[0]}')", VIEWS[0]),
    ]

    def compose(self) -> ComposeResult:
        yield Static(id="tabs")
        with ContentSwitcher(initial=VIEWS[1]):
            for view in VIEWS:
                with Container(id=view):
                    for _ in range(_TEXTS):
                        yield Static(classes="text")

    def on_mount(self) -> None:
        self._frames = count()
        self.action_show(VIEWS[1])
        self.set_interval(_EVERY_S, self._change)

    def action_show(self, view: str) -> None:
        """Show another view, and say which one it is."""
        self.query_one(ContentSwitcher).current = view
        marked = [(one, "reverse" if one == view else "dim") for one in VIEWS]
        self.query_one("#tabs", Static).update(Text.assemble(*marked))

    def _change(self) -> None:
        text = coloured(next(self._frames))
        for widget in self.query(".text").results(Static):
            widget.update(text)


def coloured(number: int) -> Text:
    """Return as many coloured cells as a chart has."""
    colours = islice(cycle(_COLOURS), number % len(_COLOURS), None)
    cells = chr(ord("a") + number % 26) * _CELLS_OF_A_COLOUR
    lines = [
        Text.assemble(*((cells, next(colours)) for _ in range(_COLUMNS // len(cells))))
        for _ in range(_ROWS)
    ]
    return Text("\n").join(lines)


if __name__ == "__main__":
    PlainApp().run()
