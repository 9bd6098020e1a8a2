"""A terminal that is sent only what changes shows what it would show if all were sent."""

import pyte
from hypothesis import given
from hypothesis import strategies as st

from tuitrain.tui.display import Display

COLUMNS, ROWS = 24, 5
STYLES = ["1;38;2;1;2;3;48;2;4;5;6", "38;2;9;9;9", "31;44", "4", "7;91", "48;5;33", "3;97;100"]

texts = st.text("ab  ─⠤⠒é", min_size=1, max_size=9)
spans = st.tuples(
    st.integers(1, ROWS), st.integers(1, COLUMNS - 9), st.sampled_from(STYLES), texts
)  # fmt: skip
frames = st.lists(st.tuples(st.lists(spans, min_size=1, max_size=8), st.booleans()), max_size=6)


def screen(painted: str) -> list[list[tuple]]:
    """Return what can be seen of each cell."""
    terminal = pyte.Screen(COLUMNS, ROWS)
    pyte.Stream(terminal).feed(painted)
    return [[_seen(terminal.buffer[y][x]) for x in range(COLUMNS)] for y in range(ROWS)]


def _seen(cell: pyte.screens.Char) -> tuple:
    if cell.data == " " and not (cell.underscore or cell.reverse):
        return " ", cell.bg
    return tuple(cell)


@given(frames)
def test_what_is_sent_looks_like_what_was_painted(frames):
    display, painted, sent = Display(), "", ""
    display.forget(COLUMNS, ROWS)
    for spans, is_fast in frames:
        frame = "".join(f"\x1b[{y};{x}H\x1b[{style}m{text}\x1b[0m" for y, x, style, text in spans)
        display.take(frame)
        painted += frame
        if is_fast:
            sent += display.next_chunk()
    while display.is_pending:
        sent += display.next_chunk()

    assert screen(sent) == screen(painted)
