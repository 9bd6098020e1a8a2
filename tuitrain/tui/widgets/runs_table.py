"""The table of runs, one row a run; only changed cells are rewritten."""

from __future__ import annotations

from collections.abc import Sequence

from rich.style import Style
from rich.text import Text
from textual.theme import Theme
from textual.widgets import DataTable

from tuitrain.tui.widgets.role_colours import colour_of
from tuitrain.view.text.cells import cut, cut_inside
from tuitrain.view.text.listing import TREND_CELLS, Columns, Row, columns


class RunsTable(DataTable[Text]):
    """Show rows; the cursor stays on its run as long as the run is listed."""

    def __init__(self) -> None:
        super().__init__(cursor_type="row", cursor_foreground_priority="renderable")
        self._rows: dict[str, Row] = {}
        self._columns = Columns((), 0, 0)

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, self._recolour)

    def on_resize(self) -> None:
        self.show([*self._rows.values()])

    @property
    def highlighted(self) -> Row | None:
        """The row under the cursor; None in an empty table."""
        return self._rows.get(self._key())

    def show(self, rows: Sequence[Row]) -> None:
        """Show these rows, in this order."""
        fitting, highlighted = columns(rows, self.app.size.width), self._key()
        keys = [str(row.directory) for row in rows]
        if fitting != self._columns:
            self._columns = fitting
            self._head()
            self._refill(rows, keys, highlighted)
        elif keys != list(self._rows):
            self._refill(rows, keys, highlighted)
        else:
            self._update(rows)
        self._rows = dict(zip(keys, rows, strict=True))

    def _head(self) -> None:
        self.clear(columns=True)
        for name in self._columns.names:
            if name == "mark":  # a fixed width: setting a mark moves nothing
                self.add_column("", key=name, width=1)
            elif name == "trend":
                self.add_column(name, key=name, width=TREND_CELLS)
            else:
                self.add_column(name, key=name)

    def _refill(self, rows: Sequence[Row], keys: Sequence[str], highlighted: str) -> None:
        self.clear()
        for key, row in zip(keys, rows, strict=True):
            self.add_row(*(self._text(row, name) for name in self._columns.names), key=key)
        if highlighted in keys:
            self.move_cursor(row=keys.index(highlighted), animate=False)

    def _update(self, rows: Sequence[Row]) -> None:
        for row in rows:
            key = str(row.directory)
            for name in self._columns.names:
                if row.cell(name) != self._rows[key].cell(name):
                    self.update_cell(key, name, self._text(row, name), update_width=True)

    def _recolour(self, _theme: Theme) -> None:
        """Rewrite every cell, since a cell keeps the colours of the theme it was written in."""
        self._refill([*self._rows.values()], [*self._rows], self._key())

    def _text(self, row: Row, name: str) -> Text:
        text, role = row.cell(name)
        if name == "name":
            text = cut_inside(text, self._columns.name_cells)
        elif name == "tags":
            text = cut(text, self._columns.tag_cells)
        colour = colour_of(str(role), self.app).rich_color
        return Text(text, style=Style(color=colour), no_wrap=True)

    def _key(self) -> str:
        if not self.row_count:
            return ""
        return str(self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value)
