"""The record of a run in the hands of a launcher, before its ranks have it and after them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tuitrain.record.recorder import Recorder
from tuitrain.store.paths import RunPaths
from tuitrain.store.writer import RunWriter


@contextmanager
def recording(paths: RunPaths) -> Iterator[tuple[RunWriter, Recorder]]:
    """Open the record for the block, while no rank has it."""
    writer = RunWriter(paths.record, answered=paths.answered)
    recorder = Recorder(writer)
    yield writer, recorder
    recorder.close()
    writer.close()
