"""The catalogue: tasks, models, losses and optimizers, and where each is built.

It holds only text and import paths: `Entry.load` imports the builder when it is needed, so that
help, pickers and command-line checks do not import torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tuitrain.core.entry_options import Between, Joined, Option
from tuitrain.core.errors import UnknownName, WrongUse
from tuitrain.core.problem import Metric, Problem
from tuitrain.core.safe import safe
from tuitrain.core.values import OneOf, Whole

Kind = Literal["multiclass", "binary", "regression"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A named thing of the catalogue."""

    name: str
    place: str
    """`module:name` of its builder; imported by `load`, and copied into exported programs."""
    summary: str
    aliases: tuple[str, ...] = ()
    options: Mapping[str, Option] = field(default_factory=dict)
    needs_images: bool = False

    def load(self) -> Any:
        """Import and return the builder of this entry."""
        return load(self.place)


@dataclass(frozen=True, slots=True)
class Task(Entry):
    """A data set, its problem kind, and the default settings of its runs."""

    kind: Kind = "multiclass"
    classes: tuple[str, ...] = ()
    """Class names in the order of their indices; empty for regression."""
    model: str = "mlp"
    epochs: int = 40
    has_images: bool = False
    is_downloaded: bool = False
    """True if the data are downloaded once, or read from a folder, instead of embedded."""
    pace: float | None = None
    """Default batches per second, slow enough to watch an embedded task; None: unlimited."""

    @property
    def outputs(self) -> int:
        """Number of model outputs per sample."""
        return len(self.classes) if self.kind == "multiclass" else 1


@dataclass(frozen=True, slots=True)
class Loss(Entry):
    """A loss function, with an explanation for learners."""

    formula: str = ""
    inside: str = ""
    """How it is computed."""
    when: str = ""
    when_not: str = ""
    takes: Mapping[Kind, str] = field(default_factory=dict)
    """Shapes and dtypes of prediction and target, by supported problem kind."""
    misfits: Mapping[Kind, str] = field(default_factory=dict)
    """Why it does not support the other kinds."""

    def taken(self, kind: str | None) -> str | None:
        """Return its input shapes for that problem kind; None if it does not support the kind."""
        return next((text for known, text in self.takes.items() if known == kind), None)

    def misfit(self, kind: str | None) -> str | None:
        """Return why it does not support that problem kind; None if no reason is known."""
        return next((text for known, text in self.misfits.items() if known == kind), None)

    def why_not(self, kind: Kind) -> str:
        """Return one sentence on why it does not support that problem kind."""
        return f"{self.name} does not fit {kind} problems: {self.misfits[kind]}"


_DIGITS = tuple("0123456789")
_CLOTHES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
    "Ankle boot",
)  # fmt: skip
_PHOTOGRAPHED = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip

TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        Task(
            "digits",
            "tuitrain.engine.tasks.digits:digits",
            "1,797 handwritten digits, 8x8 pixels, ten classes; comes with scikit-learn",
            kind="multiclass",
            classes=_DIGITS,
            has_images=True,
            model="mlp:hidden=256-128",
            epochs=40,
            pace=60,
        ),
        Task(
            "breast-cancer",
            "tuitrain.engine.tasks.breast_cancer:breast_cancer",
            "569 tumours, 30 measurements, benign or malignant; comes with scikit-learn",
            kind="binary",
            classes=("malignant", "benign"),
            model="mlp:hidden=256-128",
            epochs=30,
            pace=60,
        ),
        Task(
            "diabetes",
            "tuitrain.engine.tasks.diabetes:diabetes",
            "442 patients, 10 measurements, how far the disease went; comes with scikit-learn",
            kind="regression",
            model="mlp:hidden=128",
            epochs=20,
            pace=60,
        ),
        Task(
            "mnist",
            "tuitrain.engine.tasks.idx:mnist",
            "70,000 handwritten digits, 28x28 pixels, ten classes; 12 MB to download",
            classes=_DIGITS,
            model="mlp:hidden=256-128",
            epochs=10,
            has_images=True,
            is_downloaded=True,
        ),
        Task(
            "fashion-mnist",
            "tuitrain.engine.tasks.idx:fashion_mnist",
            "70,000 pictures of clothes, 28x28 pixels, ten classes; 31 MB to download",
            classes=_CLOTHES,
            model="mlp:hidden=256-128",
            epochs=10,
            has_images=True,
            is_downloaded=True,
        ),
        Task(
            "kmnist",
            "tuitrain.engine.tasks.idx:kmnist",
            "70,000 cursive Japanese characters, 28x28 pixels, ten classes; 21 MB to download",
            classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
            model="mlp:hidden=256-128",
            epochs=10,
            has_images=True,
            is_downloaded=True,
        ),
        Task(
            "cifar10",
            "tuitrain.engine.tasks.cifar10:cifar10",
            "60,000 small colour photographs, 32x32 pixels, ten classes; 170 MB to download",
            classes=_PHOTOGRAPHED,
            model="mlp:hidden=256-128",
            epochs=20,
            has_images=True,
            is_downloaded=True,
        ),
    )
}

