"""The public face for notebooks and scripts: `tuitrain.connect`, `tuitrain.runs`, and a `Run`."""

from __future__ import annotations

import operator
import time
from collections.abc import Iterator
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from tuitrain.client import Client
from tuitrain.connection.answer import Answer, ask
from tuitrain.connection.curve import Losses, curve, series_curve
from tuitrain.connection.follower import Follower
from tuitrain.core.choice import loss_text
from tuitrain.core.commands import (
    Boundary,
    Change,
    Epoch,
    Pause,
    Resume,
    Rollback,
    SaveCheckpoint,
    Setting,
    Step,
    Stop,
    SwapLoss,
    Undo,
    Wish,
)
from tuitrain.core.errors import Refused, UnknownName, WrongUse
from tuitrain.core.events import EpochEnded, Event
from tuitrain.store.paths import find_run, home_folder, runs_in
from tuitrain.store.reader import Cursor
from tuitrain.store.schema import BatchRow, key_of
from tuitrain.view import report

_LOOK_S = 0.1


def connect(
    run: str | PathLike[str] | None = None, *, home: str | PathLike[str] | None = None
) -> Run:
    """Return a run by its name, a beginning that only it has, or its directory; None: the newest.

    Runs are looked for in `home`, else $TUITRAIN_HOME, else the platform's state folder. A path
    object is always a directory. Raises NoSuchRun.
    """
    wanted = run if run is None or isinstance(run, str) else str(Path(run).absolute())
    return Run(Client(find_run(_home(home), wanted).directory))


def runs(home: str | PathLike[str] | None = None) -> list[str]:
    """Return the names of all runs there, live and ended, the newest first."""
    return [paths.name for paths in runs_in(_home(home))]


def _home(home: str | PathLike[str] | None) -> Path:
    return home_folder(fspath(home) if home else None)


