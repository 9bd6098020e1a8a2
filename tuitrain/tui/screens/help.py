"""A dialog that explains the keys of a screen and the signs on its chart."""

from __future__ import annotations

from collections.abc import Iterable

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import ItemGrid, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tuitrain.tui.keys import keymap_of, shown
from tuitrain.tui.widgets.dialog import Dialog
from tuitrain.view.text.cells import wrapped

_COLUMN_CELLS = 60
"""If two of them fit, the keys are in two columns."""
_WIDEST, _FRAME = 136, 6
"""Most cells of the dialog, as in dialogs.tcss, and how many of them surround its text."""
_KEY = 11
"""Cells before a text."""
SIGNS = [
    ("$cell-envelope", "▒▒", "every batch loss, from the least to the greatest"),
    ("$cell-smooth", "━━", "the smoothed loss"),
    ("$cell-validation", "⠤⠒", "the validation loss at each epoch's end"),
    ("$cell-swap", " │", "the loss was swapped; values before and after are not comparable"),
    ("$cell-muted", " ↶", "another take: training went back to an earlier step"),
    ("$foreground", " │", "the cursor; the title has its values"),
    ("$warning", " ▲", "values above the axis; o shows them"),
    ("$error", " ×", "a loss that is not finite: NaN or infinite"),
    ("$cell-past", "━━", "an earlier loss, drawn to its own scale"),
    (
        "$cell-past",
        "⠤⠒",
        "dashed: abandoned by an undo, a rollback or a crash; the run it was forked from",
    ),
    ("$cell-swap", " ▸", "the loss in use, among the curves that compare across swaps"),
    ("$success", " ★", "the best value so far"),
]


class ScrolledDialog(Dialog, can_focus=True):
    """A dialog whose text may be longer than the terminal is high."""

    DEFAULT_CSS = "ScrolledDialog { overflow-y: auto; }"
    BINDINGS = VerticalScroll.BINDINGS


class HelpScreen(ModalScreen[None]):
    """Show the keys and the signs, with their meaning."""

    BINDINGS = [Binding("escape,question_mark,q", "dismiss", "Close", id="dialog.close")]

    def __init__(
        self, bindings: Iterable[Binding], signs: Iterable[tuple[str, str, str]] = SIGNS
    ) -> None:
        """Explain these keys and the app's; `signs` are those of a chart: colour, sign, meaning."""
        super().__init__()
        self._signs = list(signs)
        self._explained = list(bindings)

    def compose(self) -> ComposeResult:
        with ScrolledDialog() as dialog:
            dialog.border_title = "help"
            dialog.keys = ("esc closes",)
            app = [binding for binding in self.app.BINDINGS if isinstance(binding, Binding)]
            keymap = keymap_of(self.app)
            room = min(_WIDEST, int(self.app.size.width * 0.96)) - _FRAME
            cells = room // 2 if room >= 2 * _COLUMN_CELLS else room
            lines = [
                _line(shown(binding, keymap), binding.tooltip, cells)
                for binding in (*self._explained, *app)
            ]
            half = -(-len(lines) // 2)
            with ItemGrid(min_column_width=_COLUMN_CELLS):
                yield Static(Content("\n").join(lines[:half]))
                yield Static(Content("\n").join([*lines[half:], Content("")]))
            yield Static(Content("\n").join(_symbol_line(*sign) for sign in self._signs))


def _line(keys: str, description: str, cells: int) -> Content:
    first, *rest = wrapped(description, max(_KEY, cells - _KEY))
    more = "".join(f"\n{'':<{_KEY}}{line}" for line in rest)
    return Content.assemble((f"{keys:>{_KEY - 2}}  ", "bold $accent"), first, more)


def _symbol_line(colour: str, sign: str, meaning: str) -> Content:
    return Content.assemble((f"       {sign}  ", colour), meaning)
