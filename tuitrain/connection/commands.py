"""Send commands to a run from a notebook or a script; each method waits for the answer."""

from __future__ import annotations

import operator
from typing import Any

from tuitrain.connection.answer import Answer, submit, write
from tuitrain.connection.client import Client
from tuitrain.connection.follower import Follower
from tuitrain.core.commands import (
    SETTINGS,
    Boundary,
    Change,
    Command,
    Epoch,
    FindRate,
    Pause,
    Resume,
    Rollback,
    SaveCheckpoint,
    Setting,
    Step,
    Stop,
    SwapLoss,
    Undo,
)
from tuitrain.core.errors import Refused, WrongUse
from tuitrain.view.state.progress import waits_between_epochs


class Commands:
    """The commands of a run; see `Run`."""

    def __init__(self, client: Client) -> None:
        """Use `tuitrain.connect`."""
        self._client = client
        self._follower = Follower(client)

    def pause(self, at: Boundary = "batch", *, wait: bool = True) -> Answer:
        """Pause after this batch, or with `at="epoch"` after this epoch's validation."""
        return self._submit(Pause(), at, wait=wait)

    def resume(self, *, wait: bool | None = None) -> Answer:
        """Continue after a pause, or cancel a pending pause."""
        return self._submit(Resume(), None, wait=wait)

    def step(self, count: int = 1, *, wait: bool | None = None) -> Answer:
        """Train `count` batches, then pause."""
        return self._submit(Step(_index(count)), None, wait=wait)

    def swap_loss(self, loss: str, at: Boundary = "epoch", *, wait: bool | None = None) -> Answer:
        """Use another loss function from the next epoch on, or batch with `at="batch"`."""
        return self._submit(SwapLoss(loss), at, wait=wait)

    def set_lr(self, lr: float, at: Boundary = "batch", *, wait: bool | None = None) -> Answer:
        """Use another learning rate."""
        return self._submit(_to_number("lr", lr), at, wait=wait)

    def set_weight_decay(
        self, weight_decay: float, at: Boundary = "batch", *, wait: bool | None = None
    ) -> Answer:
        """Use another weight decay (L2 penalty)."""
        return self._submit(_to_number("weight-decay", weight_decay), at, wait=wait)

    def set_clip_norm(
        self, norm: float | None, at: Boundary = "batch", *, wait: bool | None = None
    ) -> Answer:
        """Clip gradients to this global norm; None: do not clip."""
        change = Change("clip-norm", None) if norm is None else _to_number("clip-norm", norm)
        return self._submit(change, at, wait=wait)

    def set_batch_size(self, samples: int, *, wait: bool | None = None) -> Answer:
        """Use this many samples per batch from the next epoch on."""
        return self._submit(_to_integer("batch-size", samples), "epoch", wait=wait)

    def set_epochs(self, epochs: int, *, wait: bool | None = None) -> Answer:
        """Set the total number of epochs."""
        return self._submit(_to_integer("epochs", epochs), "batch", wait=wait)

    def set_schedule(
        self, schedule: str, at: Boundary = "batch", *, wait: bool | None = None
    ) -> Answer:
        """Begin a schedule of the learning rate, such as "cosine" or "step:size=5:warmup=1"."""
        return self._submit(Change("schedule", schedule), at, wait=wait)

    def set_pace(self, batches_per_s: float | None, *, wait: bool | None = None) -> Answer:
        """Limit the batches per second; None: no limit. The weights are not affected."""
        pace = batches_per_s
        change = Change("pace", None) if pace is None else _to_number("pace", pace)
        return self._submit(change, "batch", wait=wait)

    def checkpoint(self, *, wait: bool | None = None) -> Answer:
        """Save a checkpoint after this batch."""
        return self._submit(SaveCheckpoint(), None, wait=wait)

    def undo(self, *, wait: bool | None = None) -> Answer:
        """Go back to just before the last change: weights, position and settings."""
        return self._submit(Undo(), None, wait=wait)

    def rollback(self, epoch: Epoch | None = None, *, wait: bool | None = None) -> Answer:
        """Go back to an epoch's checkpoint and keep the present settings.

        "best" is the best epoch so far, None the newest checkpoint whose weights and validation are
        finite. Refused for an epoch whose checkpoint is not kept; the reason lists those that are.
        """
        return self._submit(Rollback(_index(epoch)), None, wait=wait)

    def lr_find(self, *, wait: bool | None = None) -> Answer:
        """Sweep the learning rate on the next batches and undo it; see `Answer.suggestion`."""
        return self._submit(FindRate(), None, wait=wait)

    def stop(self, *, wait: bool | None = None) -> Answer:
        """End the run after this batch and save a checkpoint; `tuitrain resume` continues it."""
        return self._submit(Stop(), None, wait=wait)

    def note(self, text: str) -> Answer:
        """Keep a note about the run, live or ended, at its present step."""
        return write(self._client, "note", text)

    def tag(self, name: str) -> Answer:
        """Tag the run, live or ended."""
        return write(self._client, "tag", name)

    def untag(self, name: str) -> Answer:
        """Take a tag off."""
        return write(self._client, "untag", name)

    def _submit(self, command: Command, at: Boundary | None, *, wait: bool | None) -> Answer:
        if wait is None:
            wait = (at or command.boundary) == "batch" or waits_between_epochs(
                self._follower.look()
            )
        answer = submit(self._client, command, at, until_applied=wait)
        if answer.is_refusal:
            raise (WrongUse if answer.exit_code == 2 else Refused)(str(answer))
        return answer


def _to_number(setting: Setting, value: Any) -> Change:
    try:
        return Change(setting, float(value))
    except (TypeError, ValueError, OverflowError):
        raise _wrong(setting, value) from None


def _to_integer(setting: Setting, value: Any) -> Change:
    try:
        return Change(setting, operator.index(value))
    except TypeError:
        raise _wrong(setting, value) from None


def _wrong(setting: Setting, value: Any) -> WrongUse:
    return WrongUse(f"{setting} takes {SETTINGS[setting].description}, not {value!r:.40}")


def _index(value: Any) -> Any:
    """Return a number of any integer type as an int; the command refuses anything else."""
    return operator.index(value) if hasattr(value, "__index__") else value
