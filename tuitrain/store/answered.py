"""What commands were answered with, counted and digested beside the record.

SQLite ends a write-ahead log at the first frame whose checksum is wrong: one flipped bit, and what
came after it was never written. A run that is then resumed goes on without changes that were shown
as made. The count and the digest are written after the record, so that a kill between the two
leaves the record ahead, never behind.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tuitrain.core.decode import decoded, parsed
from tuitrain.core.errors import DamagedRecord
from tuitrain.core.files import read_text, write_atomically
from tuitrain.core.safe import safe
from tuitrain.store import version1

KINDS = (
    *version1.KINDS,
    "command_accepted", "command_refused", "command_dropped", "paused", "resumed", "stepped",
    "loss_swapped", "setting_changed", "take_opened",
)  # fmt: skip
"""Of the events that answer a command; a checkpoint or an end that is missing changes nothing."""

Row = tuple[str, str]
"""Kind and body of an event, as the record has them."""

_NAMED = 20
_LARGEST = 1 << 16
"""Bytes of the file."""
_NOTHING = "0" * 64


@dataclass(frozen=True, slots=True)
class Answered:
    """The first `count` answers of a run."""

    count: int = 0
    sha256: str = _NOTHING
    """Of the digest without the last answer, and that answer."""
    newest: tuple[str, ...] = ()
    """The last few in words, to tell what is missing."""

    def plus(self, rows: Iterable[Row]) -> Answered:
        """Return the digest with these events' answers added."""
        now = self
        for kind, body in rows:
            if kind in KINDS:
                digest = hashlib.sha256(f"{now.sha256} {kind} {body}".encode()).hexdigest()
                newest = (*now.newest, _in_words(kind, body))[-_NAMED:]
                now = Answered(now.count + 1, digest, newest)
        return now

    def why_not(self, rows: Iterable[Row]) -> str | None:
        """Return how a record with these events falls short of the answers; None if it does not."""
        answers = [row for row in rows if row[0] in KINDS]
        if len(answers) < self.count:
            missing = self.count - len(answers)
            named = ", ".join(safe(each) for each in self.newest[-missing:])
            more = ", ..." if missing > len(self.newest) else ""
            return f"{missing} of {self.count} answers to commands ({named}{more}) are missing"
        if Answered().plus(answers[: self.count]).sha256 != self.sha256:
            return f"the first {self.count} answers to commands are not those that were given"
        return None

    @classmethod
    def read(cls, path: Path) -> Answered:
        """Return what the file says; nothing if there is none that can be read."""
        try:
            return decoded(cls, parsed(read_text(path, most=_LARGEST)))
        except (OSError, DamagedRecord):
            return cls()

    def write(self, path: Path) -> None:
        """Put the file in its place, whole or not at all."""
        write_atomically(
            path,
            json.dumps({"count": self.count, "sha256": self.sha256, "newest": self.newest}),
        )


def missing_words(why: str) -> str:
    """Return what a user is told of answers that a record lacks."""
    return (
        f"{why} from its record, though they were shown: it was damaged, and training goes on to "
        "other weights than those shown; tuitrain replay repeats what is left on record"
    )


def _in_words(kind: str, body: str) -> str:
    said = kind.replace("_", " ")
    try:
        event = dict(json.loads(body))
    except (ValueError, TypeError, RecursionError):  # a record is whatever somebody sent
        return said
    names = (event.get(key) for key in ("asks", "setting", "loss", "why"))
    what = next(filter(None, names), "")
    return " ".join(str(each) for each in (said, what, event.get("detail")) if each)
