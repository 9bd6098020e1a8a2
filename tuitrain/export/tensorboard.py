"""The current line of a run as TensorBoard reads it, by TensorBoard's own writer of records.

Only its writer is imported: its front door would load TensorFlow where that is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from heapq import merge
from pathlib import Path
from typing import Any, NamedTuple

from tuitrain.core.errors import TuitrainError
from tuitrain.export.lineage import Batch, Epoch, Measured, RunLineage

_VERSION = "brain.Event:2"


class Scalars(NamedTuple):
    """Numbers by their tags, at a step and a time in seconds since the epoch."""

    step: int
    at: float
    values: Mapping[str, float]


def scalars(line: RunLineage) -> Iterator[Scalars]:
    """Yield what batches, series and epochs have to say, in the order of their steps."""
    return merge(
        map(_of_batch, line.batches()),
        map(_of_series, line.measured()),
        map(_of_epoch, line.epochs()),
        key=lambda each: each.step,
    )


def write(line: RunLineage, folder: Path) -> None:
    """Make a folder that `tensorboard --logdir` opens; TuitrainError without TensorBoard."""
    open_records, event = writer_and_event()
    folder.mkdir()
    began = line.recorded[0].at
    with (folder / f"events.out.tfevents.{int(began):010d}.tuitrain").open("xb") as file:
        records = open_records(file)
        records.write(event(wall_time=began, file_version=_VERSION).SerializeToString())
        for step, at, values in scalars(line):
            tagged = [{"tag": tag, "simple_value": value} for tag, value in values.items()]
            told = event(wall_time=at, step=step, summary={"value": tagged})
            records.write(told.SerializeToString())


def writer_and_event() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return TensorBoard's record writer and its event; TuitrainError where it is not installed."""
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter
    except ImportError:
        raise TuitrainError(
            "TensorBoard is not installed: pip install 'tuitrain[tensorboard]'"
        ) from None
    return RecordWriter, Event


def _of_batch(batch: Batch) -> Scalars:
    row = batch.row
    return Scalars(row.step, batch.at, {"train/loss": row.loss, "train/lr": row.lr})


def _of_series(measured: Measured) -> Scalars:
    tag = f"series/{measured.series.name}"
    return Scalars(measured.step, measured.at, {tag: measured.value})


def _of_epoch(epoch: Epoch) -> Scalars:
    ended = epoch.ended
    values = {
        "epoch/completed": ended.epoch, "epoch/train_loss": ended.train_loss,
        "epoch/val_loss": ended.val_loss,
        **{f"metrics/{name}": value for name, value in ended.metrics.items()},
        **{f"val_loss_by/{name}": value for name, value in ended.val_losses.items()},
    }  # fmt: skip
    return Scalars(ended.step, epoch.at, values)
