"""What one transaction writes into a record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tuitrain.core.events import Detail
from tuitrain.store.schema import BatchRow
from tuitrain.store.writer import MeasuredRow, RunWriter, Stamped


@dataclass(slots=True)
class Contents:
    """Rows and events that wait to be written together."""

    rows: list[BatchRow] = field(default_factory=list)
    events: list[Stamped] = field(default_factory=list)
    values: list[MeasuredRow] = field(default_factory=list)
    details: list[Detail] = field(default_factory=list)
    latest: tuple[int, int, Mapping[str, float]] | None = None
    """Take and step of a batch, and its loss by every loss function."""

    def __bool__(self) -> bool:
        return bool(
            self.rows or self.events or self.values or self.details or self.latest is not None
        )

    def write(self, writer: RunWriter) -> None:
        """Write everything in one transaction, and then the latest batch losses."""
        writer.write(self.rows, self.events, self.values, self.details)
        if self.latest is not None:  # after its batch, so that no screen knows it before
            writer.latest_batch_losses(*self.latest)

    def before(self, later: Contents) -> Contents:
        """Return both together."""
        return Contents(
            self.rows + later.rows,
            self.events + later.events,
            self.values + later.values,
            self.details + later.details,
            self.latest if later.latest is None else later.latest,
        )
