"""The current line of a run as tables: CSV for data frames, JSON lines for programs."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from heapq import merge
from itertools import chain
from pathlib import Path
from typing import Any

from tuitrain.core.numbers import to_strict
from tuitrain.export.lineage import Batch, Epoch, Measured, RunLineage

Row = Mapping[str, Any]
_TIMES = ("data_us", "zero_us", "forward_us", "loss_us", "backward_us", "step_us")


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
    write_table(batch_rows(line), folder / "batches.csv")
    write_table(epoch_rows(line), folder / "epochs.csv")
    write_table(series_rows(line), folder / "series.csv")
    write_table(interventions, folder / "interventions.csv")


def write_table(rows: Iterable[Row], path: Path) -> None:
    """Write rows, which share their keys, under a line of these; without rows, an empty file."""
    with path.open("x", encoding="utf-8", newline="") as file:
        several = iter(rows)
        for first in several:
            table = csv.DictWriter(file, list(first), lineterminator="\n")
            table.writeheader()
            table.writerows(chain([first], several))


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
