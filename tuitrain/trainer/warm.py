"""A trainer that imports PyTorch before there is a run for it: the run starts seconds sooner."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Sequence
from typing import NamedTuple

from tuitrain.core import python


class _Warm(NamedTuple):
    """A process that waits for a run, and the socket by which it gets one.

    It ends when this end of the socket is closed, as with this process.
    """

    process: subprocess.Popen[bytes]
    socket: socket.socket


_warm: list[_Warm] = []
"""At most one."""


def warm_up() -> None:
    """Start a trainer that imports PyTorch and waits, unless one does already."""
    if _warm:
        return
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            python.command("tuitrain.worker.warm", str(theirs.fileno())),
            env=python.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True, pass_fds=[theirs.fileno()],
        )  # fmt: skip
    _warm.append(_Warm(process, ours))


def take(
    arguments: Sequence[str], descriptors: Sequence[int]
) -> subprocess.Popen[bytes] | None:  # fmt: skip
    """Let the waiting trainer train a run, and return its process; None if none waits.

    It gets the arguments of `tuitrain.worker`, the log's descriptor, and those that follow.
    """
    if not _warm:
        return None
    process, ours = _warm.pop()
    with ours:
        if process.poll() is not None:
            return None
        try:
            socket.send_fds(ours, [json.dumps([*arguments]).encode()], [*descriptors])
        except OSError:  # it ends just now
            return None
    return process


def cool_down() -> None:
    """End the waiting trainer, if there is one."""
    while _warm:
        process, ours = _warm.pop()
        ours.close()
        process.kill()
        process.wait()
