"""Runs made from a run: its replay, which repeats its lineage, and its forks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from itertools import groupby
from typing import Any

from tuitrain.catalog import new_spec
from tuitrain.catalog.choice import shares_state, with_schedule
from tuitrain.catalog.new_spec import check_sharded
from tuitrain.core.commands import Epoch
from tuitrain.core.errors import NotOnLineage, Refused, WrongUse
from tuitrain.core.events import SAMPLES, CheckpointSaved, Event, RunStarted
from tuitrain.core.options import OPTIONS
from tuitrain.core.spec import Parent, RunSpec
from tuitrain.history.checkpoints import at_epoch, best_kept, epochs_kept, kept
from tuitrain.history.lineage import Lineage
from tuitrain.history.plan import plan_of, without

_MAY_BE_CODE = ("model", "loss", "optimizer")
_OF_THE_WEIGHTS = [option.name for option in OPTIONS.values() if option.is_of_weights]


def replay_of(
    spec: RunSpec,
    earlier: Sequence[Event],
    directory: str,
    *,
    until: int | None = None,
    leaving_out: Sequence[str] = (),
) -> RunSpec:
    """Return the spec that repeats the lineage of a run, unattended, up to its last checkpoint.

    `until` ends it at an earlier step, `leaving_out` holds the ids of changes to skip.
    Raises NotOnLineage if the lineage has no such step or change.
    """
    lineage = Lineage.of(spec, earlier)
    saved = {
        event.step: event for event in lineage.kept_events if isinstance(event, CheckpointSaved)
    }
    if not saved:
        raise Refused("it has no checkpoint yet, and so nothing to repeat")
    end = max(saved)
    until = end if until is None else until
    if not 0 <= until <= end:
        raise NotOnLineage(f"step {until} is not on its lineage, which is saved up to step {end}")
    plan = without(plan_of(lineage), leaving_out)
    has_one_end = until in saved and not leaving_out and len(_ranks(earlier)) < 2
    expects = saved[until].weights_sha256 if has_one_end else None
    parent = replace(
        spec.parent or Parent(directory), directory=directory, expects=expects,
        environment=_conditions(earlier),
    )  # fmt: skip
    return replace(
        spec, schedule=tuple(change for change in plan if change.step <= until), until=until,
        parent=parent, paused=False, pace=None, patience=None, on_nonfinite="skip",
    )  # fmt: skip


def _conditions(earlier: Sequence[Event]) -> Mapping[str, str]:
    """Return the conditions of a run's last start, with the ranks of each."""
    started, ranks = _starts(earlier), _ranks(earlier)
    if not started:
        return {}
    return {**started[-1], **({"ranks": ", then ".join(ranks)} if len(ranks) > 1 else {})}


def _ranks(earlier: Sequence[Event]) -> list[str]:
    """Return how many ranks trained a run, one number after the other: no replay has several."""
    return [count for count, _ in groupby(one.get("ranks", "1") for one in _starts(earlier))]


def _starts(earlier: Sequence[Event]) -> list[Mapping[str, str]]:
    return [event.conditions for event in earlier if isinstance(event, RunStarted)]


def own_optimizer(earlier: Sequence[Event]) -> str:
    """Return the class of the optimizer that a run's own code made; "" if it made none."""
    started = [event.optimizer for event in earlier if isinstance(event, RunStarted)]
    return started[-1] if started else ""


def fork_of(
    spec: RunSpec,
    earlier: Sequence[Event],
    directory: str,
    epoch: Epoch,
    changes: Mapping[str, Any],
) -> tuple[RunSpec, CheckpointSaved]:
    """Return the spec of a fork from the checkpoint of that epoch, and the checkpoint.

    It has the settings of that checkpoint except for `changes`, which are settings of `new_spec`;
    None turns one off.
    Raises NotOnLineage if the epoch is not kept, WrongUse for a change that the weights forbid.
    """
    for name in _OF_THE_WEIGHTS:
        if changes.get(name) not in (None, getattr(spec, name)):
            raise WrongUse(
                f"a fork goes on with its parent's data and weights, so its "
                f"--{OPTIONS[name].key} stays {getattr(spec, name) or 'as it is'}; tuitrain run "
                "begins anew"
            )
    lineage, checkpoints = Lineage.of(spec, earlier), kept(earlier)
    saved = best_kept(lineage) if epoch == "best" else at_epoch(checkpoints, lineage, epoch)
    if saved is None:
        raise NotOnLineage(epochs_kept(checkpoints, epoch))
    settings = lineage.up_to(saved).settings
    own = {field.name: getattr(spec, field.name) for field in fields(RunSpec)}
    own |= {"loss": settings["loss"], "lr": settings["lr"], "batch_size": settings["batch-size"],
            "epochs": settings["epochs"], "schedule": (), "until": None, "paused": False,
            "init_from": None, "init_given": None}  # fmt: skip
    if settings["schedule"] != lineage.initial_settings["schedule"]:
        own["optimizer"] = with_schedule(spec.optimizer, settings["schedule"])
    data = {name: was for name, was in _conditions(earlier).items() if name == SAMPLES}
    parent = Parent(directory, saved.take, saved.step, saved.epoch, saved.sha256, environment=data)
    made = new_spec(**{**own, "parent": parent, **changes})
    of_copies = {name: own[name] for name in _MAY_BE_CODE if changes.get(name) in (None, own[name])}
    made = replace(made, **of_copies)  # a file of that name in the working folder is another one
    if made.strategy == "fsdp":
        check_sharded(made, own_optimizer(earlier) if made.optimizer == spec.optimizer else "")
    keeps = shares_state(made.optimizer, spec.optimizer)
    made = replace(made, parent=replace(parent, keeps_optimizer=keeps))
    if made.epochs <= saved.epoch:
        raise Refused(
            f"a fork from epoch {saved.epoch} has nothing to train with {made.epochs} in all; "
            f"--epochs {max(1, saved.epoch) * 2} trains on"
        )
    return made, saved