_ON_PROBABILITIES: Mapping[Kind, str] = {
    "multiclass": "probabilities softmax(z) (N, C) float; one-hot targets (N, C) float",
    "binary": "probabilities sigmoid(z) (N,) float; targets 0 or 1 (N,) float",
    "regression": "numbers (N,) float; numbers (N,) float",
}

LOSSES: Mapping[str, Loss] = {
    loss.name: loss
    for loss in (
        Loss(
            "cross-entropy",
            "tuitrain.engine.losses:cross_entropy",
            "How surprised the model is by the right class",
            aliases=("CrossEntropyLoss",),
            formula="−log softmax(z)[y]",
            inside="Log-softmax turns the logits z into log-probabilities that add up to one "
            "class; the negative log-likelihood then reads off the right class y.",
            when="For one class out of several. Its gradient, softmax(z) − onehot(y), stays large "
            "while the model is wrong.",
            when_not="Not where several classes may be right at once, nor for numbers.",
            options={
                "label_smoothing": Option(
                    Between(0, 1), 0.0, "share of the target for all classes alike"
                )
            },
            takes={
                "multiclass": "logits (N, C) float; class indices (N,) int64",
                "binary": "one logit per sample as the two logits (0, z) (N, 2) float; "
                "targets 0 or 1 (N,) as class indices. The same value as bce-with-logits",
            },
            misfits={"regression": "a number is no class, and has no index; try mse"},
        ),
        Loss(
            "bce-with-logits",
            "tuitrain.engine.losses:bce_with_logits",
            "How surprised the model is by each yes or no",
            aliases=("BCEWithLogitsLoss",),
            formula="−y·log σ(z) − (1 − y)·log(1 − σ(z))",
            inside="The sigmoid σ is folded into the logarithm, so that a large |z| neither "
            "overflows nor rounds to log 0.",
            when="For yes or no, and where several labels may be right at once.",
            when_not="With C classes it asks C questions that know nothing of each other: "
            "cross-entropy uses that just one of them is right.",
            options={"pos_weight": Option(Between(1e-6, 1e6), 1.0, "weight of the positive class")},
            takes={
                "multiclass": "logits (N, C) float; one-hot targets (N, C) float: "
                "one yes or no for each class (one-versus-rest)",
                "binary": "one logit per sample (N,) float; targets 0 or 1 (N,) float",
            },
            misfits={"regression": "a target outside 0 to 1 makes it negative; try mse"},
        ),
        Loss(
            "mse",
            "tuitrain.engine.losses:mse",
            "The mean of the squared errors",
            aliases=("MSELoss",),
            formula="mean (p − t)²",
            inside="Squaring punishes large errors: one of 10 counts as much as a hundred of 1. "
            "Its best constant guess is the mean.",
            when="For numbers whose errors are about normal.",
            when_not="One outlier can rule it (see l1). On classes it learns slowly where the "
            "model is surely wrong: there the softmax is flat.",
            takes=_ON_PROBABILITIES,
        ),
        Loss(
            "l1",
            "tuitrain.engine.losses:l1",
            "The mean of the absolute errors",
            aliases=("L1Loss",),
            formula="mean |p − t|",
            inside="The absolute value does not mind outliers: every error pulls with the same "
            "force. Its best constant guess is the median.",
            when="For numbers where outliers lurk.",
            when_not="The force does not fade near the target, so it settles less finely; on "
            "classes it may give up on the hard ones.",
            takes=_ON_PROBABILITIES,
        ),
    )
}

_USUAL: Mapping[Kind, str] = {
    "multiclass": "cross-entropy",
    "binary": "bce-with-logits",
    "regression": "mse",
}

