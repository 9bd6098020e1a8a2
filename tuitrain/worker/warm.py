"""A trainer that waits for its run: python -m tuitrain.worker.warm SOCKET_FD

`tuitrain.trainer.warm` starts it. It imports PyTorch, then waits for the arguments of
`tuitrain.worker` and its descriptors, the log first. It ends when the other end of the socket is
closed without any.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from importlib import import_module

from tuitrain.core import cublas
from tuitrain.worker.__main__ import main, run_to_end

_LONGEST = 1 << 16
_MOST_DESCRIPTORS = 3


def wait(descriptor: int) -> list[str]:
    """Return the arguments of the run, with this process's descriptors; empty if there is none."""
    cublas.repeat()
    import_module("tuitrain.worker.trainer")
    with socket.socket(fileno=descriptor) as connection:
        message, descriptors, *_ = socket.recv_fds(connection, _LONGEST, _MOST_DESCRIPTORS)
    if not message:
        return []
    log, *inherited = descriptors
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)
    return [*json.loads(message), *map(str, inherited)]


if __name__ == "__main__" and (arguments := wait(int(sys.argv[1]))):
    run_to_end(lambda: main(arguments))
