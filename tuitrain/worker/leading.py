"""Training of a run on the first of several ranks, which decides and records."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from tuitrain.core.events import Warned
from tuitrain.core.files import read_text
from tuitrain.core.spec import RunSpec
from tuitrain.engine.ranks import group
from tuitrain.engine.ranks.ranks import Ranks
from tuitrain.record.recorder import Recorder
from tuitrain.store.paths import RunPaths
from tuitrain.store.writer import RunWriter
from tuitrain.worker.trainer import train_run

_LONGEST = 1 << 16


def lead(
    paths: RunPaths,
    spec: RunSpec,
    writer: RunWriter,
    recorder: Recorder,
    ending: Callable[[], str | None],
) -> None:
    """Train the run of a spec together with the other ranks; raises as `train_run` does."""
    with suppress(OSError):
        recorder.take(
            Warned(f"{read_text(paths.failed_rank, most=_LONGEST)}; all ranks started anew")
        )
        paths.failed_rank.unlink()
    with group.joined(leads=True):
        train_run(paths, spec, writer, recorder, ending, Ranks())
