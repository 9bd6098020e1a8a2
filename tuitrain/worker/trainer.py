"""One run from its spec to its end: the loop's events go into the record, checkpoints beside it."""

from __future__ import annotations

from collections.abc import Callable

from tuitrain.core.events import Finished, StartupReached, Stopped
from tuitrain.core.spec import RunSpec
from tuitrain.engine import checkpoint
from tuitrain.engine.loop import train
from tuitrain.engine.steering import Steering
from tuitrain.engine.training import build
from tuitrain.store.paths import RunPaths
from tuitrain.store.writer import RunWriter
from tuitrain.worker.controls import Controls
from tuitrain.worker.recorder import Recorder


def train_run(
    paths: RunPaths,
    spec: RunSpec,
    writer: RunWriter,
    recorder: Recorder,
    ending: Callable[[], str | None],
) -> None:
    """Build what the spec says and train it, obeying the inbox; raises whatever ends it early."""
    recorder.take(StartupReached(f"loading {spec.task}"))
    run = build(spec)
    recorder.time_with(run.stopwatch.microseconds)
    controls = Controls(
        paths.inbox, known=writer.known_wishes(), ending=ending, idle=recorder.flush_if_due
    )
    recorder.take(run.started())
    for event in train(run, Steering(run, controls, paused=spec.paused)):
        match event:
            case Stopped():
                recorder.take(checkpoint.save(run, paths.checkpoints, "stop"))
            case Finished():
                recorder.take(checkpoint.save(run, paths.checkpoints, "finish"))
            case _:
                pass
        recorder.take(event)
    recorder.flush()
    controls.close()
