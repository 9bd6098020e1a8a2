"""A task in a Python file of the user: `tuitrain run task.py`."""

from __future__ import annotations

import ast
import fcntl
import hashlib
import operator
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Subset

from tuitrain.catalog import LOSSES, METRICS
from tuitrain.core.cache import cache_folder
from tuitrain.core.errors import UnknownName, WrongUse
from tuitrain.core.files import write_atomically
from tuitrain.core.options import OPTIONS
from tuitrain.core.own import OwnPython
from tuitrain.core.problem import KINDS, Card, outputs_of
from tuitrain.core.safe import safe
from tuitrain.core.spec import RunSpec
from tuitrain.core.values import either
from tuitrain.engine.criteria import name_of, same_as
from tuitrain.engine.data import Dataset, Samples, Source, generator_of
from tuitrain.engine.streaming import Streamed
from tuitrain.engine.tasks.opened import OpenedTask
from tuitrain.engine.user_code import UserCode
from tuitrain.engine.user_errors import placed, user_code_message
from tuitrain.task import Task


def open_python(own: OwnPython, spec: RunSpec, code: UserCode) -> OpenedTask:
    """Return the task that a file describes; WrongUse, with the line, where its code fails."""
    module, file = code.load(own)
    task = _task_in(vars(module), own.name, file)
    places = _places(module, task, file)
    _check(task, places)
    _prepare(task, Path(str(module.__file__)), code.digest(file))
    train, val = _data(task, spec.workers, places)
    classes = tuple(map(str, task.classes))
    outputs = outputs_of(task.kind, classes)
    loss, losses = _losses(task)
    defaults = {
        "model": task.model if isinstance(task.model, str) else "",
        "optimizer": task.optimizer if isinstance(task.optimizer, str) else "",
        "monitor": task.monitor, "loss": loss, "lr": task.lr or 0.0,
        "batch_size": task.batch_size, "epochs": task.epochs,
    }  # fmt: skip
    return OpenedTask(
        Dataset(task.kind, train, val, outputs, classes=classes, unit_name=task.unit),
        Card(task.describe, origin=own.file),
        defaults,
        None if isinstance(task.model, str) else _called(task.model, "model"),
        None if isinstance(task.optimizer, str) else _called(task.optimizer, "optimizer"),
        task.schedule,
        losses,
        task.metrics,
        is_own=True,
        warnings=tuple(_replaced(task, losses)),
        places=places,
    )


def _task_in(names: Mapping[str, Any], name: str, file: str) -> Task:
    """Return the task of that name, or else the only one of the file."""
    tasks = {key: value for key, value in names.items() if isinstance(value, Task)}
    if name:
        if name not in tasks:
            raise UnknownName(f"task in {file}", name, tasks or ("(none)",))
        return tasks[name]
    if "task" in tasks:
        return tasks["task"]
    if len(tasks) == 1:
        return next(iter(tasks.values()))
    if not tasks:
        raise WrongUse(
            f"{file} has no task: write `task = tuitrain.Task(train=..., model=..., kind=...)`"
        )
    raise WrongUse(f"{file} has several tasks; write {file}:{min(tasks)}")


def _places(module: ModuleType, task: Task, file: str) -> dict[str, str]:
    """Return where the file has each field of its task, `task.py, line 7: `; "": the task.

    A task that is not assigned to a name right where it is made has no line.
    """
    names = [name for name, value in vars(module).items() if value is task]
    loader: Any = module.__loader__
    lines = {"": 0}
    for node in ast.walk(ast.parse(loader.get_data(""))):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as call):
                if name in names:
                    lines = {"": call.lineno}
                    lines |= {field.arg: field.value.lineno for field in call.keywords if field.arg}
    return {
        name: f"{safe(file)}, line {line}: " if line else f"{safe(file)}: "
        for name, line in lines.items()
    }


def _check(task: Task, places: Mapping[str, str]) -> None:
    """Raise WrongUse for a field that cannot be."""
    reason = next(chain(_mistakes(task), _mistakes_in_names(task)), None)
    if reason is not None:
        raise WrongUse(f"{places['']}{reason}")
    for name in ("lr", "batch_size", "epochs"):
        if getattr(task, name) is not None:
            with placed(places.get(name, places[""])):
                OPTIONS[name].check(getattr(task, name))


