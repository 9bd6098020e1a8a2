"""Exceptions and their exit codes.

TuitrainError                 1  the run failed, the home cannot be written
├── DamagedRecord             1  a file in a run directory is not what a trainer writes
├── CannotSave                1  a checkpoint could not be written
├── Damaged                   1  a checkpoint is not what was written
├── WrongUse                  2  the command was wrong: correct it and try again
│   └── UnknownName           2  no such task, loss, model, ...; suggests the nearest
└── Refused                   3  the command was valid, but is not possible now
    ├── NoSuchRun             3
    ├── NameTaken             3
    ├── RunEnded              3  a command for a run without a trainer
    ├── RunLocked             3  another trainer holds the run
    ├── DeviceAbsent          3
    └── NotOnLineage          3  a change, step or epoch that the lineage does not have
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence
from pathlib import Path

from tuitrain.core.safe import safe

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_MOST_NAMES = 24
"""In one message."""


class TuitrainError(Exception):
    """A failure with a message for the user: one or two lines that say what to do next."""

    exit_code = 1


class DamagedRecord(TuitrainError):
    """A file in a run directory is not what a trainer writes, or cannot be read."""

    def __init__(self, reason: str, run: str = "") -> None:
        super().__init__(f"{run} cannot be read: {reason}" if run else reason)
        self.reason = reason
        """The message without the name of the run."""


class CannotSave(TuitrainError):
    """A checkpoint could not be written; the earlier ones are untouched."""

    def __init__(self, folder: Path, error: Exception) -> None:
        reason = error.strerror if isinstance(error, OSError) else "is the disk full?"
        super().__init__(f"cannot save a checkpoint in {safe(folder)}: {safe(reason)}")


class Damaged(TuitrainError):
    """A checkpoint differs from what was written."""


class NothingFinite(TuitrainError):
    """What a run keeps is not finite, and it has no checkpoint to go back to."""

    def __init__(self, subject: str, step: int) -> None:
        after = f"after step {step:,}" if step else "before the first step"
        super().__init__(
            f"{subject} is not finite {after}, and there is no checkpoint to go back to"
        )


class WrongUse(TuitrainError):
    """The command, an option or a value is wrong."""

    exit_code = 2


class UnknownName(WrongUse):
    """A name that is not one of the known ones; the message suggests the nearest, or lists them.

    `where` follows the name: "in run.toml". `whose` says which ones are known: "for digits".
    Of more than a line holds, it lists the first ones.
    """

    def __init__(
        self, what: str, name: str, known: Iterable[str], *, where: str = "", whose: str = ""
    ) -> None:
        names = list(known)
        near = nearest(name, names)
        hint = f"did you mean {near!r}?" if near else _listed(names, whose)
        super().__init__(f"no {what} {name!r}{f' {where}' * bool(where)}; {hint}")


class Refused(TuitrainError):
    """A valid command that is not possible now."""

    exit_code = 3


class NoSuchRun(Refused):
    """No run has that name, or several names begin with it."""


class NameTaken(Refused):
    """A run of that name already exists."""


class RunEnded(Refused):
    """A command for a run without a trainer."""

    def __init__(self, name: str, state: str, way: str = "") -> None:
        """`way` says how to go on with it, by default that `tuitrain resume` does."""
        more = ", with more --epochs" if state == "finished" else ""
        super().__init__(f"{name} is {state}: {way or f'tuitrain resume {name} first{more}'}")


class RunLocked(Refused):
    """Another trainer holds the run."""


class DeviceAbsent(Refused):
    """This machine does not have the requested device."""


class NotOnLineage(Refused):
    """A change, a step or an epoch that the lineage of the run does not have."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name closest to `name`, in any case of letters; None if none is close."""
    from difflib import get_close_matches  # takes long to import, and is rarely needed

    names = {other.lower(): other for other in known}
    return next((names[near] for near in get_close_matches(name.lower(), names, n=1)), None)


def _listed(names: Sequence[str], whose: str) -> str:
    if not names:
        return "there are none"
    more = len(names) - _MOST_NAMES
    shown = [*names[:_MOST_NAMES], f"and {more} more"] if more > 0 else sorted(names)
    return f"{f'{whose} ' * bool(whose)}there are: {', '.join(shown)}"


def is_full(error: BaseException) -> bool:
    """Return whether the error means that a disk or a quota is full."""
    return isinstance(error, OSError) and error.errno in _FULL


def cannot_use(error: OSError) -> str:
    """Return one sentence that says which file cannot be used, why, and what to do."""
    what = f"cannot use {error.filename}: " if error.filename else ""
    next_step = "make room there, or choose" if is_full(error) else "choose"
    return f"{what}{error.strerror or error}; {next_step} another place with --home"
