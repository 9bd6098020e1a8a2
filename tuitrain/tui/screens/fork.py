"""Fork a run: ask for an epoch, then for what the child does in another way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.screen import Screen

from tuitrain.core.errors import TuitrainError
from tuitrain.core.safe import safe
from tuitrain.store.paths import RunPaths
from tuitrain.trainer.supervisor import Started
from tuitrain.tui.errors import show_error
from tuitrain.tui.screens.epoch import FORK, EpochScreen
from tuitrain.tui.screens.new_run import Fork, NewRunScreen
from tuitrain.view.panel.forks import kept_epochs, none_kept, not_offered
from tuitrain.view.state.snapshot import Snapshot


def fork(screen: Screen[Any], run: Snapshot, forked: Callable[[Started], Any]) -> None:
    """Ask for an epoch that is kept and for the child's settings; call `forked` with the child."""
    kept = kept_epochs(run)
    if not kept:
        screen.notify(none_kept(run))
        return
    parent = RunPaths(run.directory)

    def fill_in(epoch: int | None) -> None:
        if epoch is None:
            return
        try:
            child = Fork.of(parent, epoch)
        except (TuitrainError, OSError) as error:
            show_error(screen, safe(error))
            return
        home = parent.directory.parent.parent
        screen.app.push_screen(NewRunScreen(home, child), begin)

    def begin(started: Started | None) -> None:
        if started is not None:
            forked(started)

    explained = f"{FORK} {not_offered(run)}".rstrip()
    dialog = EpochScreen(f"fork {run.name} from the end of epoch", explained, kept)
    screen.app.push_screen(dialog, fill_in)
