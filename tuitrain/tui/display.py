"""The terminal as it is and as it should be; only the cells that differ are written."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from rich.cells import split_graphemes

from tuitrain.tui import images
from tuitrain.view.text.cells import NARROW

PIECE_BYTES = 2048
"""Bytes after which a piece ends: a link of 20 kB/s transfers them in a tenth of a second."""

_TOKEN = re.compile(
    r"\x1b\[(?P<move>\d*;?\d*)H"
    r"|\x1b\[(?P<style>[\d;]*)m"
    r"|\x1b\[\?2026(?P<sync>[hl])"
    r"|(?P<link>\x1b\]8;.*?(?:\x07|\x1b\\))"
    r"|(?P<text>[^\x00-\x1f\x7f\x1b]+)"
    r"|(?P<newline>\n)"
    r"|(?P<control>\x1b\[[^@-~]*[@-~]|\x1b[\]PX^_].*?(?:\x07|\x1b\\)|.)",
    re.DOTALL,
)
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"
_RESET = "\x1b[m"
_SHOW_ON_BLANKS = {"4", "7", "9", "21", "53"}
"""Attributes, such as underlined or reversed, that are visible on a blank, too."""


_GREYS = {f"{grey};{grey};{grey}": f"5;{232 + at}" for at, grey in enumerate(range(8, 239, 10))}
"""The greys of the palette of 256 colours, of which pictures are made: in half as many bytes."""


_HALF = "▀"


class Look(NamedTuple):
    """The look of a cell as SGR parameters; None where any value looks the same."""

    attributes: str | None = ""
    foreground: str | None = ""
    background: str = ""


Cell = tuple[str, Look]
"""A character with its look; the second cell of a wide character is empty."""
Row = list[Cell | None]
"""None is a cell of unknown content."""

_PLAIN = Look()


class Display:
    """Turn painted text into the shortest output that updates the terminal.

    Cells that are painted over before they are sent are never sent. Only the sequences that Textual
    writes are parsed (absolute moves, SGR, text). Links are dropped; all other sequences are passed
    on unchanged, before the cells. Not thread-safe.
    """

    def __init__(self) -> None:
        self._controls: list[str] = []
        self._is_synchronized = False
        self.forget(0, 0)

    def forget(self, columns: int, rows: int) -> None:
        """Restart with a terminal of that size and of unknown content."""
        self._columns = columns
        self._wanted: list[Row] = [[None] * columns for _ in range(rows)]
        self._shown: list[Row] = [[None] * columns for _ in range(rows)]
        self._changed: set[int] = set()
        self._x = self._y = 0
        self._look = _PLAIN

    @property
    def is_pending(self) -> bool:
        """Whether there is output to send."""
        return bool(self._controls or self._changed)

    @property
    def has_controls(self) -> bool:
        """Whether there is output to send besides cells."""
        return bool(self._controls)

    def take(self, painted: str) -> None:
        """Parse painted text; ignore cells outside the terminal."""
        for token in _TOKEN.finditer(painted):
            value = token[token.lastgroup or 0]
            match token.lastgroup:
                case "text":
                    self._put(value)
                case "style":
                    self._look = looks(value, self._look)
                case "move":
                    row, _, column = value.partition(";")
                    self._x, self._y = int(column or 1) - 1, int(row or 1) - 1
                case "newline":
                    self._x, self._y = 0, self._y + 1
                case "sync":
                    self._is_synchronized = True
                case "control":
                    self._controls.append(value)

    def controls(self) -> str:
        """Return the output to send before all cells."""
        controls = "".join(self._controls)
        self._controls.clear()
        return controls

    def next_chunk(self) -> str:
        """Return the output to send next, "" if the terminal is up to date.

        Rows are sent from the top down: a slow link gets names and numbers before charts.
        """
        controls = self.controls()
        rows: list[str] = []
        pen = _PLAIN
        for y in sorted(self._changed):
            self._changed.remove(y)
            row, pen = self._difference(y, pen)
            if row:
                rows.append(row)
            if sum(map(len, rows)) > PIECE_BYTES:
                break
        if not rows:
            return controls
        if pen != _PLAIN:
            rows.append(_RESET)
        painted = "".join([*rows, f"\x1b[{self._y + 1};{self._x + 1}H"])
        return controls + (f"{_BEGIN}{painted}{_END}" if self._is_synchronized else painted)

    def _put(self, text: str) -> None:
        cells = _cells(text, self._look)
        first, self._x = self._x, self._x + len(cells)
        if not (0 <= self._y < len(self._wanted) and first < self._columns):
            return
        row = self._wanted[self._y]
        last = min(self._x, self._columns)
        _blank_half(row, first)
        _blank_half(row, last)
        row[first:last] = cells[: last - first]
        self._changed.add(self._y)

    def _difference(self, y: int, pen: Look) -> tuple[str, Look]:
        """Return the output that updates a row, and the pen after it."""
        parts: list[str] = []
        at = -1
        wanted, shown = self._wanted[y], self._shown[y]
        for x, (cell, before) in enumerate(zip(wanted, shown, strict=True)):
            if cell is None or cell == before or not cell[0]:
                continue
            text, look = cell
            if at != x:
                parts.append(f"\x1b[{x + 1}G" if parts else f"\x1b[{y + 1};{x + 1}H")
            change, pen = transition(pen, look)
            parts += (change, text)
            # terminals disagree about the width of some characters: move the cursor after these
            at = x + 1 if NARROW.fullmatch(text) or images.is_placeholder(text) else -1
        self._shown[y] = [
            before if cell is None else cell for cell, before in zip(wanted, shown, strict=True)
        ]
        return "".join(parts), pen


def _cells(text: str, look: Look) -> list[Cell]:
    blank = (" ", _on_blank(look))
    if not text.strip(_HALF) and (look.foreground or "")[2:] == look.background[2:]:
        return [blank] * len(text)  # both halves have the colour of the background
    if NARROW.fullmatch(text):
        return [blank if character == " " else (character, look) for character in text]
    cells: list[Cell] = []
    for first, last, width in split_graphemes(text)[0]:
        if width:
            cell = text[first:last]
            cells.append(blank if cell == " " else _image_part(cell, look) or (cell, look))
            cells += [("", look)] * (width - 1)
        elif cells:
            cells[-1] = (cells[-1][0] + text[first:last], look)
    return cells


def _image_part(cell: str, look: Look) -> Cell | None:
    """Return a part of an image with the number of the image as foreground colour."""
    part = images.split(cell)
    return part and (part[0], Look("", f"38;5;{part[1]}", look.background))


def _blank_half(row: Row, x: int) -> None:
    """Blank the wide character whose second cell is at x: half of it will be painted over."""
    cell = row[x] if x < len(row) else None
    if cell is not None and not cell[0]:
        row[x] = row[x - 1] = (" ", _on_blank(cell[1]))


@lru_cache(maxsize=1024)
def looks(parameters: str, before: Look) -> Look:
    """Return the look after an SGR sequence with these parameters, separated by semicolons."""
    attributes, foreground, background = (part or "" for part in before)
    codes = iter(parameters.split(";"))
    for code in codes:
        if code in ("", "0"):
            attributes = foreground = background = ""
        elif code in ("38", "48"):
            kind = next(codes, "")
            rest = ";".join(next(codes, "") for _ in range(3 if kind == "2" else 1))
            color = f"{code};{_GREYS.get(rest) or f'{kind};{rest}'}"
            foreground, background = (color, background) if code == "38" else (foreground, color)
        elif code in ("39", "49") or code[:-1] in ("3", "4", "9", "10"):
            color = "" if code in ("39", "49") else code
            if code[:-1] in ("3", "9"):
                foreground = color
            else:
                background = color
        else:
            attributes = f"{attributes};{code}" if attributes else code
    return Look(attributes, foreground, background)


@lru_cache(maxsize=4096)
def transition(pen: Look, look: Look) -> tuple[str, Look]:
    """Return the sequence that changes the pen to the look, and the pen after it."""
    attributes = pen.attributes if look.attributes is None else look.attributes
    if look.attributes is None and _shows_on_blanks(pen.attributes):
        attributes = ""
    foreground = pen.foreground if look.foreground is None else look.foreground
    after = Look(attributes, foreground, look.background)
    if after == pen:
        return "", pen
    if attributes != pen.attributes:
        codes = ["0", *filter(None, after)] if pen != _PLAIN else [*filter(None, after)]
        return f"\x1b[{';'.join(codes)}m", after
    codes = []
    if after.foreground != pen.foreground:
        codes.append(after.foreground or "39")
    if after.background != pen.background:
        codes.append(after.background or "49")
    return f"\x1b[{';'.join(codes)}m", after


@lru_cache(maxsize=1024)
def _on_blank(look: Look) -> Look:
    """Return the look of a blank: its background alone, unless its attributes are visible."""
    return look if _shows_on_blanks(look.attributes) else Look(None, None, look.background)


def _shows_on_blanks(attributes: str | None) -> bool:
    return not _SHOW_ON_BLANKS.isdisjoint((attributes or "").split(";"))
