"""The output of the trainer and of the user's code, and a search in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tuitrain.core.safe import safe
from tuitrain.view.panel.event_log import found_line
from tuitrain.view.panel.reads import Reads
from tuitrain.view.picture import Line, Picture, Span, filled, fitted, prose
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text.cells import width_of, wrapped

_COLOURS = re.compile(r"\x1b\[[\d;:]*m")
_LONGEST = 2_000


def output(_run: Snapshot, reads: Reads, width: int, height: int) -> Picture:
    """Return the newest lines that fit, the newest at the bottom; of a search, those that match."""
    lines, wanted = list(map(_shown, reads.output())), reads.search().strip()
    if not lines:
        return filled(prose("nothing was printed", width), width, height)
    heading: list[Line] = []
    if wanted:
        found = [line for line in lines if wanted.casefold() in line.casefold()]
        heading = [found_line(len(found), len(lines), "lines", wanted, width)]
        lines = found
    return filled([*heading, *_newest(lines, wanted, width, height - len(heading))], width, height)


def _shown(line: str) -> str:
    """Return a line as a terminal leaves it: without colours, and of a progress bar the last."""
    return safe(_COLOURS.sub("", line.rstrip("\r").rpartition("\r")[2]), limit=_LONGEST)


def _newest(lines: Sequence[str], wanted: str, width: int, height: int) -> list[Line]:
    rows: list[str] = []
    for line in reversed(lines):
        if len(rows) >= height:
            break
        fits = width_of(line) < width
        rows[:0] = [line] if fits else wrapped(line, max(1, width - 1))
    shown = rows[-height:] if height > 0 else []
    return [fitted([Span(" "), *_marked(row, wanted)], width) for row in shown]


def _marked(row: str, wanted: str) -> Iterator[Span]:
    """Yield the row with what is searched for in another role."""
    at = 0
    for match in re.finditer(re.escape(wanted), row, re.IGNORECASE) if wanted else ():
        yield Span(row[at : match.start()])
        yield Span(match.group(), "accent")
        at = match.end()
    yield Span(row[at:])
