"""Notes and tags: what people write about a run, live or ended. Nothing that trains reads them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from tuitrain.core.commands import new_id
from tuitrain.core.errors import WrongUse
from tuitrain.core.events import Epoch, Moment, Step, Take
from tuitrain.core.safe import safe

Kind = Literal["note", "tag", "untag"]
LONGEST = 2_000
"""Most characters of a note."""
_TAG = re.compile(r"\w[\w.:+/-]{0,31}")


@dataclass(frozen=True, slots=True)
class Note:
    """A note, or a tag that was put on or taken off; and where the run was then."""

    id: str
    kind: Kind
    text: str
    """The words of a note, on one line; the name of a tag."""
    at: Moment
    take: Take
    step: Step
    epoch: Epoch

    @classmethod
    def new(cls, kind: Kind, text: str, position: tuple[int, int, int]) -> Note:
        """Return a note written now, at a take, a step and completed epochs.

        Raises WrongUse for an empty or a long note, and for a name that no tag may have.
        """
        words = " ".join(text.split())
        if kind == "note" and not 0 < len(words) <= LONGEST:
            raise WrongUse(f"a note is a text of up to {LONGEST:,} characters")
        if kind != "note" and not _TAG.fullmatch(words):
            raise WrongUse(
                f"{safe(repr(words), limit=60)} cannot be a tag: a tag is a word of up to 32 "
                "letters, digits and . : + / _ -"
            )
        identity, at = new_id()
        return cls(identity, kind, words, at, *position)


def tag_of(text: str) -> tuple[Kind, str]:
    """Return what the text of `tag NAME` or `tag -NAME` does, and with which tag."""
    name = text.strip()
    return ("untag", name[1:]) if name.startswith("-") else ("tag", name)


def tags_of(notes: Iterable[Note]) -> tuple[str, ...]:
    """Return the tags that are on, in the order in which they were put on."""
    tags: dict[str, None] = {}
    for note in notes:
        if note.kind == "tag":
            tags.setdefault(note.text)
        elif note.kind == "untag":
            tags.pop(note.text, None)
    return tuple(tags)
