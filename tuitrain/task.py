"""A task of one's own: data, model, losses and settings, in a Python file that a run names.

`tuitrain run path/to/task.py` trains the `task` of that file. Importing this module imports no
torch: the values are callables, and the trainer's process calls them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from tuitrain.core.errors import UnknownName
from tuitrain.core.problem import Kind

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer
    from torch.utils.data import Dataset

    Criterion = Callable[[Any, Any], Tensor]
    """`(output, target) -> scalar`: a function, or a module of torch.nn."""
    Arrays = tuple[Any, Any]
    """Inputs (N, ...) and targets (N, ...): tensors or numpy arrays."""
    Data = Dataset[Any] | Arrays
    Weights = Any
    """The first argument of PyTorch's optimizers: the parameters of the model."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """Data, problem and default settings; options of `tuitrain run` win over the settings.

    Shapes by kind, N samples and C classes:

    | kind       | output of the model              | target                             |
    |------------|----------------------------------|------------------------------------|
    | multiclass | logits (N, C) float              | class indices (N,) int64           |
    | binary     | one logit, (N,) or (N, 1) float  | 0 or 1, (N,) float                 |
    | regression | numbers, (N,) or (N, 1) float    | numbers (N,) float                 |
    | multilabel | logits (N, C) float              | 0 or 1 for each class, (N, C) float |
    | None       | what `criterion` takes           | what `criterion` takes             |
    """

    train: Callable[[], Data]
    """Returns the training samples: a map-style Dataset of (input, target), or two arrays."""
    val: Callable[[], Data] | float = 0.2
    """The same for validation, or the share of the training samples to hold out. The split is the
    same for every run; it keeps the shares of the classes of arrays."""
    model: Callable[[], nn.Module] | str
    """Returns the model, or names one of the catalogue: "mlp:hidden=64"."""
    kind: Kind | None = None
    classes: Sequence[str] = ()
    """Names in the order of their indices; for binary, of 0 and of 1."""
    unit: str = ""
    """The unit of a regression's targets, such as "kg", which its errors are shown in."""
    criterion: Criterion | str | None = None
    """The loss to begin with: a criterion, or a name of the catalogue; None: the usual one of the
    kind."""
    losses: Mapping[str, Criterion] = field(default_factory=dict)
    """More losses to swap to, by name. Keyword parameters with defaults become options:
    `poly:epsilon=2`."""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    """More metrics, by name: functions `(output, target) -> scalar` of a whole validation, or
    metrics of torchmetrics. Higher is better, unless torchmetrics says otherwise or the value is a
    pair with "min": `(function, "min")`."""
    monitor: str | None = None
    """The metric that decides which epoch is best, or "val_loss"; None: the first metric."""
    optimizer: Callable[[Weights], Optimizer] | str = "adam"
    """Returns the optimizer of the parameters, or names one of the catalogue."""
    schedule: Callable[[float], float] | None = None
    """Maps the trained share of the run (0 to 1) to a factor of the learning rate."""
    lr: float | None = None
    """None: that of the optimizer, or 0.001."""
    batch_size: int = 64
    epochs: int = 10
    augment: Callable[[Any, Any], Any] | None = None
    """`(input, generator) -> input`, of one training sample; `generator` is a torch.Generator that
    depends on seed, epoch and index alone."""
    collate_fn: Callable[[list[Any]], Any] | None = None
    """Makes a batch (inputs, targets) of a list of samples; None: PyTorch's own."""
    workers: int = 0
    """Processes that read samples ahead; 0: the trainer reads them itself."""
    prepare: Callable[[], object] | None = None
    """Called once on a machine before `train`, to download or unpack; again when the file that has
    it changed."""
    describe: str = ""
    """One line on what the data are."""

    if not TYPE_CHECKING:  # type checkers know the fields

        def __new__(cls, *_values: object, **given: object) -> Task:
            """Raise UnknownName, with the nearest field, for a field that a task does not have."""
            known = [field.name for field in fields(cls)]
            for name in given:
                if name not in known:
                    raise UnknownName("field of tuitrain.Task", name, known)
            return super().__new__(cls)
