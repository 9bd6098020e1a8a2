"""The initial weights of a program must still exist and be unchanged."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from tests.recorded import STEPS, in_home
from tuitrain.core.errors import DamagedRecord, Refused, TuitrainError
from tuitrain.core.events import CheckpointSaved
from tuitrain.core.spec import Parent
from tuitrain.export.lineage import RunLineage
from tuitrain.export.recipe import Recipe
from tuitrain.history.lineage import Lineage
from tuitrain.store.paths import RunPaths

SAVED = CheckpointSaved(1, STEPS, 1, "finish", "00002-take1-step23.pt", 9, "f" * 64, "w" * 64)


@pytest.fixture
def lineage(home: Path) -> RunLineage:
    """An epoch, with a checkpoint at its end."""
    run = in_home(home, "a")
    run.trains(1)
    run.records(SAVED)
    run.finishes()
    return RunLineage.read(RunPaths(home / "runs" / "a"))


def test_weights_that_a_run_began_with_must_be_there(lineage, tmp_path):
    file = tmp_path / "w.pt"
    given = replace(lineage, spec=replace(lineage.spec, init_from=str(file)))
    with pytest.raises(Refused, match=r"began with are gone: .*w\.pt"):
        Recipe.of(given, SAVED)
    file.touch()
    assert Recipe.of(given, SAVED).spec.init_from == str(file)


def test_a_fork_begins_with_the_very_checkpoint_that_it_was_made_from(lineage):
    origin = lineage.paths.origin
    parent = Parent("parent", step=0, sha256=sha256(b"a checkpoint").hexdigest())
    fork = replace(lineage, spec=replace(lineage.spec, parent=parent))
    with pytest.raises(TuitrainError, match=r"cannot read .*origin\.pt: No such file"):
        Recipe.of(fork, SAVED)
    origin.write_bytes(b"another one")
    with pytest.raises(TuitrainError, match="is damaged"):
        Recipe.of(fork, SAVED)
    origin.write_bytes(b"a checkpoint")
    assert Recipe.of(fork, SAVED).origin == origin.absolute()


def test_a_record_without_what_a_program_needs_is_damaged(lineage):
    recipe = Recipe.of(lineage, SAVED)
    with pytest.raises(DamagedRecord, match="does not name the environment of its training"):
        assert recipe.environment
    started = replace(recipe.started, settings={"loss": "mse"}, steps_per_epoch=0)
    silent = replace(recipe, lineage=Lineage.of(recipe.spec, [started]))
    with pytest.raises(DamagedRecord, match="which clip-norm it began with"):
        silent.setting("clip-norm")
    with pytest.raises(DamagedRecord, match="does not say how long its epochs are"):
        assert silent.epoch_boundaries