class Run:
    """One run, live or ended. It keeps nothing open; any thread may use it.

    What is asked of it returns an `Answer`: by default when the wish took effect, but for the end
    of an epoch that is still to come, when it is accepted. `wait` says otherwise; a run that is
    paused within an epoch does not come to its end. Raises Refused with the reason for what the
    trainer refuses or drops, RunEnded where nobody trains the run, and WrongUse for a value that
    cannot be.
    """

    def __init__(self, client: Client) -> None:
        """Use `tuitrain.connect`."""
        self._client = client
        self._follower = Follower(client)

    def __repr__(self) -> str:
        return f"<Run {self.name}>"

    @property
    def name(self) -> str:
        return self._client.name

    @property
    def directory(self) -> Path:
        return self._client.paths.directory

    @property
    def state(self) -> str:
        """starting, running, pausing, paused, finished, stopped, failed or crashed."""
        return self._follower.look().state

    @property
    def steps(self) -> int:
        """Optimizer steps so far, of those that led to the present weights."""
        return self._follower.look().step

    @property
    def epoch(self) -> int:
        """Completed epochs."""
        return self._follower.look().epoch

    @property
    def loss(self) -> str:
        """The loss function in use, with its options."""
        return self._follower.look().loss

    @property
    def metrics(self) -> dict[str, float]:
        """Those of the last validation, in the target's own units; {} before the first."""
        last = self._follower.look().last_epoch
        return dict(last.metrics) if last else {}

    def show(self) -> dict[str, Any]:
        """Return what `tuitrain show --json` prints: settings, numbers, interventions, ..."""
        return report.as_json(self._follower.look(), full=True)

    def events(self, *, follow: bool = True) -> Iterator[Event]:
        """Yield all that the run said, oldest first, and what it says until it ends.

        Events are the frozen dataclasses of `tuitrain.core.events`; each has a `kind`, such as
        "epoch_ended". `follow=False` ends with what is on record now.
        """
        cursor, alive = Cursor(), True
        while alive:
            alive, events, cursor = self._client.story(cursor)
            yield from events
            if not follow:
                return
            if alive:
                time.sleep(_LOOK_S)

    def batches(self, after: BatchRow | None = None, *, every: int = 1) -> list[BatchRow]:
        """Return the batches on record, all or those after a row, of each `every`th step.

        A row has `take`, `step`, `epoch` (from 1), `loss`, `lr`, `samples`, `elapsed_ms` (of
        training so far) and the microseconds of each part of the step, such as `backward_us`.
        Rows come in the order of (take, step): an undo or a rollback opens a new take.
        """
        if every < 1:
            raise WrongUse(f"every takes a whole number of steps from 1, not {every!r:.40}")
        return self._client.batches(after.key if after else 0, operator.index(every))

    def losses(self, loss: str | None = None, *, points: int = 2000) -> Losses:
        """Return (steps, values) for a plot: training losses that led to the present weights.

        Up to `points` steps come as they are. Of more, neighbours become two points, their lowest
        and their highest loss, so that a spike survives. A value is NaN where no loss was finite,
        and between two loss functions, which do not compare; `loss` chooses one of them.
        """
        run = self._follower.look()
        used = {segment.loss for segment in run.segments}
        named = loss if loss is None or loss in used else loss_text(loss)
        return curve(run, self._client, points, named)

    def series(self, name: str, *, points: int = 2000) -> Losses:
        """Return (steps, values) of a series, thinned as `losses` are.

        `show()["series"]` names those that there are: lr, gradient-norm, trainer-memory, ...
        Raises UnknownName for any other.
        """
        run = self._follower.look()
        known = [each.series.name for each in run.series]
        if name not in known:
            raise UnknownName("series", name, known)
        return series_curve(run, self._client, points, name)

    def detail(self, name: str, epoch: Epoch | None = None) -> dict[str, Any] | None:
        """Return a detail of an epoch, such as "confusion": {"counts": [[...], ...]}.

        The epoch is the last one, "best", or a number of completed epochs. None where it has no
        such detail: kept are those of the last hundred epochs, and of each that was the best.
        """
        ended = self._epoch(epoch)
        return self._client.detail(key_of(ended.take, ended.step), name) if ended else None

    def _epoch(self, epoch: Epoch | None) -> EpochEnded | None:
        run = self._follower.look()
        if epoch is None:
            return run.last_epoch
        if epoch == "best":
            return run.best
        return next((each for each in run.epochs if each.epoch == epoch), None)

    def pause(self, at: Boundary = "batch", *, wait: bool = True) -> Answer:
        """Hold after this batch, or `at="epoch"` after this epoch's validation."""
        return self._ask(Pause(), at, wait=wait)

    def resume(self, *, wait: bool | None = None) -> Answer:
        """Go on after a pause; or take back a pause that has not come yet."""
        return self._ask(Resume(), None, wait=wait)

    def step(self, count: int = 1, *, wait: bool | None = None) -> Answer:
        """Train so many batches, then pause."""
        return self._ask(Step(operator.index(count)), None, wait=wait)

    def swap_loss(self, loss: str, at: Boundary = "epoch", *, wait: bool | None = None) -> Answer:
        """Use another loss function from the next epoch on, or `at="batch"` the next batch."""
        return self._ask(SwapLoss(loss), at, wait=wait)

    def set_lr(self, lr: float, at: Boundary = "batch", *, wait: bool | None = None) -> Answer:
        """Use another learning rate."""
        return self._set("lr", float(lr), at, wait=wait)

    def set_weight_decay(
        self, weight_decay: float, at: Boundary = "batch", *, wait: bool | None = None
    ) -> Answer:
        """Pull the weights towards zero by another weight decay."""
        return self._set("weight-decay", float(weight_decay), at, wait=wait)

    def set_clip_norm(
        self, norm: float | None, at: Boundary = "batch", *, wait: bool | None = None
    ) -> Answer:
        """Clip the norm of all gradients together; None: do not."""
        return self._set("clip-norm", None if norm is None else float(norm), at, wait=wait)

    def set_batch_size(self, samples: int, *, wait: bool | None = None) -> Answer:
        """Take so many samples a step from the next epoch on."""
        return self._set("batch-size", operator.index(samples), "epoch", wait=wait)

    def set_epochs(self, epochs: int, *, wait: bool | None = None) -> Answer:
        """Train to so many epochs in all."""
        return self._set("epochs", operator.index(epochs), "batch", wait=wait)

    def set_pace(self, batches_per_s: float | None, *, wait: bool | None = None) -> Answer:
        """Train at most so many batches a second, which changes no weights; None: no limit."""
        pace = None if batches_per_s is None else float(batches_per_s)
        return self._set("pace", pace, "batch", wait=wait)

    def checkpoint(self, *, wait: bool | None = None) -> Answer:
        """Save a checkpoint after this batch."""
        return self._ask(SaveCheckpoint(), None, wait=wait)

    def undo(self, *, wait: bool | None = None) -> Answer:
        """Go back to just before the last change: weights, position and settings."""
        return self._ask(Undo(), None, wait=wait)

    def rollback(self, epoch: Epoch | None = None, *, wait: bool | None = None) -> Answer:
        """Go back to an epoch's checkpoint, with the settings of now.

        "best" is the best epoch so far, None the newest sound one. Refused for an epoch that is
        not kept; the reason lists those that are.
        """
        named = epoch if epoch is None or isinstance(epoch, str) else operator.index(epoch)
        return self._ask(Rollback(named), None, wait=wait)

    def stop(self, *, wait: bool | None = None) -> Answer:
        """End the run after this batch, with a checkpoint; `tuitrain resume` goes on with it."""
        return self._ask(Stop(), None, wait=wait)

    def _set(
        self, setting: Setting, value: float | int | None, at: Boundary, *, wait: bool | None
    ) -> Answer:
        return self._ask(Change(setting, value), at, wait=wait)

    def _ask(self, wish: Wish, at: Boundary | None, *, wait: bool | None) -> Answer:
        if wait is None:
            wait = (at or wish.boundary) == "batch" or self._follower.look().waits_between_epochs
        answer = ask(self._client, wish, at, until_applied=wait)
        if answer.is_refusal:
            raise (WrongUse if answer.exit_code == 2 else Refused)(str(answer))
        return answer