_WIDTHS = Joined(Whole(1, 65_536))
_DROPOUT = Option(Between(0, 0.99), 0.0, "dropout probability")
_NORM = Option(OneOf("none", "batch"), "none", "normalisation of activations, over the batch")

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
            options={
                "hidden": Option(_WIDTHS, (256, 128), "width of each hidden layer"),
                "norm": _NORM,
                "dropout": _DROPOUT,
            },
        ),
        Entry(
            "cnn",
            "tuitrain.engine.models:cnn",
            "Two 3x3 convolutions with pooling, then a hidden layer; for images",
            options={
                "channels": Option(_WIDTHS, (32, 64), "channels of each convolution"),
                "norm": _NORM,
                "dropout": _DROPOUT,
            },
            needs_images=True,
        ),
    )
}

SCHEDULES: Mapping[str, str | None] = {
    "constant": None,
    "cosine": "tuitrain.engine.optim:cosine_schedule",
    "linear": "tuitrain.engine.optim:linear_schedule",
}
"""`module:name` of each function, which maps progress (0 to 1) to a factor of the learning rate;
None for a constant rate."""
_SCHEDULE = Option(
    OneOf(*SCHEDULES), "constant", "learning rate schedule; cosine and linear reach 0 at the end"
)

OPTIMIZERS: Mapping[str, Entry] = {
    optimizer.name: optimizer
    for optimizer in (
        Entry(
            "adam",
            "torch.optim:Adam",
            "A step size of its own for every weight; a safe first choice",
            aliases=("Adam",),
            options={"schedule": _SCHEDULE},
        ),
        Entry(
            "adamw",
            "torch.optim:AdamW",
            "Adam with the weight decay taken out of the gradient",
            aliases=("AdamW",),
            options={
                "weight_decay": Option(Between(0, 1e6), 0.01, "weight decay (L2 penalty)"),
                "schedule": _SCHEDULE,
            },
        ),
        Entry(
            "sgd",
            "torch.optim:SGD",
            "Plain gradient descent, with momentum if wanted",
            aliases=("SGD",),
            options={
                "momentum": Option(Between(0, 1), 0.0, "momentum"),
                "schedule": _SCHEDULE,
            },
        ),
    )
}

CATALOG: Mapping[str, Mapping[str, Entry]] = {
    "task": TASKS,
    "loss": LOSSES,
    "model": MODELS,
    "optimizer": OPTIMIZERS,
}


def load(place: str) -> Any:
    """Import and return the object at `module:name`."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


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


_OF_CLASSES = (Metric("accuracy", "max"), Metric("f1_macro", "max"), Metric("auroc", "max"))
METRICS: Mapping[Kind, tuple[Metric, ...]] = {
    "multiclass": _OF_CLASSES,
    "binary": _OF_CLASSES,
    "regression": (Metric("rmse", "min"), Metric("mae", "min"), Metric("r2", "max")),
}
"""The validation metrics by problem kind."""


def problem(
    kind: Kind, *, classes: tuple[str, ...] = (), input_shape: tuple[int, ...] = ()
) -> Problem:
    """Return the problem that a run of that kind records."""
    metrics = METRICS[kind]
    losses = tuple(loss.name for loss in fitting_losses(kind))
    return Problem(kind, metrics, metrics[0].name, losses, classes, input_shape)


def problem_of_task(name: str) -> Problem:
    """Return the problem of a built-in task, for a run that has not recorded its own.

    Such a run has not started, or its record is of an older version. An unknown task has an
    unknown problem.
    """
    task = TASKS.get(name)
    return problem(task.kind, classes=task.classes) if task else Problem()


def fitting_losses(kind: Kind) -> list[Loss]:
    """Return the losses that support that problem kind, the default first."""
    fitting = [loss for loss in LOSSES.values() if kind in loss.takes]
    return sorted(fitting, key=lambda loss: loss.name != _USUAL[kind])


def read_options(entry: Entry, texts: Mapping[str, str]) -> dict[str, Any]:
    """Return all options of `entry`, from `texts` or defaults; WrongUse for an unknown one."""
    values: dict[str, Any] = {key: option.default for key, option in entry.options.items()}
    for key, text in texts.items():
        if key not in entry.options:
            raise UnknownName(f"option of {entry.name}", key, entry.options or ("(none)",))
        try:
            values[key] = entry.options[key].read(text)
        except ValueError:
            option = entry.options[key]
            raise WrongUse(
                f"{entry.name}:{key} takes {option.type.says} ({option.says}), "
                f"not {safe(text, limit=40)}"
            ) from None
    return values
