"""A steered run, trained again by its plan alone, ends with the same weights."""

import os
import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import assume, given, note, settings
from hypothesis import strategies as st

from tests.property.test_resume import COMMANDS, SPEC, Life, Script, lived
from tuitrain.core.commands import Change, Request, Rollback, SwapLoss, Undo
from tuitrain.core.events import LossSwapped, SettingChanged
from tuitrain.core.plan import Planned
from tuitrain.core.spec import RunSpec
from tuitrain.engine.state.weights import weights_sha256
from tuitrain.engine.training import Training
from tuitrain.history.lineage import Lineage
from tuitrain.history.plan import plan_of, without

Made = LossSwapped | SettingChanged


def replayed(plan: list[Planned], until: int, spec: RunSpec = SPEC) -> tuple[Training, Life]:
    """Train by the plan alone, from the spec as its file has it, up to that step."""
    spec = replace(spec, schedule=tuple(plan), until=until, on_nonfinite="skip")
    with tempfile.TemporaryDirectory() as folder:
        life = Life(Path(folder), Script(()), RunSpec.from_json(spec.to_json()))
        return life.live(), life


@given(
    st.lists(COMMANDS, max_size=6, unique_by=lambda item: item[1].id),
    st.lists(st.integers(1, 40), max_size=1),
)
@settings(max_examples=int(os.environ.get("EXAMPLES", "8")), deadline=None)
def test_a_replay_ends_with_the_weights_of_the_run(commands, kills):
    note([(at, item.command, item.at) for at, item in commands])
    weights, life = lived(commands, kills)
    again, other = replayed(plan_of(Lineage().after(life.events)), life.recorded.step)

    assert weights_sha256(again.model) == weights
    assert plan_of(Lineage().after(other.events)) == plan_of(Lineage().after(life.events)), (
        "a replay can be replayed"
    )


@given(st.lists(COMMANDS, min_size=1, max_size=6, unique_by=lambda item: item[1].id), st.data())
@settings(max_examples=int(os.environ.get("EXAMPLES", "6")), deadline=None)
def test_a_replay_without_a_change_departs_exactly_there(commands, data):
    _, life = lived(commands, ())
    plan = plan_of(Lineage().after(life.events))
    assume(plan)
    left_out = data.draw(st.sampled_from(plan))
    with_it, other = (
        replayed(changes, life.recorded.step)[1] for changes in (plan, without(plan, [left_out.id]))
    )

    place = min(item.place for item in plan if item.id == left_out.id)
    together = range(1, place[0] + 1)
    assert [other.losses[step] for step in together] == [with_it.losses[step] for step in together]
    made = [
        kept_event.command
        for kept_event in Lineage().after(other.events).kept_events
        if isinstance(kept_event, Made)
    ]
    before = [item.id for item in plan if item.place < place]
    assert made[: len(before)] == before
    assert left_out.id not in made


def test_six_changes_of_different_kinds_and_an_undo_are_replayed():
    asked = [
        (2, SwapLoss("focal:gamma=1"), "batch"),
        (4, Change("lr", 0.01), None),
        (7, Change("weight-decay", 0.01), None),
        (8, Undo(), None),
        (9, Change("clip-norm", 0.5), None),
        (10, Change("batch-size", 400), None),
        (14, Rollback(0), None),
        (3, Change("epochs", 4), None),
    ]
    weights, life = lived([(at, Request.new(command, where)) for at, command, where in asked], [33])
    again, _ = replayed(plan_of(Lineage().after(life.events)), life.recorded.step)

    assert weights_sha256(again.model) == weights
    kinds = {event.command.kind for event in plan_of(Lineage().after(life.events))}
    assert kinds == {"loss", "lr", "clip-norm", "epochs", "batch-size"}
