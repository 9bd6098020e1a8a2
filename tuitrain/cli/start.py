"""Open the app, and say afterwards how the run goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tuitrain.cli.common import has_terminal, print_safe, was_refused
from tuitrain.core.errors import WrongUse
from tuitrain.core.events import DOWNLOADING
from tuitrain.store.paths import RunPaths, home_folder
from tuitrain.trainer import supervisor
from tuitrain.trainer.supervisor import Started
from tuitrain.view.text import words

if TYPE_CHECKING:
    from tuitrain.tui.app import TuitrainApp

_LOOK_S = 0.05


def go(start: Callable[[bool], Started], *, detach: bool, plain: bool, log_interval: int) -> int:
    """Start a trainer, owned by this command or not, and show it the way that was asked for."""
    if detach and plain:
        raise WrongUse("--plain owns the run and --detach lets it go: choose one")
    if detach:
        return _leave(start(False))
    if not (plain or has_terminal()):
        plain = True
    started = start(plain)
    if plain:
        from tuitrain.cli.plain import own

        return own(started, every=log_interval)
    return watch(started.paths, started)


def _leave(started: Started) -> int:
    """Print the run's name once it trains or downloads, or the reason of its refusal."""
    from tuitrain.connection.client import Client
    from tuitrain.connection.follower import Follower

    follower = Follower(Client(started.paths.directory))
    now = follower.look_at_a_restart() if started.resumed else follower.look()
    while now.state == "starting" and not now.stage.startswith(DOWNLOADING):
        time.sleep(_LOOK_S)
        now = follower.look()
    if was_refused(now):
        started.process.wait()
        supervisor.delete_refused(started.paths)
    if now.state in ("failed", "crashed"):
        print_safe(f"tuitrain: {now.error}", err=True)
        return now.exit_code or 1
    print_safe(now.name)
    return 0


def open_app(home: str | None) -> int:
    """Open the app on its first screen."""
    if not has_terminal():
        raise WrongUse(
            "the app needs a terminal; without one: tuitrain run --plain, or tuitrain --help"
        )
    from tuitrain.tui.app import TuitrainApp

    return _show(TuitrainApp(home_folder(home)))


def watch(paths: RunPaths, started: Started | None = None, *, home: Path | None = None) -> int:
    """Open the app on one run; `home` has the user's keys, by default the one that has the run."""
    from tuitrain.tui.app import TuitrainApp

    home = home or paths.directory.parent.parent
    code = _show(TuitrainApp(home, watch=paths, started=started))
    return code if started else 0  # a watcher did its work, however the run went


def _show(app: TuitrainApp) -> int:
    """Run the app; its result is what to say of the run that was watched last."""
    last = app.run()
    if last is None:
        return app.return_code or 0
    if was_refused(last):
        print_safe(f"tuitrain: {last.error}", err=True)
        supervisor.delete_refused(RunPaths(last.directory))
        return last.exit_code
    if last.has_ended:
        why = f": {last.error}" if last.error else ""
        print_safe(f"{last.title} {last.state} at step {words.count(last.step)}{why}")
    else:
        print_safe(f"{last.title} goes on; tuitrain attach {last.title} shows it again")
    return 1 if last.state == "crashed" else last.exit_code
