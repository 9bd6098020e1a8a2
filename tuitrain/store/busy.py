"""A file in which a trainer notes that a batch or a validation takes long, and where it is."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from tuitrain.core.decode import decoded, parsed
from tuitrain.core.errors import DamagedRecord
from tuitrain.core.files import read_text, write_atomically

_LARGEST = 1 << 14


@dataclass(frozen=True, slots=True)
class Busy:
    """A trainer that has not ended a batch for long."""

    since: float
    """When its last batch ended, in seconds since the epoch."""
    where: str = ""
    """File, line and function of the user's code that it is in, if it is in some."""
    is_validating: bool = False
    """Whether it validates: then no batch ends."""


def write(path: Path, busy: Busy) -> None:
    """Replace the note."""
    write_atomically(path, json.dumps(asdict(busy)))


def read(path: Path) -> Busy | None:
    """Return the note; None if there is none that can be read."""
    with suppress(OSError, DamagedRecord):
        return decoded(Busy, parsed(read_text(path, most=_LARGEST)))
    return None
