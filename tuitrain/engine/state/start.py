"""Start a new run: at its first step, or from its parent's checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tuitrain.core.errors import Refused
from tuitrain.core.events import Event, Warned, WeightsCompared
from tuitrain.core.spec import RunSpec
from tuitrain.engine.state.checkpoint_file import read_state
from tuitrain.engine.state.weights import state_sha256, without_wrappers
from tuitrain.engine.steering import Steering
from tuitrain.engine.training import Training
from tuitrain.steering.schedule import Schedule, planned

_USUAL = {"ranks": "1", "strategy": "ddp"}


class Start(NamedTuple):
    """The start of a run: its spec, and the file of the checkpoint that a fork begins with."""

    spec: RunSpec
    origin: Path
    between_epochs: bool = False
    """Resume only from a checkpoint between epochs, where the batch size can change."""


def begin(run: Training, steering: Steering, start: Start) -> Iterator[Event]:
    """Put `run`, freshly built, at the start that its spec defines.

    Raises Damaged, or Refused if its first checkpoint is of another model.
    """
    spec, origin = start.spec, start.origin
    steering.decisions.schedule = Schedule(planned(spec.schedule))
    parent = spec.parent
    if parent is None:
        return
    yield from environment_changes(parent.environment, run)
    if parent.sha256 is None:
        return
    state = read_state(origin, parent.sha256)
    try:
        run.inherit(state, with_optimizer=parent.keeps_optimizer)
    except RuntimeError:
        raise Refused(
            f"{spec.model} is not the model of that checkpoint; "
            "tuitrain run --init-from starts a new run with weights that fit"
        ) from None
    if not parent.keeps_optimizer:
        yield Warned(f"{spec.optimizer} starts without the state of its parent's optimizer")


def compared(run: Training, spec: RunSpec) -> Iterator[Event]:
    """Compare the final weights of a replay with the digest that its spec expects."""
    # without `until`, the run was resumed and trained past the end of the replay
    if spec.parent and spec.parent.expects and run.until is not None:
        name = Path(spec.parent.directory).name
        digest = state_sha256(without_wrappers(run.whole_weights()))
        yield WeightsCompared(name, digest == spec.parent.expects)


def environment_changes(before: Mapping[str, str], run: Training) -> Iterator[Event]:
    """Warn of differences from the conditions `before`, which prevent a bit-for-bit repetition."""
    now = run.started().conditions
    if "torch" in before:  # not those of the data alone; what is usual, it does not say
        before, now = {**_USUAL, **before}, {**_USUAL, **now}
    differing = [
        f"{name} was {was} and is {now.get(name)}"
        for name, was in before.items()
        if was != now.get(name)
    ]
    if differing:
        yield Warned(f"not the same to the last bit any more: {', '.join(differing)}")
