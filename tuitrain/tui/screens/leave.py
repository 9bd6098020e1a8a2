"""Leave the screen of a run: a live one goes on without it, or is stopped first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.screen import Screen

from tuitrain.tui.refresh import PULL_S
from tuitrain.tui.screens.choice import Choice, ChoiceScreen
from tuitrain.view.state.snapshot import Snapshot


def leave(
    screen: Screen[Any],
    latest: Callable[[], Snapshot],
    *,
    stop: Callable[[], object],
    close: Callable[[Snapshot], object],
) -> None:
    """Call `close` with the latest snapshot, at once or after the user has said how.

    If the run is to be stopped, `stop` is called, and `close` when the run has ended.
    """

    def close_if_ended() -> None:
        if latest().has_ended:
            close(latest())

    def act(chosen: str | None) -> None:
        if chosen == "stop":
            stop()
            screen.set_interval(PULL_S, close_if_ended)
        elif chosen == "detach":
            close(latest())

    run = latest()
    if run.has_ended:
        close(run)
    else:
        question = f"{run.title} is {run.state}. Leave the screen and …"
        screen.app.push_screen(ChoiceScreen("Leave", question, _choices(run)), act)


def _choices(run: Snapshot) -> list[Choice]:
    does = "stays paused" if run.state == "paused" else "goes on"
    return [
        Choice("detach", "d", f"Detach: it {does} without the screen"),
        Choice("stop", "s", "Stop it, with a checkpoint"),
        Choice("stay", "c", "Cancel"),
    ]
