"""What a list of runs shows: the order, the filter and the marks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tuitrain.core.safe import safe
from tuitrain.view.text.cells import cut, whole_parts
from tuitrain.view.text.listing import ORDERS, Row, ordered


@dataclass(frozen=True, slots=True)
class RunList:
    """The rows of all runs, newest first, and how they are looked at."""

    rows: tuple[Row, ...] = ()
    order: str = ORDERS[0]
    wanted: str = ""
    """Words that the name, task or tags of a shown run have."""
    marked: tuple[Path, ...] = ()
    """The directories of the marked runs, in the order in which they were marked."""

    def read(self, rows: Sequence[Row]) -> RunList:
        """Return the list with rows that were read anew; the marks stay."""
        return replace(self, rows=tuple(rows))

    def in_next_order(self) -> RunList:
        """Return the list in the order that comes after its own."""
        return replace(self, order=ORDERS[(ORDERS.index(self.order) + 1) % len(ORDERS)])

    def with_words(self, wanted: str) -> RunList:
        """Return the list of the runs that have these words."""
        return replace(self, wanted=wanted)

    def toggled(self, directory: Path) -> RunList:
        """Return the list with a run marked, or no longer marked."""
        others = tuple(marked for marked in self.marked if marked != directory)
        return replace(self, marked=others if directory in self.marked else (*others, directory))

    @property
    def shown(self) -> list[Row]:
        """The rows that have the wanted words, in order."""
        return ordered(self._with_marks(), self.order, self.wanted)

    def heading(self, cells: int, highlighted: Row | None = None) -> str:
        """Return the line above the list: the numbers of runs, the order, and the keys that fit.

        Of a highlighted run that cannot be read, it is why, and how to delete it.
        """
        if highlighted is not None and highlighted.run is None:
            return cut(f" {self.why_not_read(highlighted)}", cells)
        if not self.rows:
            tour = "tuitrain tour in a shell teaches it step by step"
            return whole_parts([" no runs yet: n begins one", tour], cells)
        rows, shown = self._with_marks(), len(self.shown)
        live = sum(1 for row in rows if row.allows("stop"))
        marked = sum(1 for row in rows if row.is_marked)
        parts = [
            f" {shown} run{'' if shown == 1 else 's'}",
            f"{live} live",
            f"by {self.order}",
            "enter opens one",
            f"{marked} marked: C compares, D deletes" if marked else "m marks, C compares",
        ]
        if self.wanted:
            parts.insert(1, f"with {safe(self.wanted, limit=30)!r} in name, tag or task")
        return whole_parts(parts, cells)

    def why_not_read(self, row: Row) -> str:
        """Return why a run cannot be read, after the keys that delete it."""
        keys = "m, then D" if self.marked and row.directory not in self.marked else "D"
        return f"{keys} deletes {row.name}, which cannot be read: {row.reason}"

    def to_compare(self, highlighted: Row | None) -> list[Row]:
        """Return the rows of the marked runs.

        If fewer than two are marked, return the marked or highlighted run and the newest other run
        of its task.
        """
        readable = {row.directory: row for row in self._with_marks() if row.run is not None}
        chosen = [readable[directory] for directory in self.marked if directory in readable]
        if len(chosen) > 1:
            return chosen
        one = chosen[0] if chosen else highlighted
        if one is None or one.run is None:
            return []
        others = [
            row
            for row in readable.values()
            if row.directory != one.directory and _task(row) == _task(one)
        ]
        return [one, *ordered(others, ORDERS[0])[:1]]

    def to_delete(self, highlighted: Row | None) -> list[Row]:
        """Return the marked runs, without any the highlighted one, that can be deleted now."""
        marked = [row for row in self._with_marks() if row.is_marked]
        chosen = marked or ([highlighted] if highlighted else [])
        return [row for row in chosen if row.allows("delete")]

    def _with_marks(self) -> list[Row]:
        return [row._replace(is_marked=row.directory in self.marked) for row in self.rows]


def _task(row: Row) -> str:
    return row.run.task if row.run else ""
