"""The ranks that train a run together: how long each waits, and for which one."""

from __future__ import annotations

from collections.abc import Sequence

from tuitrain.core.decode import decoded
from tuitrain.core.detail import RANKS, Ranks
from tuitrain.view.panel.reads import Details, Reads, no_batch
from tuitrain.view.picture import Line, Picture, Role, Span, filled, fitted, prose
from tuitrain.view.state.made_of import rank_count
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text.rank_table import rows_of, slowest_of, summary


def applies(run: Snapshot) -> bool:
    """Return whether several ranks train the run, as far as is known."""
    return rank_count(run) != 1


def newest_ranks(run: Snapshot, details: Details) -> Ranks | None:
    """Return the newest measurements of the ranks; None if there are none."""
    newest = details.newest_detail(run.take, run.step, RANKS) if applies(run) else None
    return decoded(Ranks, newest[1]) if newest else None


def ranks(run: Snapshot, reads: Reads, width: int, height: int) -> Picture:
    """Return a row for each rank, in width x height cells, below what they do together."""
    measured = newest_ranks(run, reads.details)
    if measured is None:
        return filled(prose(_missing(run), width), width, height)
    slowest = slowest_of(measured.ranks)
    heads, *rows = rows_of(measured)
    about = summary(measured, is_sharded=run.spec.is_sharded)
    lines = [*prose(about, width, "text"), _line(heads, "muted", width)]
    room = height - len(lines)
    shown: Sequence[int] = range(len(rows))
    if len(rows) > room:
        by_waits = sorted(shown, key=lambda number: measured.ranks[number].waited)
        shown = sorted(by_waits[: max(0, room - 1)])
    lines += [
        _line(rows[number], "warn" if number == slowest else "text", width) for number in shown
    ]
    if left := len(rows) - len(shown):
        lines.append(_line(f"{left} more: enter shows a panel alone", "muted", width))
    return filled(lines, width, height)


def _line(text: str, role: Role, width: int) -> Line:
    return fitted([Span(f" {text}", role)], width)


def _missing(run: Snapshot) -> str:
    if not applies(run):
        several = "--nproc N starts" if run.is_watched else "nproc in the form of a run starts"
        return f"one process trains it: {several} several"
    return no_batch(run) if run.latest is None else "nothing of the ranks is in the record yet"