def _mistakes(task: Task) -> Iterator[str]:
    if task.kind not in (*KINDS, None):
        yield f"kind is {either(KINDS)}, not {task.kind!r:.40}"
    if task.kind is None and task.criterion is None:
        yield "a task of kind None needs a criterion"
    if not callable(task.train):
        yield "train is a function that returns the data; write train=lambda: ..."
    if not callable(task.val) and not isinstance(task.val, float):
        yield "val is a function that returns the data, or the share to hold out, such as 0.2"
    if isinstance(task.model, nn.Module):
        yield "model is a function that returns the model; write model=lambda: ..."
    elif not callable(task.model) and not isinstance(task.model, str):
        yield "model is a function that returns the model, or a name of the catalogue"


def _mistakes_in_names(task: Task) -> Iterator[str]:
    if isinstance(task.classes, str) or not hasattr(task.classes, "__len__"):
        yield 'classes is a list of names, such as ["cat", "dog"]'
    if task.kind in ("multiclass", "multilabel") and len(task.classes) < 2:
        yield f"{task.kind} needs classes=[...], the names of two or more"
    elif len(set(map(str, task.classes))) < len(task.classes):
        yield "classes has a name twice, and predictions name classes"
    if not isinstance(task.unit, str):
        yield f'unit is the name of the target\'s unit, such as "kg", not {task.unit!r:.40}'
    if task.optimizer is not None and not (
        callable(task.optimizer) or isinstance(task.optimizer, str)
    ):
        yield "optimizer is a function of the parameters, or a name of the catalogue"
    for field in ("losses", "metrics"):
        named = getattr(task, field)
        if not isinstance(named, Mapping) or not all(
            isinstance(name, str) and name for name in named
        ):
            yield f'{field} has a name for each: write {field}={{"name": function}}'


def _losses(task: Task) -> tuple[str, dict[str, Any]]:
    """Return the name of the loss to begin with, empty for the usual one, and the own losses."""
    own = dict(task.losses)
    if task.criterion is None or isinstance(task.criterion, str):
        return task.criterion or "", own
    known = same_as(task.criterion)
    if known is not None and task.kind in LOSSES[known].takes:
        return known, own
    name = next((key for key, value in own.items() if value is task.criterion), None)
    name = name or name_of(task.criterion)
    return name, {name: task.criterion, **own}


def _replaced(task: Task, losses: Mapping[str, Any]) -> Iterator[str]:
    """Yield a warning for each loss and metric that has the name of a built-in one."""
    metrics = {metric.name for metric in METRICS.get(task.kind or "", ())}
    for what, own, built_in in (("loss", losses, LOSSES), ("metric", task.metrics, metrics)):
        for name in own:
            if name in built_in:
                yield (
                    f"the {what} {name} is that of your file and not the built-in one of this "
                    "name, with which its values are not comparable: give it a name of its own"
                )


