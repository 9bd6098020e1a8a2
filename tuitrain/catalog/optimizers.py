"""The optimizers."""

from __future__ import annotations

from collections.abc import Mapping

from tuitrain.catalog.entry import Entry
from tuitrain.catalog.entry_options import Between, Option
from tuitrain.core.schedules import ScheduleText

_SCHEDULE = Option(
    ScheduleText(), "constant", "learning rate schedule; cosine and linear reach 0 at the end"
)

OPTIMIZERS: Mapping[str, Entry] = {
    optimizer.name: optimizer
    for optimizer in (
        Entry(
            "adam",
            "torch.optim:Adam",
            "Adaptive step size for each weight; a safe first choice",
            aliases=("Adam",),
            options={"schedule": _SCHEDULE},
        ),
        Entry(
            "adamw",
            "torch.optim:AdamW",
            "Adam with decoupled weight decay",
            aliases=("AdamW",),
            options={
                "weight_decay": Option(Between(0, 1e6), 0.01, "decoupled weight decay"),
                "schedule": _SCHEDULE,
            },
        ),
        Entry(
            "sgd",
            "torch.optim:SGD",
            "Stochastic gradient descent, with optional momentum",
            aliases=("SGD",),
            options={
                "momentum": Option(Between(0, 1), 0.0, "momentum"),
                "schedule": _SCHEDULE,
            },
        ),
    )
}
