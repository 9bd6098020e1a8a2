"""The ranks of another host than the first: python -m tuitrain.worker.join HOSTS RANKS ENDPOINT ID

They train the run of the first host, need no directory of it, and write nothing but to this
terminal. The last argument is how often they start anew after a failure.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tuitrain.core import python
from tuitrain.core.safe import safe
from tuitrain.worker.__main__ import run_to_end
from tuitrain.worker.agent import (
    RANK_ENDS_WITHIN_S,
    LocalRanks,
    Meeting,
    local_count,
    run_ranks,
)
from tuitrain.worker.rank_failure import Failure

_STOPS_WITHIN_S = 20
"""Time limit for the first host to stop the run, where a scheduler tells all hosts to end: it kills
them after 30."""


def main(argv: list[str]) -> int:
    """Train until the run of the first host ends, and return the exit code."""
    hosts, ranks, endpoint, name, max_restarts = argv
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # else a lost host is told in C++
    count = local_count(None if ranks == "auto" else int(ranks))
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    _say(f"waiting for {hosts} hosts at {endpoint} ...")
    try:
        failure = run_ranks(
            LocalRanks(
                count, python.command("tuitrain.worker.rank"), int(max_restarts),
                ends_within_s=RANK_ENDS_WITHIN_S,
            ),
            Meeting(int(hosts), endpoint, name, is_first=False), has_ended=_say_why,
            waiting=_ending_at_once,
        )  # fmt: skip
    except Exception as error:  # noqa: BLE001 - torch's, of a network and of hosts that do not come
        return _after(error)
    _say(failure.text if failure else "the run has ended")
    return 1 if failure else 0


@contextmanager
def _ending_at_once() -> Iterator[None]:
    """Let SIGTERM end this process within the block; after it, the ranks are needed for a while."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, _end_soon)


def _end_soon(number: int, _frame: object) -> None:
    """Let the first host stop the run with a checkpoint; a second signal ends this at once."""
    signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_STOPS_WITHIN_S)
    _say(f"ends with the run, or in {_STOPS_WITHIN_S} s")


def _say_why(failure: Failure) -> bool:
    if not failure.is_last:  # else it is the last word
        _say(f"{failure.text}; waiting for the other hosts ...")
    return False


def _after(error: Exception) -> int:
    from torch.distributed.elastic.rendezvous import api

    match error:
        case api.RendezvousClosedError():
            _say("the run has ended")
            return 0
        case api.RendezvousTimeoutError():
            _say("the other hosts have not come")
        case api.RendezvousConnectionError():
            _say("the first host cannot be reached")
        case _:
            _say(f"the hosts cannot meet: {safe(error)}")
    return 1


def _say(text: str) -> None:
    sys.stderr.write(f"tuitrain: {safe(text)}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    run_to_end(lambda: main(sys.argv[1:]))
