"""The lines of advice above the keys of a run's screen."""

from __future__ import annotations

from collections.abc import Sequence

from tuitrain.view.panel.advice import advice
from tuitrain.view.panel.diagnosis import findings
from tuitrain.view.picture import Picture, Role, Span, fitted
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text.cells import first_fitting, wrapped
from tuitrain.view.text.table import NO_BREAK

_WAITS, _DIAGNOSED = " ✗ ", " ▲ "
_MOST_WAYS = 2
"""Lines of what to do about a run that waits."""


def advice_lines(run: Snapshot, width: int, most: int = 3) -> Picture:
    """Return what is wrong and what to do, in at most so many lines; nothing if all is well.

    A run that waits for a decision has advice on that alone, with more lines for what to do.
    """
    cells = max(1, width - len(_WAITS))
    waits = advice(run)
    if waits is not None:
        short = waits.trouble.partition(": ")[0]
        trouble = _lines([waits.trouble], [waits.trouble, short], most, cells)
        ways = _wrapped(waits.ways, _MOST_WAYS, cells)
        return _marked(_WAITS, trouble, "bad", width) + _marked("", ways, "warn", width)
    found = findings(run)
    if not found:
        return ()
    parts = found[0].parts(run, has_keys=True)
    if len(found) > 1:
        parts[-1] += f"  (+{len(found) - 1})"
    return _marked(
        _DIAGNOSED, _lines(parts, _shorter(found[0].kind, *parts), most, cells), "warn", width
    )


def _lines(parts: Sequence[str], shorter: Sequence[str], most: int, cells: int) -> list[str]:
    """Return the parts in lines, or the first of the shorter texts that fits the only line."""
    return [first_fitting(shorter, cells)] if most == 1 else _wrapped(parts, most, cells)


def _shorter(kind: str, text: str, *ways: str) -> list[str]:
    """Return the same in ever fewer words: numbers are left out before what to do."""
    what, first = text.partition(": ")[0], ways[:1]
    without_numbers = [way.partition(" (")[0] for way in first]
    texts = (
        (text, *ways), (text, *first), (what, *ways), (what, *first), (kind, *first),
        (kind, *without_numbers), (text,), (what,), (kind,),
    )  # fmt: skip
    return [" · ".join(parts) for parts in texts]


def _wrapped(parts: Sequence[str], most: int, cells: int) -> list[str]:
    """Return the first parts in so many lines: all that have room; short ones are not broken."""
    whole = [part.replace(" ", NO_BREAK) if len(part) <= cells // 2 else part for part in parts]
    for count in range(len(whole), 0, -1):
        lines = wrapped(f"{NO_BREAK}· ".join(whole[:count]), cells)
        if len(lines) <= most:
            break
    lines = [line.replace(NO_BREAK, " ") for line in lines]
    return [*lines[: most - 1], " ".join(lines[most - 1 :])]


def _marked(mark: str, lines: Sequence[str], role: Role, width: int) -> Picture:
    heads = [mark.ljust(len(_WAITS)), *[" " * len(_WAITS)] * len(lines)]
    return tuple(
        fitted([Span(f"{head}{line}", role)], width)
        for head, line in zip(heads, filter(None, lines), strict=False)
    )
