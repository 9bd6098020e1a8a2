"""The lineage of a run as tables: CSV for data frames, JSON lines for programs."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from tuitrain.core.numbers import to_strict
from tuitrain.export.lineage import Batch, Epoch, Measured, RunLineage

Row = Mapping[str, Any]
_TIMES = ("data_us", "zero_us", "forward_us", "loss_us", "backward_us", "step_us")
_BATCH_COLUMNS = (
    "take", "step", "epoch", "loss", "loss_name", "lr", "samples", "elapsed_s", *_TIMES
)  # fmt: skip
_EPOCH_COLUMNS = ("take", "step", "epoch", "loss_name", "train_loss", "val_loss")
_SERIES_COLUMNS = ("take", "step", "name", "value", "unit")
_INTERVENTION_COLUMNS = (
    "id", "kind", "detail", "asked_at", "step", "epoch", "take", "state", "reason"
)  # fmt: skip


def batch_rows(lineage: RunLineage) -> Iterator[Row]:
    """Yield a row per batch, with the times of data and of the five steps in microseconds."""
    return map(_batch_row, lineage.batches())


def epoch_rows(lineage: RunLineage) -> Iterator[Row]:
    """Yield a row per epoch, with its metrics and its validation losses."""
    return map(_epoch_row, lineage.epochs())


def series_rows(lineage: RunLineage) -> Iterator[Row]:
    """Yield a row per value of a series; the learning rate is in the rows of batches."""
    return map(_series_row, lineage.measured())


def write_csv(lineage: RunLineage, interventions: Iterable[Row], folder: Path) -> None:
    """Make a folder with batches.csv, epochs.csv, series.csv and interventions.csv."""
    folder.mkdir()
    write_batches(lineage, folder / "batches.csv")
    _write_table(epoch_rows(lineage), _epoch_columns(lineage), folder / "epochs.csv")
    _write_table(series_rows(lineage), _SERIES_COLUMNS, folder / "series.csv")
    _write_table(interventions, _INTERVENTION_COLUMNS, folder / "interventions.csv")


def write_batches(lineage: RunLineage, path: Path) -> None:
    """Write a table of the batches."""
    _write_table(batch_rows(lineage), _BATCH_COLUMNS, path)


def _write_table(rows: Iterable[Row], columns: Sequence[str], path: Path) -> None:
    """Write rows below a header; a row without one of the columns has an empty cell."""
    with _create(path, newline="") as file:
        table = csv.DictWriter(file, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def _epoch_columns(lineage: RunLineage) -> list[str]:
    """Return the columns of all epochs: a swap adds a loss to those that are evaluated."""
    problem = lineage.started.problem
    metrics = dict.fromkeys(metric.name for metric in problem.metrics)
    losses: dict[str, None] = dict.fromkeys(problem.losses[:1])
    for epoch in lineage.epochs():
        metrics |= dict.fromkeys(epoch.ended.metrics)
        losses |= dict.fromkeys(epoch.ended.val_losses)
    return [*_EPOCH_COLUMNS, *metrics, *(f"val_{loss}" for loss in losses), "improved", "elapsed_s"]


def write_jsonl(lineage: RunLineage, run: Row, interventions: Iterable[Row], path: Path) -> None:
    """Write one JSON object per line with its `kind`: run, intervention, batch, series, epoch.

    The kind of a run stands in its `problem`, that of an intervention under `intervention`.
    Batches, series and epochs are in order of steps. The JSON is strict: nonfinite numbers are
    "nan", "inf" and "-inf".
    """
    changes = ({**row, "intervention": row["kind"]} for row in interventions)
    head = (("run", run), *(("intervention", row) for row in changes))
    steps = merge(
        (("batch", row) for row in batch_rows(lineage)),
        (("series", row) for row in series_rows(lineage)),
        (("epoch", row) for row in epoch_rows(lineage)),
        key=lambda kind_and_row: kind_and_row[1]["step"],
    )
    with _create(path) as file:
        for kind, row in chain(head, steps):
            body = to_strict({"kind": kind} | dict(row) | {"kind": kind})
            file.write(json.dumps(body, ensure_ascii=False, allow_nan=False) + "\n")


def _create(path: Path, newline: str | None = None) -> TextIO:
    """Create a text file; a lone surrogate, which JSON may contain, is written as its escape."""
    return path.open("x", encoding="utf-8", errors="backslashreplace", newline=newline)


def _batch_row(batch: Batch) -> Row:
    row = batch.row
    return {
        "take": row.take, "step": row.step, "epoch": row.epoch, "loss": row.loss,
        "loss_name": batch.loss_name, "lr": row.lr, "samples": row.samples,
        "elapsed_s": row.elapsed_ms / 1000, **{name: getattr(row, name) for name in _TIMES},
    }  # fmt: skip


def _series_row(measured: Measured) -> Row:
    series = measured.series
    return {
        "take": measured.take, "step": measured.step, "name": series.name,
        "value": measured.value, "unit": series.unit,
    }  # fmt: skip


def _epoch_row(epoch: Epoch) -> Row:
    ended = epoch.ended
    return {
        "take": ended.take, "step": ended.step, "epoch": ended.epoch,
        "loss_name": ended.loss_name, "train_loss": ended.train_loss, "val_loss": ended.val_loss,
        **ended.metrics, **{f"val_{name}": value for name, value in ended.val_losses.items()},
        "improved": ended.improved, "elapsed_s": epoch.elapsed_s,
    }  # fmt: skip
