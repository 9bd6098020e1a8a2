"""A plan: the changes that a run makes on its own, each at a planned step.

The spec, its seed and the changes at their steps determine a run. The changes that a user made
become a plan when the run is trained again: by a replay, or by an exported program.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tuitrain.core.commands import SETTINGS, Change, SwapLoss, command_of
from tuitrain.core.errors import WrongUse
from tuitrain.core.safe import safe


class Planned(NamedTuple):
    """A change, and its place: after `step` steps and `epoch` completed epochs."""

    step: int
    epoch: int
    id: str
    command: SwapLoss | Change

    @property
    def place(self) -> tuple[int, int]:
        return self.step, self.epoch

    def as_row(self) -> dict[str, Any]:
        """Return it as a row of a configuration file: `{step, epoch, id, loss: "mse"}`."""
        command = self.command
        value = command.loss if isinstance(command, SwapLoss) else command.value
        return {
            "step": self.step, "epoch": self.epoch, "id": self.id,
            command.kind: "off" if value is None else value,
        }  # fmt: skip

    @classmethod
    def of_row(cls, row: Any, number: int) -> Planned:
        """Return the planned change from its row, the schedule's row `number`.

        The id may be missing. Raises WrongUse for anything else that `as_row` does not return.
        """
        if not isinstance(row, Mapping):
            raise WrongUse(f"change {number} of the schedule is no table")
        kinds = set(row) - {"step", "epoch", "id"}
        if len(kinds) != 1 or not kinds <= {"loss", *SETTINGS}:
            names = safe(", ".join(sorted(map(str, kinds)))) or "nothing"
            raise WrongUse(
                f"change {number} of the schedule sets {names}; each sets one of: "
                f"loss, {', '.join(SETTINGS)}"
            )
        step, epoch = _integer(row, "step", number), _integer(row, "epoch", number)
        (kind,) = kinds
        return cls(
            step, epoch, str(row.get("id", f"plan-{number}")), planned_command(kind, row[kind])
        )


def _integer(row: Mapping[str, Any], key: str, number: int) -> int:
    value = row.get(key)
    if type(value) is not int or not 0 <= value < 1 << 40:
        raise WrongUse(f"change {number} of the schedule needs a whole number from 0 as its {key}")
    return value


def planned_command(kind: str, value: object) -> SwapLoss | Change:
    """Return the command that changes a setting or the loss; WrongUse for another kind or value."""
    is_text = isinstance(value, str)
    command = command_of(kind, value) if is_text else Change(kind, value)  # type: ignore[arg-type]  # it checks them
    if not isinstance(command, SwapLoss | Change):
        raise WrongUse(f"{safe(kind)} cannot be planned")
    return command
