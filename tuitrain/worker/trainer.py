"""Training of a run from its spec to its end; the events of the loop are recorded."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from tuitrain.core import code_copies
from tuitrain.core.events import (
    Detail,
    Event,
    Fact,
    Finished,
    LossSwapped,
    Measured,
    Paused,
    Resumed,
    RunStarted,
    StartupReached,
    StepsTaken,
    TakeOpened,
    Warned,
)
from tuitrain.core.own import title_of
from tuitrain.core.spec import RunSpec
from tuitrain.engine.build import build
from tuitrain.engine.data import WHOLE
from tuitrain.engine.loop import by_every_loss, train
from tuitrain.engine.loss_curves import loss_curves
from tuitrain.engine.preflight import preflight
from tuitrain.engine.state.checkpoint import Checkpoints
from tuitrain.engine.state.resume import resume
from tuitrain.engine.state.start import Start, begin, compared
from tuitrain.engine.steering import Steering
from tuitrain.engine.step_probe import batch_detail
from tuitrain.engine.team import Team
from tuitrain.engine.training import Training
from tuitrain.engine.user_code import UserCode
from tuitrain.engine.user_errors import line_in_user_code
from tuitrain.record.controls import Controls
from tuitrain.record.recorder import Recorder
from tuitrain.record.usage import Usage
from tuitrain.record.watchdog import Watchdog
from tuitrain.steering.steerable import Position
from tuitrain.store.named_code import known_code
from tuitrain.store.paths import RunPaths
from tuitrain.store.writer import RunWriter
from tuitrain.worker.failure import OutOfMemory, is_out_of_memory, refusing_user_code
from tuitrain.worker.startup import (
    StartupEvents,
    StopRequested,
    stop_before_training,
    stoppable,
    waiting_commands,
)


def train_run(
    paths: RunPaths,
    spec: RunSpec,
    writer: RunWriter,
    recorder: Recorder,
    ending: Callable[[], str | None],
    team: Team | None = None,
) -> None:
    """Build the run of a spec and train it; raises the error that ends it early, if any.

    `team` are the ranks that train it together, of which this one is the first.
    """
    recorder.take(StartupReached(f"loading {title_of(spec.task)}"))
    code = UserCode(paths.code, known_code())
    try:
        events = StartupEvents(paths, recorder, ending)
        with stoppable(events.stop_request), refusing_user_code():
            run = build(
                spec, events, code, device=team.device_of(spec.device) if team else None,
                part=team.part if team else WHOLE,
            )  # fmt: skip
            doubts = [] if writer.has_started else [*preflight(run), *_doubts(run)]
    except StopRequested as stop:
        stop_before_training(stop.request, paths, writer, recorder)
        return
    for warning in (*doubts, *map(_changed, code.changed())):
        recorder.take(Warned(warning))
    if run.spec != spec:
        spec = run.spec
        paths.write_spec(replace(spec, init_from=spec.init_from and Path(spec.init_from).name))
    if team is not None:
        team.of_first((spec.to_json(), code_copies.packed(paths.code)))
        team.train(run)
    recorder.time_with(run.stopwatch.microseconds)
    try:
        _train(run, paths, writer, recorder, ending)
    except (MemoryError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise OutOfMemory(paths.name, run.batch_size) from error
        raise


def _doubts(run: Training) -> Iterator[str]:
    """Yield what to warn of in the data and the settings of a run that is new."""
    yield from run.warnings
    if doubt := run.schedule.doubt(run.epochs):
        yield doubt


def _changed(original: str) -> str:
    return f"{original} has changed since; the run goes on with its own copy"


def _train(
    run: Training,
    paths: RunPaths,
    writer: RunWriter,
    recorder: Recorder,
    ending: Callable[[], str | None],
) -> None:
    spec = run.spec
    watchdog = Watchdog(paths.busy, line_in_user_code, lambda: run.has_seen_epoch)

    def idle() -> None:
        watchdog.alive()
        recorder.flush_if_due()

    controls = Controls(
        paths.inbox, known=writer.known_commands(), ending=ending, idle=idle,
        checkpoints=paths.checkpoints,
    )  # fmt: skip
    earlier, is_new = writer.events(), not writer.has_started
    checkpoints = Checkpoints(paths.checkpoints, earlier, executor=ThreadPoolExecutor(1))
    checkpoints.sweep()
    paused = spec.paused if is_new else _was_paused_before_a_failure(earlier)
    run.way_on = f"tuitrain resume {paths.title} goes on from its last good checkpoint"
    steering_of = Steering if run.team is None else run.team.steering_of
    steering = steering_of(run, controls, checkpoints=checkpoints, earlier=earlier, paused=paused)
    usage = Usage()
    recorded = None if is_new else Position(*writer.position(*spec.began_at))
    start = Start(spec, paths.origin, between_epochs=_suggests_batch_size(paths))
    with watchdog:
        for event in _events(run, steering, start, earlier, recorded):
            watchdog.alive()
            if isinstance(event, Measured | Paused):
                _look_at_newest_batch(run, recorder)  # before a pause, so that a screen has it then
            recorder.take(event)
            if isinstance(event, RunStarted | LossSwapped | TakeOpened):
                _take(loss_curves(run), recorder)
            if isinstance(event, Measured):
                _take(run.newest_layers and run.newest_layers.detail(), recorder)
                recorder.take(Measured(run.take, run.step, usage.read(str(run.device))))
            if recorder.newest_read is not None:
                _tell_what_was_read(recorder, steering)
    recorder.flush()
    controls.close()


def _tell_what_was_read(recorder: Recorder, steering: Steering) -> None:
    newest, recorder.newest_read = recorder.newest_read, None
    assert newest is not None
    steering.has_read(newest, recorder.nonfinite_batches())


def _was_paused_before_a_failure(earlier: Sequence[Event]) -> bool:
    """Whether a rank failed during a pause or single steps, so that all started anew unasked."""
    if os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0":
        return False
    kinds = (Paused, Resumed, RunStarted, StepsTaken)
    last = next((event for event in reversed(earlier) if isinstance(event, kinds)), None)
    is_stepping = isinstance(last, Resumed) and last.command is None
    return is_stepping or isinstance(last, Paused | StepsTaken)


def _look_at_newest_batch(run: Training, recorder: Recorder) -> None:
    """Record the newest batch, and its loss by every loss function."""
    _take(batch_detail(run), recorder)
    recorder.latest_batch_losses(
        run.take, run.step, by_every_loss(run, *run.newest_batch) if run.newest_batch else {}
    )


def _take(detail: Detail | None, recorder: Recorder) -> None:
    if detail is not None:
        recorder.take(detail)


def _suggests_batch_size(paths: RunPaths) -> bool:
    return any(request.command.kind == "batch-size" for request in waiting_commands(paths))


def _events(
    run: Training, steering: Steering, start: Start, earlier: list[Event],
    recorded: Position | None,
) -> Iterator[Fact | Event]:  # fmt: skip
    """Yield the events of the run; `recorded` is the recorded position, None for a new run."""
    if recorded is None:
        yield from begin(run, steering, start)
    else:
        yield from resume(run, steering, start, earlier, recorded)
    yield run.started()
    yield from steering.keep_finite()
    if not steering.checkpoints.kept:
        yield from steering.checkpoints.save(run, "start", is_needed=True)
    for event in train(run, steering):
        if isinstance(event, Finished):
            yield from compared(run, start.spec)
        yield event
