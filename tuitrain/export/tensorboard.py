"""The lineage of a run as TensorBoard event files.

Only TensorBoard's record writer is imported; its public API would load TensorFlow if installed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from heapq import merge
from pathlib import Path
from typing import Any, NamedTuple

from tuitrain.core.decode import is_time
from tuitrain.core.errors import TuitrainError
from tuitrain.core.options import OPTIONS, RunOption
from tuitrain.core.safe import safe
from tuitrain.core.spec import RunSpec
from tuitrain.export.lineage import Batch, Epoch, Measured, RunLineage

_VERSION = "brain.Event:2"


class Scalars(NamedTuple):
    """Numbers by tag, at a step and a Unix time in seconds."""

    step: int
    at: float
    values: Mapping[str, float]


def scalars(lineage: RunLineage) -> Iterator[Scalars]:
    """Yield the scalars of batches, series and epochs, in order of steps."""
    return merge(
        map(_of_batch, lineage.batches()),
        map(_of_series, lineage.measured()),
        map(_of_epoch, lineage.epochs()),
        key=lambda scalars: scalars.step,
    )


def write(lineage: RunLineage, folder: Path) -> None:
    """Make a folder for `tensorboard --logdir`; TuitrainError if TensorBoard is not installed."""
    open_records, event = writer_and_event()
    settings = _session(lineage)
    folder.mkdir()
    began = lineage.recorded[0].at
    began = began if is_time(began) else 0.0  # a record may contain any number
    with (folder / f"events.out.tfevents.{int(began):010d}.tuitrain").open("xb") as file:
        records = open_records(file)
        records.write(event(wall_time=began, file_version=_VERSION).SerializeToString())
        records.write(event(wall_time=began, summary={"value": [settings]}).SerializeToString())
        for step, at, values in scalars(lineage):
            tagged = [
                {"tag": tag.encode(errors="backslashreplace").decode(), "simple_value": value}
                for tag, value in values.items()
            ]
            scalar_event = event(wall_time=at, step=step, summary={"value": tagged})
            records.write(scalar_event.SerializeToString())


def writer_and_event() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return TensorBoard's record writer and event class; TuitrainError if it is not installed."""
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter
    except ImportError:
        raise TuitrainError(
            "TensorBoard is not installed: pip install 'tuitrain[tensorboard]'"
        ) from None
    return RecordWriter, Event


def hyperparameters(spec: RunSpec) -> dict[str, str | float]:
    """Return the settings of a run that the dashboard of hyperparameters compares."""
    if spec.watched:  # its own are in its script
        return {"task": safe(spec.task, limit=500)}
    hparams = {name: getattr(spec, name) for name, option in OPTIONS.items() if _compares(option)}
    return {
        name: value if isinstance(value, int | float) else safe(value, limit=500)
        for name, value in hparams.items()
        if value not in (None, (), "")
    }


def _compares(option: RunOption) -> bool:
    is_of_spec = option.name in {field.name for field in fields(RunSpec)}
    return is_of_spec and option.name not in ("until", "pace", "paused", "init_from", "data")


def _session(lineage: RunLineage) -> Mapping[str, Any]:
    """Return the summary that starts a session of TensorBoard's dashboard of hyperparameters."""
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2

    start = plugin_data_pb2.SessionStartInfo(
        start_time_secs=lineage.recorded[0].at,
        group_name=safe(lineage.paths.name, limit=64),
    )
    for name, value in hyperparameters(lineage.spec).items():
        if isinstance(value, str):
            start.hparams[name].string_value = value
        else:
            start.hparams[name].number_value = value
    data = plugin_data_pb2.HParamsPluginData(session_start_info=start)
    return {
        "tag": metadata.SESSION_START_INFO_TAG,
        "metadata": metadata.create_summary_metadata(data),
        "tensor": metadata.NULL_TENSOR,
    }


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
    known = {tag: value for tag, value in values.items() if value is not None}
    return Scalars(ended.step, epoch.at, known)
