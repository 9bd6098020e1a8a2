"""What a fork begins with."""

from dataclasses import replace

import pytest

from tests.unit.history.test_lineage import START, TEN, started
from tuitrain.catalog import new_spec
from tuitrain.core.events import SettingChanged
from tuitrain.trainer.derived import fork_of

SPEC = new_spec("digits", epochs=4)


@pytest.mark.parametrize(
    ("schedule", "optimizer"),
    [
        ("own", "adam"),
        ("constant", "adam:schedule=constant"),
        ("cosine@0", "adam:schedule=cosine@0"),
    ],
)
def test_a_fork_begins_with_the_schedule_in_use_whatever_its_parents_task_brought(
    schedule: str, optimizer: str
):
    settings = {"loss": SPEC.loss, "lr": 0.001, "batch-size": 64, "epochs": 4, "schedule": "own"}
    begun = replace(started(), settings=settings)
    changed = SettingChanged("w", 1, 0, 0, "schedule", schedule, "own", 10)

    fork, _ = fork_of(SPEC, [begun, START, changed, TEN], "parent", 1, {"epochs": 8})
    assert fork.optimizer == optimizer
