"""One run from its spec to its end: the loop's events go into the record, checkpoints beside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from tuitrain.core.commands import Request, Stop
from tuitrain.core.events import (
    BatchDone,
    Event,
    Paused,
    StartupReached,
    Stopped,
    WishAccepted,
)
from tuitrain.core.spec import RunSpec
from tuitrain.engine.checkpoint import Checkpoints
from tuitrain.engine.loop import by_every_loss, train
from tuitrain.engine.resume import Position, resume
from tuitrain.engine.steering import Steering
from tuitrain.engine.training import Training, build
from tuitrain.store import inbox
from tuitrain.store.paths import RunPaths
from tuitrain.store.writer import RunWriter
from tuitrain.worker.controls import Controls
from tuitrain.worker.failure import OutOfMemory, is_out_of_memory
from tuitrain.worker.recorder import Recorder

_GLANCE_EVERY_S = 1.0
_TELL_EVERY_S = 0.25


def train_run(
    paths: RunPaths,
    spec: RunSpec,
    writer: RunWriter,
    recorder: Recorder,
    ending: Callable[[], str | None],
) -> None:
    """Build what the spec says and train it, obeying the inbox; raises whatever ends it early."""
    recorder.take(StartupReached(f"loading {spec.task}"))
    try:
        run = build(spec, _Telling(paths, recorder, ending))
    except _ToldToStop as told:
        _stop_before_training(told.request, paths, writer, recorder)
        return
    recorder.time_with(run.stopwatch.microseconds)
    try:
        _train(run, paths, writer, recorder, ending, waits=spec.paused)
    except (MemoryError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise OutOfMemory(paths.name, run.batch_size) from error
        raise


def _train(
    run: Training,
    paths: RunPaths,
    writer: RunWriter,
    recorder: Recorder,
    ending: Callable[[], str | None],
    *,
    waits: bool,
) -> None:
    controls = Controls(
        paths.inbox, known=writer.known_wishes(), ending=ending, idle=recorder.flush_if_due
    )
    past, is_new = writer.events(), not writer.has_started
    checkpoints = Checkpoints(paths.checkpoints, past)
    checkpoints.sweep()
    steering = Steering(run, controls, checkpoints=checkpoints, past=past, paused=waits and is_new)
    recorded = None if is_new else Position(*writer.position())
    glance_at = 0.0
    for event in _told(run, steering, past, recorded, begins_epoch=_asks_batch_size(paths)):
        recorder.take(event)
        if not run.reads_at_once:  # else the loop has met them already
            for done in recorder.bad_batches():
                steering.meet_bad(done)
        if isinstance(event, Paused) or (
            isinstance(event, BatchDone) and time.monotonic() >= glance_at
        ):
            glance_at = time.monotonic() + _GLANCE_EVERY_S
            recorder.glance(run.step, by_every_loss(run, *run.glance) if run.glance else {})
    recorder.flush()
    controls.close()


class _ToldToStop(Exception):
    """Somebody asked for the end before the first batch."""

    def __init__(self, request: Request) -> None:
        super().__init__(request.wish.detail)
        self.request = request


class _Telling:
    """Tells of a download now and then, and ends it when the run should end."""

    def __init__(
        self, paths: RunPaths, recorder: Recorder, ending: Callable[[], str | None]
    ) -> None:
        self._paths = paths
        self._recorder = recorder
        self._ending = ending
        self._tell_at = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        if time.monotonic() < self._tell_at and done != total:
            return
        self._tell_at = time.monotonic() + _TELL_EVERY_S
        if why := self._ending():
            raise _ToldToStop(Request.new(Stop(why)))
        for request in _asked(self._paths):
            if isinstance(request.wish, Stop):
                raise _ToldToStop(request)
        self._recorder.take(StartupReached(stage, done, total))


def _stop_before_training(
    request: Request, paths: RunPaths, writer: RunWriter, recorder: Recorder
) -> None:
    take, step, epoch = writer.position()
    wish = request.wish
    recorder.take(
        WishAccepted(request.id, wish.kind, wish.detail, request.at, request.asked_at, step, epoch)
    )
    recorder.take(Stopped(request.id, take, step, epoch, wish.detail))
    (paths.inbox / f"{request.id}.json").unlink(missing_ok=True)


def _asked(paths: RunPaths) -> list[Request]:
    """Return the wishes that wait, and let them wait."""
    found = map(inbox.read, inbox.waiting(paths.inbox))
    return [request for request in found if request is not None]


def _asks_batch_size(paths: RunPaths) -> bool:
    return any(request.wish.kind == "batch-size" for request in _asked(paths))


def _told(
    run: Training,
    steering: Steering,
    past: list[Event],
    recorded: Position | None,
    *,
    begins_epoch: bool,
) -> Iterator[BatchDone | Event]:
    """Yield all that the run says; `recorded` is how far it came before, None if nowhere.

    One that `begins_epoch` goes on from between two epochs, where a batch size can change.
    """
    if recorded is not None:
        yield from resume(run, steering, past, recorded, begins_epoch=begins_epoch)
    yield run.started()
    if run.step == 0:
        yield from steering.checkpoints.save(run, "start", is_needed=True)
    yield from train(run, steering)
