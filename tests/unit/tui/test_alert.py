"""Notes on the desktop: only for terminals that show them, and nothing but text in them."""

import pytest

from tuitrain.tui.alert import desktop_note


@pytest.mark.parametrize(
    ("environment", "begins"),
    [
        ({"TERM": "xterm-kitty"}, "\x1b]9;"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "\x1b]9;"),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, "\x1b]9;"),
        ({"TERM": "foot"}, "\x1b]777;notify;tuitrain;"),
        ({"TERM": "xterm-256color"}, ""),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/tmux"}, ""),
    ],
)
def test_a_note_is_for_terminals_that_show_it(environment, begins):
    note = desktop_note("a finished\x07\x1b]0;owned", environment)
    assert note == (f"{begins}a finished␇␛]0;owned\x07" if begins else "")
