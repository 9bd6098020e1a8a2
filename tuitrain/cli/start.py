"""Start a trainer, show the run in the app, and report its state afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tuitrain.cli.common import has_terminal, how_it_died, print_safe, was_refused
from tuitrain.core.errors import WrongUse
from tuitrain.core.events import DOWNLOADING, WAITING, WATCHING
from tuitrain.store.answered import missing_answers_warning
from tuitrain.store.paths import RunPaths, home_folder
from tuitrain.trainer import supervisor
from tuitrain.trainer.notify import command_words
from tuitrain.trainer.notify import notify as tell
from tuitrain.trainer.supervisor import Started
from tuitrain.view.panel.advice import after_crash
from tuitrain.view.text import words

if TYPE_CHECKING:
    from tuitrain.tui.app import TuitrainApp
    from tuitrain.view.state.snapshot import Snapshot

_LOOK_S = 0.05


def go(
    start: Callable[[bool], Started], *, detach: bool, plain: bool, log_interval: int,
    notify: str | None = None,
) -> int:  # fmt: skip
    """Start a trainer and show it in the app or as lines (then it ends with us), or detach.

    `notify` is the command for the news of the run.
    """
    command = command_words(notify)
    if detach and plain:
        raise WrongUse("--plain owns the run and --detach lets it go: choose one")
    if not (plain or detach or has_terminal()):
        plain = True
    started = start(plain)
    tell(started.paths, command)
    if started.missing:
        print_safe(
            f"tuitrain: {started.paths.name}: {missing_answers_warning(started.missing)}", err=True
        )
    if detach:
        return _detach(started)
    if plain:
        from tuitrain.cli.plain import own

        return own(started, every=log_interval)
    return watch(started.paths, started)


def _detach(started: Started) -> int:
    """Print the name of the run once it trains, downloads or is watched, or why it failed."""
    from tuitrain.connection.client import Client
    from tuitrain.connection.follower import Follower

    follower = Follower(Client(started.paths.directory))
    if started.since is not None:
        follower.look_at_a_restart(started.since)
    run = next(filter(_is_detached, follower.until_ended(every_s=_LOOK_S)))
    if was_refused(run):
        started.process.wait()
        supervisor.delete_refused(started.paths)
    if run.state == "crashed":
        how = how_it_died(started.process.wait())
        print_safe(f"tuitrain: {run.error}{how}; {after_crash(run)}", err=True)
        return 1
    if run.error:
        print_safe(f"tuitrain: {run.error}", err=True)
        return run.exit_code or 1
    print_safe(run.name)
    return 0


def _is_detached(run: Snapshot) -> bool:
    """Return whether a start needs no more waiting: it trains, waits for others or has ended."""
    return run.state != "starting" or run.stage.startswith((DOWNLOADING, WAITING, WATCHING))


def open_app(home: str | None) -> int:
    """Open the app on its first screen."""
    if not has_terminal():
        raise WrongUse(
            "the app needs a terminal; without one: tuitrain run --plain, or tuitrain --help"
        )
    from tuitrain.tui.app import TuitrainApp

    return _show(TuitrainApp(home_folder(home)))


def watch(
    paths: RunPaths, started: Started | None = None, *,
    home: Path | None = None, is_tour: bool = False,
) -> int:  # fmt: skip
    """Open the app on one run; `home` has the keys.toml, by default the home of the run."""
    from tuitrain.tui.app import TuitrainApp

    home = home or paths.directory.parent.parent
    code = _show(TuitrainApp(home, watch=paths, started=started, is_tour=is_tour))
    return code if started else 0  # `attach` succeeds, however the run ended


def _show(app: TuitrainApp) -> int:
    """Run the app, print the state of the run watched last, and return the exit code."""
    last = app.run()
    if last is None:
        return app.return_code or 0
    if was_refused(last):
        print_safe(f"tuitrain: {last.error}", err=True)
        supervisor.delete_refused(RunPaths(last.directory))
        return last.exit_code
    if last.has_ended:
        why = f": {last.error}" if last.error and not last.is_deleted else ""
        print_safe(f"{last.title} {last.condition} at step {words.count(last.step)}{why}")
        if last.best is not None and not last.is_deleted:
            command = f"tuitrain export {last.title} --format weights --which best"
            print_safe(f"its best weights: {command}")
    else:
        print_safe(f"{last.title} goes on; tuitrain attach {last.title} shows it again")
    return 1 if last.state == "crashed" else last.exit_code
