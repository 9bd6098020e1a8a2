"""What a program begins with must still be there, and be what it was."""

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
from tuitrain.store.paths import RunPaths

SAVED = CheckpointSaved(1, STEPS, 1, "finish", "00002-take1-step23.pt", 9, "f" * 64, "w" * 64)


@pytest.fixture
def line(home: Path) -> RunLineage:
    """An epoch, with a checkpoint at its end."""
    run = in_home(home, "a")
    run.trains(1)
    run.says(SAVED)
    run.finishes()
    return RunLineage.read(RunPaths(home / "runs" / "a"))


def test_weights_that_a_run_began_with_must_be_there(line, tmp_path):
    file = tmp_path / "w.pt"
    given = replace(line, spec=replace(line.spec, init_from=str(file)))
    with pytest.raises(Refused, match=r"began with are gone: .*w\.pt"):
        Recipe.of(given, SAVED)
    file.touch()
    assert Recipe.of(given, SAVED).spec.init_from == str(file)


def test_a_fork_begins_with_the_very_checkpoint_that_it_was_made_from(line):
    origin = line.paths.origin
    parent = Parent("parent", step=0, sha256=sha256(b"a checkpoint").hexdigest())
    fork = replace(line, spec=replace(line.spec, parent=parent))
    with pytest.raises(TuitrainError, match=r"cannot read .*origin\.pt: No such file"):
        Recipe.of(fork, SAVED)
    origin.write_bytes(b"another one")
    with pytest.raises(TuitrainError, match="is damaged"):
        Recipe.of(fork, SAVED)
    origin.write_bytes(b"a checkpoint")
    assert Recipe.of(fork, SAVED).origin == origin.absolute()


def test_a_record_that_does_not_say_what_a_program_needs_is_damaged(line):
    recipe = Recipe.of(line, SAVED)
    with pytest.raises(DamagedRecord, match="does not say on what it was trained"):
        assert recipe.environment
    silent = replace(recipe, started=replace(recipe.started, settings={"loss": "mse"}))
    with pytest.raises(DamagedRecord, match="with which clip-norm it began"):
        silent.setting("clip-norm")