def _called(function: Callable[..., Any], what: str) -> Callable[..., Any]:
    """Return the function; its errors name the line of the user's file."""

    def call(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except Exception as error:
            raise WrongUse(f"{what}: {user_code_message(error, function)}") from error

    return call


def _data(task: Task, workers: int | None, places: Mapping[str, str]) -> tuple[Source, Source]:
    """Return training and validation samples; arrays lie whole on the device, datasets stream."""
    workers = task.workers if workers is None else workers
    training = _called(task.train, "train")()
    with placed(places.get("train", places[""])):
        _check_samples(training, "train")
        if callable(task.val):
            train, val = training, _called(task.val, "val")()
        else:
            train, val = _split(training, float(task.val), task.kind)
    with placed(places.get("val", places[""])):
        _check_samples(val, "val")
    is_streamed = task.augment is not None or task.collate_fn is not None
    return (
        _source(train, task, workers, is_streamed=is_streamed, is_training=True),
        _source(val, task, workers, is_streamed=is_streamed, is_training=False),
    )


def _check_samples(data: Any, what: str) -> None:
    """Raise WrongUse for what is no samples, or has none."""
    if _are_arrays(data):
        if not len(_tensors(data, what)[1]):
            raise WrongUse(f"{what} has no samples")
        return
    is_pair = isinstance(data, tuple) and not all(map(_is_sample, data))
    has_samples = hasattr(data, "__getitem__") and hasattr(data, "__len__")
    if is_pair or isinstance(data, type | Tensor | np.ndarray) or not has_samples:
        parts = f" of {', '.join(type(part).__name__ for part in data[:3])}" if is_pair else ""
        found = f"the class {data.__name__}" if isinstance(data, type) else type(data).__name__
        raise WrongUse(
            f"{what} returns {found}{parts}: it must be a Dataset with a length, or two arrays "
            "(inputs, targets)"
        )
    try:
        length = operator.index(len(data))
    except Exception as error:
        raise WrongUse(f"the length of {what}: {user_code_message(error, data)}") from error
    if not length:
        raise WrongUse(f"{what} has no samples")


def _is_sample(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) == 2


def _source(data: Any, task: Task, workers: int, *, is_streamed: bool, is_training: bool) -> Source:
    if _are_arrays(data):
        inputs, targets = map(torch.as_tensor, data)
        if not is_streamed:
            return Samples(inputs, targets)
        data = torch.utils.data.TensorDataset(inputs, targets)
    return Streamed(
        data, workers, task.augment if is_training else None, task.collate_fn,
        classes=len(task.classes) if task.kind == "multiclass" else None,
    )  # fmt: skip


def _are_arrays(data: Any) -> bool:
    return (
        isinstance(data, tuple | list)
        and len(data) == 2
        and all(isinstance(part, Tensor | np.ndarray) for part in data)
    )


def _tensors(data: Any, what: str) -> tuple[Tensor, Tensor]:
    try:
        inputs, targets = (torch.as_tensor(part) for part in data)
    except TypeError:  # of text, or of objects
        kinds = " and ".join(str(part.dtype) for part in data)
        raise WrongUse(f"{what} returns arrays of {kinds}: they must be of numbers") from None
    if inputs.dim() == 0 or targets.dim() == 0 or len(inputs) != len(targets):
        raise WrongUse(
            f"{what} returns inputs of shape {tuple(inputs.shape)} and targets of shape "
            f"{tuple(targets.shape)}: they must have one row for each sample"
        )
    return inputs, targets


def _split(data: Any, share: float, kind: str | None) -> tuple[Any, Any]:
    """Return two parts of the data, the second one with that share; always the same ones.

    The classes of arrays keep their shares.
    """
    if not 0 < share < 1:
        raise WrongUse(f"val is a share between 0 and 1, or a function, not {share:g}")
    if _are_arrays(data):
        inputs, targets = _tensors(data, "train")
        has_labels = kind in ("multiclass", "binary") and targets.dim() == 1
        labels = targets.tolist() if has_labels else None
        train, val = split_indices(len(targets), share, labels)
        return (inputs[train], targets[train]), (inputs[val], targets[val])
    labels = getattr(data, "targets", None)
    known = labels if kind in ("multiclass", "binary") and labels is not None else None
    train, val = split_indices(len(data), share, None if known is None else list(map(int, known)))
    return Subset(data, train.tolist()), Subset(data, val.tolist())


def split_indices(
    count: int, share: float, labels: list[Any] | None = None
) -> tuple[Tensor, Tensor]:
    """Return the indices of both parts, in order; each label keeps its share if it can.

    A function of its arguments alone. Raises WrongUse where a part would be empty.
    """
    if not count:
        raise WrongUse("train has no samples")
    order = torch.randperm(count, generator=generator_of(f"split {count} {share}")).tolist()
    wanted = max(1, round(count * share))
    if labels is None or min(Counter(labels).values()) < 2:
        chosen = order[:wanted]
    else:
        members: dict[Any, list[int]] = {}
        for index in order:
            members.setdefault(labels[index], []).append(index)
        chosen = [
            index
            for indices in members.values()
            for index in indices[: min(len(indices) - 1, max(1, round(len(indices) * share)))]
        ]
    val = sorted(chosen)
    train = sorted(set(range(count)) - set(val))
    if not train or not val:
        raise WrongUse(f"{count} samples are too few to hold out a share of {share:g}")
    return torch.tensor(train), torch.tensor(val)


def _prepare(task: Task, file: Path, digest: str) -> None:
    """Call the task's `prepare` once on this machine for this text of the file."""
    if task.prepare is None:
        return
    folder = cache_folder("prepared-tasks")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = hashlib.sha256(f"{file}\0{digest}".encode()).hexdigest()
    stamp = folder / f"{key}.done"
    with (folder / f"{key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists():
            _called(task.prepare, "prepare")()
            write_atomically(stamp, safe(file) + "\n")
