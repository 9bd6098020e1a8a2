"""A count and a digest of the answers to commands, kept in a file next to the record.

SQLite ends a write-ahead log at the first frame whose checksum is wrong, so one flipped bit drops
everything after it. A run that is then resumed lacks changes that were shown as made. The count
and the digest are written after the record: a kill between the two leaves the record ahead of
them, never behind.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from tuitrain.core.decode import decoded, parsed
from tuitrain.core.errors import DamagedRecord
from tuitrain.core.events import (
    Answer,
    CommandAccepted,
    CommandDropped,
    CommandRefused,
    RateSwept,
    Stopped,
)
from tuitrain.core.files import read_text, write_atomically
from tuitrain.core.safe import safe
from tuitrain.store import older_versions

_NO_CHANGE = (RateSwept, Stopped)
"""Answers that are not counted: one that is missing does not change the training."""

ANSWER_KINDS = (
    *older_versions.RENAMED_KINDS,
    *(event.kind for event in (CommandAccepted, CommandRefused, CommandDropped)),
    *(event.kind for event in get_args(Answer) if event not in _NO_CHANGE),
)
"""Kinds of the events that are counted as answers to commands."""

Row = tuple[str, str]
"""The kind and the body of an event, as stored in the record."""

_NAMED = 20
"""Answers whose words are kept."""
_LARGEST = 1 << 16
"""Largest size of the file, in bytes."""
_NOTHING = "0" * 64


@dataclass(frozen=True, slots=True)
class Answered:
    """The first `count` answers of a run."""

    count: int = 0
    sha256: str = _NOTHING
    """SHA-256 of the digest before the newest answer, followed by that answer."""
    newest: tuple[str, ...] = ()
    """The newest answers in words, oldest first, to name those that are missing."""

    def plus(self, rows: Iterable[Row]) -> Answered:
        """Return the count and the digest with the answers among these events added."""
        answered = self
        for kind, body in rows:
            if kind in ANSWER_KINDS:
                digest = hashlib.sha256(f"{answered.sha256} {kind} {body}".encode()).hexdigest()
                newest = (*answered.newest, _in_words(kind, body))[-_NAMED:]
                answered = Answered(answered.count + 1, digest, newest)
        return answered

    def why_not(self, rows: Iterable[Row]) -> str | None:
        """Return how a record with these events differs from the answers; None if it holds them."""
        answers = [row for row in rows if row[0] in ANSWER_KINDS]
        if len(answers) < self.count:
            missing = self.count - len(answers)
            named = ", ".join(safe(words) for words in self.newest[-missing:])
            more = ", ..." if missing > len(self.newest) else ""
            return f"{missing} of {self.count} answers to commands ({named}{more}) are missing"
        if Answered().plus(answers[: self.count]).sha256 != self.sha256:
            return f"the first {self.count} answers to commands are not those that were given"
        return None

    @classmethod
    def read(cls, path: Path) -> Answered:
        """Return the contents of the file; without answers if it is missing or unreadable."""
        try:
            return decoded(cls, parsed(read_text(path, most=_LARGEST)))
        except (OSError, DamagedRecord):
            return cls()

    def write(self, path: Path) -> None:
        """Write the file atomically."""
        write_atomically(
            path,
            json.dumps({"count": self.count, "sha256": self.sha256, "newest": self.newest}),
        )


def missing_answers_warning(why: str) -> str:
    """Return the warning for answers that a record lacks; `why` as from `Answered.why_not`."""
    return (
        f"{why} from its record, though they were shown: it was damaged, and training goes on to "
        "other weights than those shown; tuitrain replay repeats what is left on record"
    )


def _in_words(kind: str, body: str) -> str:
    answer = kind.replace("_", " ")
    try:
        event = dict(json.loads(body))
    except (ValueError, TypeError, RecursionError):  # a record may hold anything
        return answer
    subjects = (event.get(key) for key in ("asks", "setting", "loss", "why"))
    subject = next(filter(None, subjects), "")
    return " ".join(str(word) for word in (answer, subject, event.get("detail")) if word)
