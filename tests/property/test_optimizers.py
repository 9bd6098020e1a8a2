"""Every optimizer and every schedule is exact, however a run comes to its weights."""

import shutil
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import pytest

from tests.contract.test_program import printed_by
from tests.property.test_replay import replayed
from tests.property.test_resume import Life, Script, lived
from tests.versions import MUON
from tuitrain.catalog import OPTIMIZERS, new_spec
from tuitrain.core.commands import Change, Request, Rollback, Undo
from tuitrain.core.events import CommandRefused, RateReduced, SettingChanged
from tuitrain.core.spec import RunSpec
from tuitrain.engine.state.weights import weights_sha256
from tuitrain.export.program import program
from tuitrain.export.recipe import Recipe
from tuitrain.history.lineage import Lineage
from tuitrain.history.plan import plan_of
from tuitrain.trainer.derived import fork_of

SCHEDULES = cycle(
    ["constant:warmup=1", "cosine:warmup=0.5", "step:size=1:gamma=0.5", "one-cycle",
     "plateau:factor=0.5:patience=0", "linear"]
)  # fmt: skip
BY_OPTIMIZER = [
    pytest.param(
        f"{name}:schedule={next(SCHEDULES)}" if "schedule" in entry.options else name,
        marks=[MUON] if name == "muon" else [],
        id=name,
    )
    for name, entry in OPTIMIZERS.items()
]
RPROP = "Rprop adapts a step size for each weight; lr is only the first one"


def spec_of(optimizer: str) -> RunSpec:
    return new_spec(
        "digits", model="mlp:hidden=16-8,norm=batch,dropout=0.2", optimizer=optimizer, lr=0.01,
        batch_size=256, epochs=3, seed=3, monitor="cross-entropy",
    )  # fmt: skip


def changes() -> list[tuple[int, Request]]:
    """Return a change of the rate, one that is undone, a rollback, and another schedule."""
    asked = [
        (2, Change("lr", 0.02), None),
        (4, Change("weight-decay", 0.1), None),
        (5, Change("clip-norm", 0.5), None),
        (7, Undo(), None),
        (9, Rollback(1), None),
        (14, Change("schedule", "plateau:factor=0.5:patience=0"), None),
    ]
    return [(at, Request.new(command, where)) for at, command, where in asked]


def digest_of_program(life: Life) -> str:
    recipe = Recipe("a", life.spec, Lineage.of(life.spec, life.events), life.recorded.step, "")
    return printed_by(program(recipe, written_by="this test"))


@pytest.mark.parametrize("optimizer", BY_OPTIMIZER)
def test_a_kill_a_replay_and_the_program_of_a_steered_run_lead_to_its_weights(optimizer):
    spec = spec_of(optimizer)
    weights, life = lived(changes(), (), spec=spec)
    resumed, _ = lived(changes(), (12, 9), spec=spec)
    run, _ = replayed(plan_of(Lineage().after(life.events)), life.recorded.step, spec)

    assert resumed == weights
    assert weights_sha256(run.model) == weights
    assert digest_of_program(life) == weights, "after an undo and a rollback"
    refused = [event.reason for event in life.events if isinstance(event, CommandRefused)]
    expected = [RPROP, "Rprop has no weight decay", RPROP] if optimizer == "rprop" else []
    assert refused == expected
    changed = [event for event in life.events if isinstance(event, SettingChanged)]
    assert len(changed) == 4 - len(expected)


def test_a_plateau_of_a_steered_run_lowers_the_rate_only_where_its_lineage_waited():
    spec = spec_of("sgd:schedule=plateau:factor=0.5:patience=0,momentum=0.9")
    commands = [(13, Request.new(Rollback(1)))]
    weights, life = lived(commands, (), spec=spec)
    reduced = [event for event in life.events if isinstance(event, RateReduced)]
    kept = Lineage().after(life.events).reductions
    again, _ = replayed([], life.recorded.step, spec)

    assert weights_sha256(again.model) == weights, "it went back to where its plateau was then"
    assert digest_of_program(life) == weights
    assert set(kept) <= set(reduced)


def forked(optimizer: str, lr: float, folder: Path) -> tuple[str, str, Life]:
    """Return the weights of a run and those of its fork at epoch 1, and the life of the fork."""
    spec = replace(spec_of(optimizer), lr=lr, epochs=2)
    parent = Life(folder / "parent", Script(()), spec)
    weights = weights_sha256(parent.live().model)
    spec, saved = fork_of(parent.spec, parent.events, "parent", 1, {})
    fork = Life(folder / "fork", Script(()), spec)
    fork.folder.mkdir()
    shutil.copy(parent.folder / saved.file, fork.folder / "origin.pt")
    return weights, weights_sha256(fork.live().model), fork


@pytest.mark.parametrize("optimizer", BY_OPTIMIZER)
def test_a_fork_ends_with_the_weights_of_its_parent(optimizer, tmp_path: Path):
    weights, of_fork, _ = forked(optimizer, 0.01, tmp_path)
    assert of_fork == weights


@pytest.mark.parametrize(
    ("optimizer", "lr"),  # at which epoch 2 is worse than epoch 1
    [("sgd:momentum=0.9,schedule=plateau:factor=0.5:patience=0", 5.0),
     pytest.param("muon:schedule=plateau:factor=0.5:patience=0", 30.0, marks=MUON)],
)  # fmt: skip
def test_the_plateau_of_a_fork_compares_with_the_epochs_of_its_parent(
    optimizer, lr, tmp_path: Path
):
    weights, of_fork, fork = forked(optimizer, lr, tmp_path)
    assert of_fork == weights
    first, *_ = [event for event in fork.events if isinstance(event, RateReduced)]
    assert first.epoch == 2
