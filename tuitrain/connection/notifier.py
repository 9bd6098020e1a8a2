"""Tell a command what becomes of a run: python -m tuitrain.connection.notifier DIRECTORY COMMAND...

It follows the record in a process of its own. So it also reports a trainer that was killed, and
training never waits for the command.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path

from tuitrain.connection.client import Client
from tuitrain.connection.follower import Follower
from tuitrain.core.safe import safe
from tuitrain.view.panel.news import News, as_message, news
from tuitrain.view.state.snapshot import Snapshot

_LOOK_S = 1.0
_ENDS_WITHIN_S = 60.0


def main(directory: Path, command: Sequence[str]) -> None:
    """Look at a run whose trainer was started, and go on in a child of this process."""
    follower = Follower(Client(directory))
    before, run = follower.run, follower.look()
    if not run.has_ended:
        run = follower.look_at_a_restart(None)
    if os.fork():
        os._exit(0)  # who started it waits for this one, and has no child to reap later
    follow(follower, before, run, command)


def follow(follower: Follower, before: Snapshot, run: Snapshot, command: Sequence[str]) -> None:
    """Tell the command each piece of news of the run until its trainer ends."""
    for after in chain([run], follower.until_ended(every_s=_LOOK_S)):
        if (event := news(before, after)) is not None:
            tell(command, after, event)
        before = after


def tell(command: Sequence[str], run: Snapshot, event: News) -> None:
    """Run the command with the message as its last argument, and its parts as variables.

    It is killed after a minute. What goes wrong is one line on stderr.
    """
    message = as_message(run)
    variables = {
        "TUITRAIN_EVENT": event, "TUITRAIN_MESSAGE": message, "TUITRAIN_RUN": run.title,
        "TUITRAIN_DIRECTORY": str(run.directory), "TUITRAIN_STEP": str(run.step),
        "TUITRAIN_EPOCH": str(run.epoch),
    }  # fmt: skip
    try:
        process = subprocess.Popen(
            [*command, message],
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        _warn(command, f"cannot be started: {safe(error)}")
        return
    try:
        if code := process.wait(_ENDS_WITHIN_S):
            _warn(command, f"ended with exit code {code}")
    except subprocess.TimeoutExpired:
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        _warn(command, f"was killed: it had not ended after {_ENDS_WITHIN_S:.0f} s")


def _warn(command: Sequence[str], what: str) -> None:
    with suppress(OSError):
        sys.stderr.write(f"tuitrain: warning: --notify {safe(shlex.join(command))} {what}\n")
        sys.stderr.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
