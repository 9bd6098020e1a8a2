"""How far the user is on the tour of a run, kept beside its record for when the tour is left."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from tuitrain.core.errors import DamagedRecord
from tuitrain.core.files import read_text, write_atomically
from tuitrain.view.panel.tour import STOPS, Place

FILE = "tour"
_LARGEST = 200
_NUMBERS = {f"{number}" for number in range(len(STOPS) + 1)}


def read(directory: Path) -> Place:
    """Return the place that is kept in a run's directory; the beginning if there is none."""
    text = ""
    with suppress(OSError, ValueError, DamagedRecord):
        text = read_text(directory / FILE, most=_LARGEST)
    numbers = [int(number) if number in _NUMBERS else 0 for number in text.splitlines()]
    done, has_trained, has_seen = [*numbers, 0, 0, 0][:3]
    return Place(done, bool(has_trained), bool(has_seen))


def write(directory: Path, place: Place) -> None:
    """Keep the place, unless the directory cannot be written."""
    with suppress(OSError):
        text = "\n".join(f"{int(part)}" for part in place)
        write_atomically(directory / FILE, text, survives_crash=False)  # the screen need not wait
