"""Predictions of a checkpoint, for the validation data of its run or for other data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from tuitrain.core.errors import Refused
from tuitrain.core.own import title_of
from tuitrain.core.safe import safe
from tuitrain.core.spec import RunSpec
from tuitrain.engine.build import build
from tuitrain.engine.data import Dataset
from tuitrain.engine.forward import without_graphs
from tuitrain.engine.state.checkpoint_file import read_state
from tuitrain.engine.tasks.opened import Names, NewData, OpenedTask
from tuitrain.engine.user_code import UserCode

_BATCH = 256
Value = str | float | int | None


class Predictions(NamedTuple):
    """A table: a row for each sample."""

    columns: list[str]
    rows: list[list[Value]]
    notes: list[str]
    """Remarks on samples that the model cannot use as they are, a line each."""


@torch.no_grad()
def predict(
    spec: RunSpec, checkpoint: Path, sha256: str, code: UserCode, paths: Sequence[Path] = ()
) -> Predictions:
    """Return the predictions for the data at `paths`; none: for the validation data.

    Of classes, the likeliest one and the probability of each; of numbers, the number in the unit of
    the targets; of a task without a kind, the outputs. Raises Damaged for a checkpoint that differs
    from `sha256`, Refused where the task reads no other data, and what reading them raises.
    """
    run = build(replace(spec, paused=False, init_from=None), code=code, part=None)
    state = read_state(checkpoint, sha256)
    run.model.load_state_dict(state["model"])
    run.model.eval()
    data = run.data
    assert run.task is not None
    new = _read(run.task, spec, paths) if paths else _validation(run.task, data)
    rows: list[list[Value]] = []
    for inputs, targets in new.source.to(run.device).batches(_BATCH):
        shown = targets if new.has_targets else None
        with without_graphs(run):
            output = run.model(inputs)
        output = run.losses.predictions(state["settings"]["loss"], output).cpu()
        rows += _rows(data, output, None if shown is None else shown.cpu())
    width = len(rows[0]) if rows else 0
    columns = [*new.names.columns, *_columns(data, width, has_targets=new.has_targets)]
    named = [[*name, *row] for name, row in zip(new.names.rows, rows, strict=True)]
    return Predictions(columns, named, list(new.notes))


def _validation(task: OpenedTask, data: Dataset) -> NewData:
    if task.val_names is not None:
        names = task.val_names()
    else:
        names = Names(("sample",), [(number,) for number in range(len(data.val))])
    return NewData(names, data.val, has_targets=True)


def _read(task: OpenedTask, spec: RunSpec, paths: Sequence[Path]) -> NewData:
    if task.read_new is None:
        raise Refused(
            f"cannot read {safe(paths[0].name)} for {safe(title_of(spec.task))}: runs of a table "
            "take other tables, and those of a folder of images other images; without DATA, it "
            "predicts its validation data"
        )
    return task.read_new(paths)


def _columns(data: Dataset, width: int, *, has_targets: bool) -> list[str]:
    """Return the names of the `width` cells after the name of a sample."""
    if data.kind is None:
        return [f"output {number}" for number in range(width)]
    known = ["target"] if has_targets else []
    if data.kind in ("multiclass", "binary"):
        return [*known, "prediction", *(f"p({name})" for name in _classes(data))]
    if data.kind == "multilabel":
        return [f"p({name})" for name in _classes(data)]
    return [*known, "prediction"]


def _rows(data: Dataset, output: Tensor, target: Tensor | None) -> Iterator[list[Value]]:
    """Yield the cells of each sample after its name."""
    match data.kind:
        case "multiclass" | "binary":
            chances = _probabilities(data.kind, output)
            chosen, classes = chances.argmax(dim=1).tolist(), _classes(data)
            labels = None if target is None else target.long().tolist()
            for number, row in enumerate(chances.tolist()):
                known = [] if labels is None else [classes[labels[number]]]
                yield [*known, classes[chosen[number]], *row]
        case "multilabel":
            yield from output.sigmoid().tolist()
        case None:  # only the loss knows what they mean
            yield from output.reshape(len(output), -1).tolist()
        case _:
            values = (output.flatten() * data.unit + data.offset).tolist()
            known = [] if target is None else (target.float() * data.unit + data.offset).tolist()
            for number, value in enumerate(values):
                yield [*([known[number]] if known else []), value]


def _probabilities(kind: str, output: Tensor) -> Tensor:
    if kind == "multiclass":
        return output.double().softmax(dim=1)
    chance = output.double().flatten().sigmoid()
    return torch.stack((1 - chance, chance), dim=1)


def _classes(data: Dataset) -> tuple[str, ...]:
    """Return the names of the classes or labels; their numbers where they have none."""
    return data.classes or tuple(map(str, range(data.class_count or data.outputs)))
