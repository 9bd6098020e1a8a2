"""What a recorder writes in the end, whatever ended the run."""

from pathlib import Path

import torch

from tuitrain.core.events import BatchDone, Failed
from tuitrain.store.reader import Cursor, RunReader
from tuitrain.store.writer import RunWriter
from tuitrain.worker.recorder import Recorder


def test_a_device_that_fails_with_the_last_batches_does_not_keep_the_failure_from_being_told(
    tmp_path: Path,
):
    writer = RunWriter(tmp_path / "run.db")
    recorder = Recorder(writer)
    marks = (0, 1, 2, 3, 4, 5, 6)
    unreadable = torch.zeros((), device="meta")  # its value cannot be read, as on a lost device
    recorder.take(BatchDone(1, 1, 1, unreadable, 0.1, 64, marks, unreadable))

    recorder.fail(Failed("the device is gone"))
    recorder.close()

    writer.close()
    found = RunReader(tmp_path / "run.db").since(Cursor())
    assert [each.event for each in found.events] == [Failed("the device is gone")]
    assert found.latest is None
