"""The current line of a run as tables: CSV for data frames, JSON lines for programs."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import chain
from pathlib import Path
from typing import Any

from tuitrain.core.numbers import to_strict
from tuitrain.core.problem import Problem
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


def batch_rows(line: RunLineage) -> Iterator[Row]:
    """Yield a row for every batch; times of the five steps, and of the data, in microseconds."""
    return map(_batch_row, line.batches())


def epoch_rows(line: RunLineage) -> Iterator[Row]:
    """Yield a row for every epoch: its metrics, and the validation by every loss that fits."""
    return map(_epoch_row, line.epochs())


def series_rows(line: RunLineage) -> Iterator[Row]:
    """Yield a row for every value of a series; the learning rate is in the rows of batches."""
    return map(_series_row, line.measured())


def write_csv(line: RunLineage, interventions: Iterable[Row], folder: Path) -> None:
    """Make a folder with batches.csv, epochs.csv, series.csv and interventions.csv."""
    folder.mkdir()
    write_batches(line, folder / "batches.csv")
    _write_table(epoch_rows(line), _epoch_columns(line), folder / "epochs.csv")
    _write_table(series_rows(line), _SERIES_COLUMNS, folder / "series.csv")
    _write_table(interventions, _INTERVENTION_COLUMNS, folder / "interventions.csv")


def write_batches(line: RunLineage, path: Path) -> None:
    """Write a table of the batches."""
    _write_table(batch_rows(line), _BATCH_COLUMNS, path)


def _write_table(rows: Iterable[Row], columns: Sequence[str], path: Path) -> None:
    """Write rows under a line of the columns; what a row does not have stays empty."""
    with path.open("x", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def _epoch_columns(line: RunLineage) -> list[str]:
    """Return the columns of all epochs: a swap adds a loss to those that are evaluated."""
    problem = line.started.problem or Problem()
    metrics = dict.fromkeys(metric.name for metric in problem.metrics)
    losses = dict.fromkeys(problem.losses)
    for epoch in line.epochs():
        metrics |= dict.fromkeys(epoch.ended.metrics)
        losses |= dict.fromkeys(epoch.ended.val_losses)
    return [*_EPOCH_COLUMNS, *metrics, *(f"val_{loss}" for loss in losses), "improved", "elapsed_s"]


def write_jsonl(line: RunLineage, run: Row, interventions: Iterable[Row], path: Path) -> None:
    """Write an object a line, each with its `kind`: run, intervention, batch, series, epoch.

    The last three stand in the order in which they came. Strict JSON: a number that is not
    finite is "nan", "inf" or "-inf".
    """
    head = (("run", run), *(("intervention", each) for each in interventions))
    course = merge(
        (("batch", row) for row in batch_rows(line)),
        (("series", row) for row in series_rows(line)),
        (("epoch", row) for row in epoch_rows(line)),
        key=lambda each: each[1]["step"],
    )
    with path.open("x", encoding="utf-8") as file:
        for kind, row in chain(head, course):
            body = to_strict({"kind": kind, **row})
            file.write(json.dumps(body, ensure_ascii=False, allow_nan=False) + "\n")


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
