"""The app draws attention to what happens while the user looks elsewhere."""

import re

import pytest
from textual.drivers import headless_driver
from textual.drivers.headless_driver import HeadlessDriver

from tests.tui.conftest import STARTED, ScriptedTrainer, seen
from tuitrain.core.events import Event, Failed, Finished, NotFinite, Paused, Resumed
from tuitrain.tui.alert import Alert
from tuitrain.tui.app import TuitrainApp
from tuitrain.tui.screens.runs import RunsScreen


async def test_a_pause_by_nan_and_an_end_are_announced_and_a_pause_by_hand_is_not(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    alerts = []
    trainer.records(STARTED)
    trainer.trains([1.0])
    async with app.run_test(size=(80, 24), message_hook=alerts.append) as pilot:
        for events in (
            [Paused("w", 1, 1, 0)], [Resumed("w", 1, 1, 0)],
            [NotFinite(1, 1, 0, "loss"), Paused(None, 1, 1, 0)], [Finished(1, 1, 0)],
        ):  # fmt: skip
            await seen(app)
            trainer.records(*events)
        await seen(app)
        await pilot.pause()
    said = [message.text for message in alerts if isinstance(message, Alert)]
    assert list(dict.fromkeys(said)) == [
        "tuitrain: a paused at step 1: loss not finite at step 1",
        "tuitrain: a finished at step 1",
    ]


class HeardDriver(HeadlessDriver):
    """Counts how often a terminal rings."""

    is_headless = False
    rings = 0

    def write(self, data: str) -> None:
        without_commands = re.sub(r"\x1b\][^\a]*\a", "", data)  # a bell ends these, too
        HeardDriver.rings += without_commands.count("\a")


@pytest.mark.parametrize(
    ("events", "rings"),
    [
        ([Finished(1, 1, 0)], 1),
        ([Failed("the disk is full")], 1),
        ([NotFinite(1, 1, 0, "loss"), Paused(None, 1, 1, 0)], 1),
        ([Paused("w", 1, 1, 0)], 0),
    ],
)
async def test_the_bell_rings_once_for_an_end_and_for_a_pause_by_nan(
    app: TuitrainApp, trainer: ScriptedTrainer, monkeypatch, events: list[Event], rings: int
):
    monkeypatch.setattr(headless_driver, "HeadlessDriver", HeardDriver)
    monkeypatch.setattr(HeardDriver, "rings", 0)
    trainer.records(STARTED)
    trainer.trains([1.0])
    async with app.run_test(size=(80, 24)) as pilot:
        await seen(app)
        assert HeardDriver.rings == 0
        trainer.records(*events)
        for _ in range(3):
            await seen(app)
            await pilot.pause()
        assert HeardDriver.rings == rings


async def test_the_list_announces_a_run_that_ends_while_it_is_shown(trainer: ScriptedTrainer):
    alerts = []
    trainer.records(STARTED)
    trainer.trains([1.0])
    app = TuitrainApp(trainer.paths.directory.parents[1])
    async with app.run_test(size=(80, 24), message_hook=alerts.append) as pilot:
        screen = app.screen
        assert isinstance(screen, RunsScreen)
        await screen.follow()
        trainer.records(Finished(1, 1, 0))
        await screen.follow()
        await pilot.pause()
    assert "tuitrain: a finished at step 1" in [
        message.text for message in alerts if isinstance(message, Alert)
    ]
