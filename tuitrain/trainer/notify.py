"""Give a command of the user's the news of a run that this process has started."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from tuitrain.core import python
from tuitrain.core.errors import WrongUse
from tuitrain.core.files import NotPlain, open_plain
from tuitrain.core.safe import safe
from tuitrain.store.paths import RunPaths

_NOTIFIER = "tuitrain.connection.notifier"
"""The module that follows the run; it imports what is above this one."""


def command_words(text: str | None) -> list[str]:
    """Return the words of a command as a user typed it; [] for None.

    Raises WrongUse if it cannot be read, or if there is no such program.
    """
    try:
        words = shlex.split(text or "")
    except ValueError as error:
        raise WrongUse(f"notify takes a command, not {safe(text, limit=40)!r}: {error}") from None
    if text is not None and not (words and shutil.which(words[0])):
        missing = safe(words[0] if words else "", limit=60)
        raise WrongUse(f"notify takes a command, and there is no program {missing!r}")
    return words


def notify(paths: RunPaths, command: Sequence[str]) -> None:
    """Run the command for each piece of news of the run; the training does not wait for it.

    The command is kept in no file: to resume another user's run does not start it. What goes
    wrong is a warning in the log of the run.
    """
    if not command:
        return
    with (
        suppress(OSError, NotPlain),  # the run was deleted meanwhile
        os.fdopen(open_plain(paths.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "ab") as log,
    ):
        try:
            subprocess.run(
                python.command(_NOTIFIER, str(paths.directory), *command),
                env=python.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                check=True,
            )
        except (OSError, subprocess.CalledProcessError) as error:
            log.write(f"tuitrain: warning: --notify cannot be obeyed: {safe(error)}\n".encode())
