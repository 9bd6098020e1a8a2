"""What a launcher says of a rank that failed, by what torch's agent knows of it."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, NamedTuple

from tuitrain.core.safe import safe
from tuitrain.worker.failure import is_of_another_rank

Failures = Mapping[int, Any]
"""By rank, torch's `ProcessFailure` of each that failed on this host."""
_CAUSE, _CAUSE_WITHIN = "tuitrain-cause", timedelta(seconds=2)
"""The key in the store of all hosts under which one tells the others why a rank of it failed."""
_FIRST = "tuitrain-first"
"""The key under which the first host tells them the number that torch gave its first rank: that is
rank 0, and numbers follow from it."""
_NO_FILE = "<N/A>"
"""torch's, of a rank that left none."""


class Failure(NamedTuple):
    """The first failure of a rank."""

    text: str
    """Which rank failed, on which host, and of what."""
    exit_code: int
    """That of the first rank of this host; negative: the signal that ended it."""
    is_last: bool = False
    """Whether the ranks may not start anew once more."""


def tell_first(store: Any, number: int) -> None:
    """Tell all hosts what torch calls the first rank of this one, the first of them."""
    store.set(_FIRST, str(number))


def first_of(store: Any) -> int:
    """Return what torch calls the first rank of the first host, which says it in the store."""
    with suppress(Exception):  # torch's, of a store that is gone with its host
        store.wait([_FIRST], _CAUSE_WITHIN)
        return int(store.get(_FIRST))
    return 0


def from_first(failures: Failures, first: int, count: int) -> Failures:
    """Return the failures by their numbers among `count` ranks, of which `first` is rank 0."""
    return {(rank - first) % count: failure for rank, failure in failures.items()}


def failure_of(failures: Failures, store: Any = None) -> Failure:
    """Return the first failure of this host, or, if it lost others, what they say in the store.

    Without a store, and where they say nothing, it is that of this host.
    """
    rank, first = min(failures.items(), key=lambda one: (_has_lost(one[1]), one[1].timestamp))
    signal_name = first.signal_name()
    what = f"ended by {signal_name}" if signal_name != "<N/A>" else _reason(first)
    text = f"rank {rank} on {socket.gethostname()} {what}"
    if store is not None and _has_lost(first):
        text = cause_in(store) or text
    elif store is not None:
        tell_cause(store, text)
    return Failure(safe(text), first.exitcode)


def tell_cause(store: Any, text: str) -> None:
    """Tell the other hosts what failed."""
    with suppress(Exception):  # torch's, of a store that is gone with its host
        store.set(_CAUSE, text)


def cause_in(store: Any) -> str | None:
    """Return what another host says in the store of what failed there, if it does."""
    with suppress(Exception):  # torch's, of a store that is gone with its host
        store.wait([_CAUSE], _CAUSE_WITHIN)
        return safe(store.get(_CAUSE).decode(errors="replace"))
    return None


def _has_lost(failure: Any) -> bool:
    return is_of_another_rank(_message(failure))


def _reason(failure: Any) -> str:
    if _has_lost(failure):
        return "lost its connection to another rank"
    return f"failed: {safe(_message(failure))}"


def _message(failure: Any) -> str:
    """Return why a rank failed, by its own file or its exit code."""
    message = "" if failure.error_file == _NO_FILE else failure.message  # else it is advice
    text = message if isinstance(message, str) else message.get("message", "")
    return [f"exit code {failure.exitcode}", *str(text).strip().splitlines()][-1]
