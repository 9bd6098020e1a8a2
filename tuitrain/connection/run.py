"""The public API for notebooks and scripts: `tuitrain.connect`, `tuitrain.runs` and `Run`."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from itertools import chain, islice
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from tuitrain.connection.client import Client
from tuitrain.connection.commands import Commands
from tuitrain.connection.curve import Losses, curve, series_curve
from tuitrain.connection.follower import reads_until_end
from tuitrain.core.commands import Epoch
from tuitrain.core.errors import UnknownName, WrongUse
from tuitrain.core.events import EpochEnded, Event
from tuitrain.store.delta import Cursor
from tuitrain.store.paths import find_run, home_folder, runs_in
from tuitrain.store.schema import BatchRow, key_of
from tuitrain.view.panel.ranks import newest_ranks
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text import report

_POLL_S = 0.1


def connect(
    run: str | PathLike[str] | None = None, *, home: str | PathLike[str] | None = None
) -> Run:
    """Return a run by its name, a unique prefix of its name, or its directory; None: the newest.

    Runs are looked up in `home`, else $TUITRAIN_HOME, else the platform's state folder. A path
    object is always a directory. Raises NoSuchRun.
    """
    wanted = run if run is None or isinstance(run, str) else str(Path(run).absolute())
    return Run(Client(find_run(_home(home), wanted).directory))


def runs(home: str | PathLike[str] | None = None) -> list[str]:
    """Return the names of all runs of a home, live and ended, the newest first."""
    return [paths.name for paths in runs_in(_home(home))]


def _home(home: str | PathLike[str] | None) -> Path:
    return home_folder(fspath(home) if home else None)


class Run(Commands):
    """One run, live or ended. It keeps no file open; any thread may use it.

    A command returns its `Answer` once it has taken effect; a command for the end of the present
    epoch returns once it is accepted. `wait` overrides this; a run that is paused within an epoch
    does not reach its end. Raises Refused with the reason if the trainer refuses or drops the
    command, RunEnded if no trainer is alive, and WrongUse for an invalid value.
    """

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
        """Optimizer steps that led to the present weights."""
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
        """The metrics of the last validation, in the target's own units; {} before the first."""
        last = self._follower.look().last_epoch
        return dict(last.metrics) if last else {}

    def show(self) -> dict[str, Any]:
        """Return the dictionary that `tuitrain show --json` prints: settings, metrics, ..."""
        run = self._follower.look()
        return report.as_json(run, full=True, ranks=newest_ranks(run, self._client.record))

    def events(self, *, follow: bool = True) -> Iterator[Event]:
        """Yield all events of the run, oldest first, and new ones until it ends.

        Events are the frozen dataclasses of `tuitrain.core.events`; each has a `kind`, such as
        "epoch_ended". With `follow=False`, yield only the events recorded so far.
        """
        reads = reads_until_end(self._client.events_after, Cursor(), every_s=_POLL_S)
        yield from chain.from_iterable(reads if follow else islice(reads, 1))

    def batches(self, after: BatchRow | None = None, *, every: int = 1) -> list[BatchRow]:
        """Return the recorded batches, all or those after a row, whose step `every` divides.

        A row has `take`, `step`, `epoch` (from 1), `loss`, `lr`, `samples`, `elapsed_ms` (of
        training so far) and the microseconds of each part of the step, such as `backward_us`.
        Rows are ordered by (take, step): an undo or a rollback opens a new take.
        """
        if every < 1:
            raise WrongUse(f"every takes a whole number of steps from 1, not {every!r:.40}")
        return self._client.record.batches(after.key if after else 0, operator.index(every))

    def losses(self, loss: str | None = None, *, points: int = 2000) -> Losses:
        """Return (steps, values) of the training losses that led to the present weights.

        Up to `points` steps are returned unchanged. If there are more, neighbours become two
        points, their lowest and their highest loss, so that a spike survives. A value is NaN where
        no loss was finite, and between two loss functions, whose values are not comparable; `loss`
        selects one of them.
        """
        run = self._follower.look()
        used = {segment.loss for segment in run.segments}
        named = loss if loss is None or loss in used else run.problem.loss_text(loss)
        return curve(run, self._client.record, points, named)

    def series(self, name: str, *, points: int = 2000) -> Losses:
        """Return (steps, values) of a series, thinned as by `losses`.

        `show()["series"]` lists the series: lr, gradient-norm, trainer-memory, ...
        Raises UnknownName for any other name.
        """
        run = self._follower.look()
        known = [summary.series.name for summary in run.series]
        if name not in known:
            raise UnknownName("series", name, known)
        return series_curve(run, self._client.record, points, name)

    def detail(self, name: str, epoch: Epoch | None = None) -> dict[str, Any] | None:
        """Return a detail of an epoch, such as "confusion": {"counts": [[...], ...]}.

        `epoch` is the number of completed epochs, "best", or None for the last one. Return None if
        the epoch has no such detail. Details of the last hundred epochs are kept, and of every
        epoch that was the best so far.
        """
        ended = _epoch_of(self._follower.look(), epoch)
        return self._client.record.detail(key_of(ended.take, ended.step), name) if ended else None


def _epoch_of(run: Snapshot, epoch: Epoch | None) -> EpochEnded | None:
    if epoch is None:
        return run.last_epoch
    if epoch == "best":
        return run.best
    return next((ended for ended in run.epochs if ended.epoch == epoch), None)
