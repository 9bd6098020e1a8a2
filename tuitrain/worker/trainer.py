"""One run from its spec to its end: the loop's events go into the record, checkpoints beside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from tuitrain.core.errors import TuitrainError
from tuitrain.core.events import BatchDone, Event, Finished, Paused, StartupReached
from tuitrain.core.spec import RunSpec
from tuitrain.engine.checkpoint import Checkpoints
from tuitrain.engine.loop import by_every_loss, train
from tuitrain.engine.resume import Beginning, Position, begin, compared, resume
from tuitrain.engine.steering import Steering
from tuitrain.engine.training import Training, build
from tuitrain.store.paths import RunPaths
from tuitrain.store.writer import RunWriter
from tuitrain.worker.controls import Controls
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
    run = build(spec, _Telling(recorder, ending))
    recorder.time_with(run.stopwatch.microseconds)
    controls = Controls(
        paths.inbox, known=writer.known_wishes(), ending=ending, idle=recorder.flush_if_due
    )
    past, is_new = writer.events(), not writer.has_started
    checkpoints = Checkpoints(paths.checkpoints, past)
    checkpoints.sweep()
    steering = Steering(
        run, controls, checkpoints=checkpoints, past=past, paused=spec.paused and is_new
    )
    glance_at = 0.0
    began_at = (spec.parent.step, spec.parent.epoch) if spec.parent else (0, 0)
    recorded = None if is_new else Position(*writer.position(*began_at))
    for event in _told(run, steering, Beginning(spec, paths.origin), past, recorded):
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


class _Telling:
    """Tells of a download now and then, and ends it when the run should end."""

    def __init__(self, recorder: Recorder, ending: Callable[[], str | None]) -> None:
        self._recorder = recorder
        self._ending = ending
        self._tell_at = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        if why := self._ending():
            raise TuitrainError(f"ended while {stage}: {why}")
        if time.monotonic() >= self._tell_at or done == total:
            self._recorder.take(StartupReached(stage, done, total))
            self._tell_at = time.monotonic() + _TELL_EVERY_S


def _told(
    run: Training, steering: Steering, beginning: Beginning, past: list[Event],
    recorded: Position | None,
) -> Iterator[BatchDone | Event]:  # fmt: skip
    """Yield all that the run says; `recorded` is how far it came before, None if nowhere."""
    if recorded is None:
        yield from begin(run, steering, beginning)
    else:
        yield from resume(run, steering, beginning, past, recorded)
    yield run.started()
    if not steering.checkpoints.kept:
        yield from steering.checkpoints.save(run, "start", is_needed=True)
    for event in train(run, steering):
        if isinstance(event, Finished):
            yield from compared(run, beginning.spec)
        yield event
