"""The catalogue: tasks, models, losses and optimizers, with the import path of each builder.

It contains only text and import paths. `Entry.load` imports a builder when it is needed, so that
help, pickers and command-line checks do not import torch.
"""

from tuitrain.catalog.choice import Choice, loss_text
from tuitrain.catalog.entry import Entry, load, read_options
from tuitrain.catalog.find import (
    CATALOG,
    find,
    loss_named,
    model_named,
    optimizer_named,
    task_named,
)
from tuitrain.catalog.loss import Loss
from tuitrain.catalog.losses import LOSSES, fitting_losses
from tuitrain.catalog.models import MODELS
from tuitrain.catalog.new_spec import new_spec
from tuitrain.catalog.optimizers import OPTIMIZERS
from tuitrain.catalog.problems import (
    EXPLAINED,
    METRICS,
    loss_options,
    metrics_for,
    misfits,
    problem,
    problem_of_task,
)
from tuitrain.catalog.tasks import TASKS, Task
from tuitrain.catalog.torchvision_models import FAMILIES, TORCHVISION

__all__ = [
    "CATALOG", "EXPLAINED", "FAMILIES", "LOSSES", "METRICS", "MODELS", "OPTIMIZERS", "TASKS",
    "TORCHVISION",
    "Choice", "Entry", "Loss", "Task",
    "find", "fitting_losses", "load", "loss_named", "loss_options", "loss_text", "metrics_for",
    "misfits", "model_named", "new_spec", "optimizer_named", "problem", "problem_of_task",
    "read_options", "task_named",
]  # fmt: skip
