"""Losses for a plot: thinned so that a spike survives, with gaps where nothing compares."""

import math
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tuitrain.catalog import new_spec
from tuitrain.connection.curve import curve
from tuitrain.core.events import LossSwapped
from tuitrain.history.lineage import Lineage
from tuitrain.store.reader import RunReader
from tuitrain.store.schema import BatchRow, key_of
from tuitrain.store.writer import RunWriter
from tuitrain.view.state.snapshot import Snapshot


@pytest.fixture
def reader(tmp_path):
    return RunReader(tmp_path / "run.db")


def trained(tmp_path, losses, **changes):
    """Write the losses of the steps from 1 on, and return the run that has them."""
    rows = [BatchRow(key_of(1, step), 1, loss, 0.001, 64, step, 1, 2, 3, 4, 5, 6)
            for step, loss in enumerate(losses, 1)]  # fmt: skip
    with closing(RunWriter(tmp_path / "run.db")) as writer:
        writer.write(rows, [])
    begun = Snapshot.begin("a", Path("a"), new_spec(), 0.0)
    return replace(begun, position=(1, len(losses), 0), **changes)


def test_few_steps_come_as_they_are(tmp_path, reader):
    run = trained(tmp_path, [3.0, 2.0, math.nan, 1.0])
    steps, values = curve(run, reader, 4, None)
    assert steps == [1, 2, 3, 4]
    assert values[:2] == [3.0, 2.0]
    assert math.isnan(values[2])


def test_of_many_steps_a_spike_one_batch_wide_survives(tmp_path, reader):
    losses = [1.0] * 10_000
    losses[7777], losses[3333] = 50.0, 0.001
    run = trained(tmp_path, losses)

    steps, values = curve(run, reader, 100, None)

    assert 60 <= len(steps) <= 130
    assert steps == sorted(steps)
    assert (max(values), min(values)) == (50.0, 0.001)
    assert abs(steps[values.index(50.0)] - 7778) < 200


def test_between_two_losses_stands_a_gap(tmp_path, reader):
    swap = LossSwapped("w", 1, 2, 0, "mse", "cross-entropy")
    lineage = Lineage.of(new_spec(), [swap])
    run = trained(tmp_path, [3.0, 2.0, 0.2, 0.1], lineage=lineage)

    steps, values = curve(run, reader, 100, None)

    assert (steps[:2], steps[3:]) == ([1, 2], [3, 4])
    assert (values[:2], values[3:]) == ([3.0, 2.0], [0.2, 0.1])
    assert math.isnan(values[2])
    assert curve(run, reader, 100, "mse") == ([3, 4], [0.2, 0.1])
    assert curve(run, reader, 100, "l1") == ([], [])
