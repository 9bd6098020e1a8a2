"""The run of a watched script: how it is started again, and what cannot be done with it."""

from __future__ import annotations

import shlex

from tuitrain.core.errors import Refused
from tuitrain.core.safe import safe
from tuitrain.core.spec import RunSpec

_MOST_WORDS, _LONGEST = 50, 300


def command_of(spec: RunSpec) -> str:
    """Return the command that watches a script again, for a shell; "" for a loop in a program.

    A command that is too long to be read ends with an ellipsis.
    """
    watched, nproc = spec.watched, spec.nproc
    first = watched[0] if watched else ""
    if not (first == "-m" or first.endswith(".py") or "/" in first):
        return ""
    more = " …" if len(watched) > _MOST_WORDS else ""
    several = "" if nproc == 1 else f"--nproc {nproc or 'auto'} "
    begin = "torchrun ... -m " if spec.in_torchrun else ""  # its own options are not known here
    return safe(
        f"{begin}tuitrain watch {several}{shlex.join(watched[:_MOST_WORDS])}{more}", limit=_LONGEST
    )


def again(spec: RunSpec) -> str:
    """Return how a watched script is started again, as the end of a sentence."""
    command = command_of(spec)
    if not command:
        return "start the program with its loop again"
    return f"a watched script is started again with: {command}"


def check_not_watched(spec: RunSpec, name: str, cannot: str) -> None:
    """Raise Refused for the run of a watched script, which `cannot` be done with."""
    if spec.watched:
        raise Refused(
            f"{safe(name, limit=64)} cannot be {cannot}: only its script has the data and the "
            f"loop; {again(spec)}"
        )
