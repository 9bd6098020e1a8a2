"""What there is: tasks, models, losses, optimizers; what each is for and where it is built.

Only text and places: `Entry.load` imports the room that builds a thing when it is needed, so that
help, pickers and checks of a command line never wait for torch.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tuitrain.core.errors import UnknownName, WrongUse
from tuitrain.core.safe import safe

Kind = Literal["multiclass", "binary", "regression"]


@dataclass(frozen=True, slots=True)
class Option:
    """One `key=value` of an entry: how its text is read, and what it may be."""

    type: Literal["float", "widths"]
    default: float | tuple[int, ...]
    low: float = -math.inf
    high: float = math.inf
    says: str = ""

    def read(self, text: str) -> float | tuple[int, ...]:
        """Return the value that `text` stands for, or raise ValueError."""
        if self.type == "widths":
            widths = tuple(int(part) for part in text.split("-"))
            if not all(1 <= width <= 65_536 for width in widths):
                raise ValueError
            return widths
        number = float(text)
        if not self.low <= number <= self.high:  # also what NaN fails
            raise ValueError
        return number


@dataclass(frozen=True, slots=True)
class Entry:
    """A named thing of the catalogue."""

    name: str
    place: str
    """`module:attribute` of what builds it; imported by `load`."""
    summary: str
    aliases: tuple[str, ...] = ()
    options: Mapping[str, Option] = field(default_factory=dict)

    def load(self) -> Any:
        """Import and return what builds this entry."""
        module, _, attribute = self.place.partition(":")
        return getattr(importlib.import_module(module), attribute)


@dataclass(frozen=True, slots=True)
class Task(Entry):
    """Data, its problem kind, and what a run of it uses unless told otherwise."""

    kind: Kind = "multiclass"
    model: str = "mlp"
    epochs: int = 40
    pace: float | None = None
    """Batches per second at which a person can watch an embedded task; None: as fast as it goes."""


@dataclass(frozen=True, slots=True)
class Loss(Entry):
    """A loss function and what a learner should know of it."""

    kinds: tuple[Kind, ...] = ()
    formula: str = ""
    takes: str = ""
    use: str = ""


TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        Task(
            "digits",
            "tuitrain.engine.tasks.digits:load",
            "1,797 handwritten digits, 8x8 pixels, ten classes; comes with scikit-learn",
            kind="multiclass",
            model="mlp:hidden=256-128",
            epochs=40,
            pace=60,
        ),
    )
}

LOSSES: Mapping[str, Loss] = {
    loss.name: loss
    for loss in (
        Loss(
            "cross-entropy",
            "tuitrain.engine.losses:cross_entropy",
            "How surprised the model is by the right class",
            aliases=("CrossEntropyLoss",),
            kinds=("multiclass",),
            formula="−log softmax(z)[y]",
            takes="logits (N, C), float; class indices (N,), int64",
            use="The one for classes: its gradient, softmax(z) − one-hot(y), stays large while "
            "the model is wrong.",
        ),
        Loss(
            "mse",
            "tuitrain.engine.losses:mse",
            "The mean of the squared errors",
            aliases=("MSELoss",),
            kinds=("multiclass",),
            formula="mean (p − t)²",
            takes="probabilities softmax(z) (N, C), float; one-hot targets (N, C), float",
            use="Made for numbers. On classes it learns, but slowly where the model is surely "
            "wrong: there the softmax is flat.",
        ),
    )
}

MODELS: Mapping[str, Entry] = {
    model.name: model
    for model in (
        Entry(
            "linear",
            "tuitrain.engine.models:linear",
            "One layer of weights: the simplest thing that can work",
        ),
        Entry(
            "mlp",
            "tuitrain.engine.models:mlp",
            "Fully connected layers with ReLU between them",
            options={"hidden": Option("widths", (256, 128), says="width of each hidden layer")},
        ),
        Entry(
            "cnn",
            "tuitrain.engine.models:cnn",
            "Two 3x3 convolutions with pooling, then a hidden layer; for images",
            options={"channels": Option("widths", (16, 32), says="channels of each convolution")},
        ),
    )
}

OPTIMIZERS: Mapping[str, Entry] = {
    optimizer.name: optimizer
    for optimizer in (
        Entry(
            "adam",
            "tuitrain.engine.optim:adam",
            "A step size of its own for every weight; a safe first choice",
            aliases=("Adam",),
        ),
        Entry(
            "adamw",
            "tuitrain.engine.optim:adamw",
            "Adam with the weight decay taken out of the gradient",
            aliases=("AdamW",),
            options={"weight_decay": Option("float", 0.01, 0, 1e6, says="pull towards zero")},
        ),
        Entry(
            "sgd",
            "tuitrain.engine.optim:sgd",
            "Plain gradient descent, with momentum if wanted",
            aliases=("SGD",),
            options={"momentum": Option("float", 0.0, 0, 1, says="memory of earlier steps")},
        ),
    )
}

CATALOG: Mapping[str, Mapping[str, Entry]] = {
    "task": TASKS,
    "loss": LOSSES,
    "model": MODELS,
    "optimizer": OPTIMIZERS,
}


def find(what: str, name: str) -> Entry:
    """Return the `what` (task, loss, ...) of that name or alias; UnknownName if there is none."""
    entries = CATALOG[what]
    for entry in entries.values():
        if name == entry.name or name in entry.aliases:
            return entry
    raise UnknownName(what, name, entries)


def loss_named(name: str) -> Loss:
    """Return the loss of that name or PyTorch class name."""
    entry = find("loss", name)
    assert isinstance(entry, Loss)
    return entry


def task_named(name: str) -> Task:
    """Return the task of that name."""
    entry = find("task", name)
    assert isinstance(entry, Task)
    return entry


def fitting_losses(kind: Kind) -> list[Loss]:
    """Return the losses that make sense for problems of that kind, the usual one first."""
    return [loss for loss in LOSSES.values() if kind in loss.kinds]


def read_options(entry: Entry, texts: Mapping[str, str]) -> dict[str, Any]:
    """Return every option of `entry`, from `texts` or by default; WrongUse for what it lacks."""
    values: dict[str, Any] = {key: option.default for key, option in entry.options.items()}
    for key, text in texts.items():
        if key not in entry.options:
            raise UnknownName(f"option of {entry.name}", key, entry.options or ("(none)",))
        try:
            values[key] = entry.options[key].read(text)
        except ValueError:
            raise WrongUse(
                f"{entry.name}:{key}={safe(text, limit=40)} will not do; "
                f"it takes {key}: {entry.options[key].says}"
            ) from None
    return values
