"""The optimizers, and their learning rate schedules."""

from __future__ import annotations

from collections.abc import Mapping

from tuitrain.catalog.entry import Entry
from tuitrain.catalog.entry_options import Between, Option
from tuitrain.core.values import OneOf

SCHEDULES: Mapping[str, str | None] = {
    "constant": None,
    "cosine": "tuitrain.core.schedules:cosine_schedule",
    "linear": "tuitrain.core.schedules:linear_schedule",
}
"""`module:name` of each function from progress (0 to 1) to a factor of the learning rate; None for
a constant rate."""
_SCHEDULE = Option(
    OneOf(*SCHEDULES), "constant", "learning rate schedule; cosine and linear reach 0 at the end"
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
