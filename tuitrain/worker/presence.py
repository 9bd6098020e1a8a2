"""Whether the hosts of a run are there. Each counts in the store of all, and the first one looks.

A host that loses its power, its network or its launcher closes no connection, or closes it before
the ranks are connected: then nothing but the silence of its count says that it is lost.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

from tuitrain.core.every import Every
from tuitrain.core.safe import safe

_EVERY_S = 1.0
_LOOKS = 20
"""A host is lost that has not counted on within so many looks: looks, since the first host may have
stood still itself, and the time of others with it."""


class Presence:
    """What one host tells the others, or the first one sees of them, between two meetings.

    `store` is the one of this meeting, `number` that of the host in it, and `hosts` how many there
    are. It never raises an error of the store, which is gone with the first host.
    """

    def __init__(self, store: Any, number: int, hosts: int) -> None:
        self._store, self._number, self._hosts = store, number, hosts
        self._is_due = Every(_EVERY_S).is_due
        self._seen: dict[int, tuple[int, int]] = {}
        """By host, its count when it last went on, and the looks since then."""

    def begin(self) -> None:
        """Tell that this host is there, and its name."""
        with suppress(Exception):  # torch's
            self._store.set(_name(self._number), socket.gethostname())
            self._store.add(_count(self._number), 1)

    def tell(self) -> None:
        """Tell that this host is there still, once a second."""
        with suppress(Exception):  # torch's
            if self._is_due():
                self._store.add(_count(self._number), 1)

    def end(self) -> None:
        """Tell that the ranks of this host have ended, and that it tells no more."""
        with suppress(Exception):  # torch's
            self._store.set(_end(self._number), "")

    def have_ended(self) -> bool:
        """Return whether the ranks of all hosts have ended."""
        with suppress(Exception):  # torch's
            return bool(self._store.check(list(map(_end, range(self._hosts)))))
        return False

    def lost(self) -> str | None:
        """Return how a host was lost that has told nothing for a while; for the first host."""
        with suppress(Exception):  # torch's
            if self._is_due():
                return next(filter(None, map(self._lost, range(self._hosts))), None)
        return None

    def _lost(self, number: int) -> str | None:
        count = self._store.add(_count(number), 0)
        last, looks = self._seen.get(number, (None, 0))
        self._seen[number] = count, looks + 1 if count == last else 0
        if number == self._number or self._seen[number][1] < _LOOKS:
            return None
        if self._store.check([_end(number)]):
            return None
        host = "another host"
        if self._store.check([_name(number)]):
            host = f"host {safe(self._store.get(_name(number)).decode(errors='replace'))}"
        return f"{host} was lost: it told nothing for {_LOOKS * _EVERY_S:.0f} s"


def _count(number: int) -> str:
    return f"tuitrain-count-{number}"


def _name(number: int) -> str:
    return f"tuitrain-host-{number}"


def _end(number: int) -> str:
    return f"tuitrain-end-{number}"
