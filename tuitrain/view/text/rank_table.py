"""The ranks of a run as a table in text."""

from __future__ import annotations

from collections.abc import Sequence

from tuitrain.core.detail import Rank, Ranks
from tuitrain.core.safe import safe
from tuitrain.view.text import words
from tuitrain.view.text.cells import cut, to_the_right, width_of

_SLOW = 0.05
"""From this share of a batch on, it is worth a word that the others wait for a rank."""
_HEADS = ("rank", "device", "memory", "waits", "host")
_MOST_HOST = 24


def lines_of(measured: Ranks, *, is_sharded: bool = False) -> list[str]:
    """Return what the ranks do together, and the table."""
    return [summary(measured, is_sharded=is_sharded), *rows_of(measured)]


def rows_of(measured: Ranks) -> list[str]:
    """Return the heads, and a row for each rank, in columns."""
    cells = [_HEADS, *(_cells(number, rank) for number, rank in enumerate(measured.ranks))]
    *widths, _ = [max(map(width_of, column)) for column in zip(*cells, strict=True)]
    return ["  ".join([*map(to_the_right, row[:-1], widths), row[-1]]) for row in cells]


def _cells(number: int, rank: Rank) -> tuple[str, ...]:
    waits = f"{rank.waited:.0%}" if rank.waited >= 0 else "–"
    host = cut(safe(rank.host), _MOST_HOST)
    return str(number), safe(rank.device), f"{rank.memory_mb:,.0f} MB", waits, host


def slowest_of(ranks: Sequence[Rank]) -> int | None:
    """Return the number of the rank that the others wait for; None if they hardly do."""
    waits = [rank.waited for rank in ranks]
    if not all(share >= 0 for share in waits):
        return None
    others = sorted(waits)[1:]
    return waits.index(min(waits)) if others and others[0] >= _SLOW else None


def summary(measured: Ranks, *, is_sharded: bool = False) -> str:
    """Return the time of a batch, within how many steps commands take effect, and who is slow.

    It leaves out the ends of epochs, so it is not the inverse of the rate of the run.
    """
    batch_ms = measured.ranks[0].batch_ms if measured.ranks else 0.0
    batch = f"{batch_ms:.3g} ms a batch" if batch_ms > 0 else "–"
    every = "a step" if measured.every == 1 else f"{words.count(measured.every)} steps"
    said = f"{batch} · commands within {every}{' · sharded weights' if is_sharded else ''}"
    slowest = slowest_of(measured.ranks)
    return said if slowest is None else f"{said}; the others wait for rank {slowest}"
