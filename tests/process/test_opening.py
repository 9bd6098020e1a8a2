"""The first frame, which is there before the command line and the app are imported."""

import json
import signal
import sys
import termios

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Shell, until
from tests.process.conftest import opened
from tuitrain.tui import opening

SCRIPT = """
import json, os, sys
from tuitrain.tui import opening
opening.show(["run", "digits"])
"""


def test_the_first_frame_needs_neither_click_nor_textual_nor_plotext(
    tuitrain: Shell, terminals, tmp_path
):
    modules = tmp_path / "modules.json"
    written = f"open({str(modules)!r}, 'w').write(json.dumps(list(sys.modules)))"
    screen = opened(terminals, tuitrain, program=[sys.executable, "-c", SCRIPT + written])
    until(screen.has_ended, "it has ended")
    assert "tuitrain  run digits" in screen.text()
    loaded = {name.partition(".")[0] for name in json.loads(modules.read_text())}
    assert loaded.isdisjoint({"click", "rich", "textual", "plotext", "torch", "asyncio", "sqlite3"})


def test_while_it_is_shown_nothing_is_collected_nor_later_what_was_imported(
    tuitrain: Shell, terminals, tmp_path
):
    counts = tmp_path / "counts.json"
    script = """
import gc
made = lambda: sum(generation["collections"] for generation in gc.get_stats())
before = made()
import tuitrain.tui.app
while_shown = made() - before, gc.isenabled()
opening.hand_over()
loaded = {id(module) for module in sys.modules.values()}
looked_through = len(loaded & {id(one) for one in gc.get_objects()})
"""
    said = "json.dumps([*while_shown, gc.isenabled(), looked_through])"
    written = f"open({str(counts)!r}, 'w').write({said})"
    program = [sys.executable, "-c", SCRIPT + script + written]
    screen = opened(terminals, tuitrain, program=program)
    until(screen.has_ended, "it has ended")
    assert json.loads(counts.read_text()) == [0, False, True, 0]


def test_the_app_takes_over_the_first_frame_without_a_flicker(tuitrain: Shell, terminals):
    tuitrain.trained("a")
    screen = opened(terminals, tuitrain)
    screen.expect("opening …")
    screen.press("q")  # typed before the app is there: shown nowhere, and read by the app
    until(screen.has_ended, "the app has ended")
    first, _, later = screen.raw.partition(b"opening")
    assert first.count(b"\x1b[?1049h") == 1
    assert b"\x1b[?1049h" not in later
    assert b"\x1b[2J" not in later
    assert screen.status == 0


def test_a_mistake_in_the_command_is_told_on_the_usual_screen(tuitrain: Shell, terminals):
    screen = opened(terminals, tuitrain, "run", "digitss")
    until(screen.has_ended, "it has ended")
    _, frame, after = screen.raw.partition(b"\x1b[?1049h")
    assert frame
    usual, said = after.split(b"\x1b[?1049l")[1], b"no task 'digitss'"
    assert said in usual
    assert usual.startswith(b"\x1b[?25h"), "with a cursor"
    assert screen.status == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_it_is_shown_leaves_the_terminal_as_it_was(
    tuitrain: Shell, terminals, number
):
    ends = f"os.kill(os.getpid(), {int(number)})"
    screen = opened(terminals, tuitrain, program=[sys.executable, "-c", SCRIPT + ends])
    until(screen.has_ended, "it has ended")
    assert screen.status == -number
    assert screen.raw.endswith(b"\x1b[?1049l\x1b[?25h")
    assert termios.tcgetattr(screen.descriptor)[3] & termios.ECHO


@pytest.mark.parametrize(
    ("command", "opens"),
    [
        ("", True), ("--home /tmp/a", True), ("--home /tmp/a ls", False), ("run", True),
        ("run digits --pace 30", True), ("run digits --plain", False), ("run -h", False),
        ("attach a", True), ("watch --detach train.py", False), ("ls", False), ("--version", False),
        ("tour", True), ("run --detach", False),
    ],
)  # fmt: skip
def test_it_is_shown_for_the_commands_that_open_the_app(command: str, opens: bool):
    assert opening.opens_app(command.split()) == opens


@given(words=st.text(), columns=st.integers(1, 200), rows=st.integers(1, 60))
def test_it_fills_one_row_of_any_terminal_whatever_the_words(words: str, columns: int, rows: int):
    screen = pyte.Screen(columns, rows)
    pyte.Stream(screen).feed(opening.frame(words, columns).removeprefix("\x1b[?1049h"))
    assert all(not row.strip() for row in screen.display[1:])
    assert (screen.cursor.y, screen.display[0].strip() != "") == (0, columns > 1)


def test_nothing_is_painted_without_a_terminal(tuitrain: Shell):
    done = tuitrain.anew("run", "digitss", code=2)
    assert "\x1b" not in done.stdout + done.stderr
