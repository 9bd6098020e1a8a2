"""Bad numbers, going back to an epoch, and forks, from the run screen."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList

from tests.conftest import PATIENCE_S, Shell, until
from tests.tui.conftest import STARTED, ScriptedTrainer, seen, text_of
from tuitrain.core.commands import Rollback
from tuitrain.core.events import (
    CheckpointSaved,
    EpochEnded,
    NotFinite,
    Paused,
    SettingChanged,
    TakeOpened,
)
from tuitrain.tui.app import TuitrainApp
from tuitrain.tui.screens.epoch import EpochScreen
from tuitrain.tui.screens.new_run import NewRunScreen
from tuitrain.tui.screens.run import RunScreen
from tuitrain.tui.screens.runs import RunsScreen
from tuitrain.tui.widgets.form_field import FormField

NARROW = (80, 24)
SAVED = CheckpointSaved(1, 23, 1, "epoch", "00002-take1-step23.pt", 9, "00", "00")
SETTINGS = {
    "loss": "cross-entropy", "lr": 0.5, "weight-decay": 0.0, "clip-norm": None, "batch-size": 64,
    "epochs": 4, "pace": None,
}  # fmt: skip
BEGUN = replace(STARTED, settings=SETTINGS)


async def test_bad_numbers_pause_it_and_what_can_be_done_is_said(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    trainer.records(BEGUN)
    trainer.trains([1.0, float("nan")])
    trainer.records(NotFinite(1, 2, 0, "loss"), Paused(None, 1, 2, 0))
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        screen = await seen(app)
        assert "loss not finite at step 2: that step is not taken" in screen
        assert "r lower the rate (0.5) · b then go back · l swap the loss" in screen
        trainer.records(SettingChanged("w", 1, 2, 0, "lr", 0.01, 0.5, 23))
        assert "space go on · b go back" in await seen(app)


async def test_going_back_asks_to_which_epoch(app: TuitrainApp, trainer: ScriptedTrainer):
    trainer.records(
        BEGUN, replace(SAVED, step=0, epoch=0, file="00001-take1-step0.pt", why="start")
    )
    trainer.trains([1.0] * 23)
    trainer.records(
        EpochEnded(1, 23, 1, "cross-entropy", 0.5, 0.4, {"accuracy": 0.9}, improved=True)
    )
    trainer.records(SAVED)
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        await seen(app)
        await pilot.press("b")
        await pilot.pause()
        shown = text_of(app)
        assert "1  val loss 0.4000   accuracy 0.9000  best" in shown
        assert "0  before the first batch" in shown
        await pilot.press("down", "enter")
        await pilot.pause()
        assert [command.command for command in trainer.commands()] == [Rollback(0)]


async def test_an_epoch_that_only_a_take_left_behind_has_is_said_to_be_of_it(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    start = replace(SAVED, step=0, epoch=0, file="00001-take1-step0.pt", why="start")
    opening = TakeOpened(
        None, 2, 0, 0, "rollback", start.file, 1, {"loss": "cross-entropy"}, 23, 23
    )
    trainer.records(BEGUN, start)
    trainer.trains([1.0] * 23)
    trainer.records(SAVED, opening)
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        await seen(app)
        await pilot.press("f")
        await pilot.pause()
        assert "1  at step 23 of take 1, left behind" in text_of(app)


async def test_of_a_present_within_an_epoch_it_says_how_it_can_be_forked(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    start = replace(SAVED, step=0, epoch=0, file="00001-take1-step0.pt", why="start")
    trainer.records(BEGUN, start)
    trainer.trains([1.0] * 7)
    present = replace(SAVED, step=7, epoch=0, why="pause", is_between_epochs=False)
    trainer.records(present, Paused(None, 1, 7, 0))
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        await seen(app)
        await pilot.press("f")
        await pilot.pause()
        words = " ".join(text_of(app).replace("│", " ").split())
        assert "step 7, is within epoch 1: space, then p goes on to its end." in words
        await pilot.press("escape")
        trainer.trains([1.0] * 16)
        trainer.records(SAVED, Paused(None, 1, 23, 1))
        await seen(app)
        await pilot.press("f")
        await pilot.pause()
        assert "1  " in text_of(app)
        assert "The present" not in text_of(app)


async def test_without_a_kept_epoch_nothing_can_be_gone_back_to(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    trainer.records(BEGUN)
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        await seen(app)
        await pilot.press("b", "f")
        await pilot.pause()
        assert len(app.screen_stack) == 1
        assert trainer.commands() == []


async def test_a_fork_is_chosen_filled_in_and_watched(threaded: Shell, home: Path):
    tuitrain = threaded
    tuitrain("run", "diabetes", "--epochs", "2", "--lr", "0.004", "--plain", "--name", "a")
    paths = tuitrain.client("a").paths
    app = TuitrainApp(home, watch=paths)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        await seen(app)
        await pilot.press("f")
        await pilot.pause()
        epochs = app.screen.query_one(OptionList)
        assert epochs.get_option_at_index(epochs.highlighted).id == "1", "its best one"
        await pilot.press("up", "enter")  # the newest epoch, which is its last
        await pilot.pause()
        assert isinstance(app.screen, NewRunScreen)
        shown = text_of(app)
        assert "fork of a at epoch 2" in shown
        texts = {widget.name: widget.text for widget in app.screen.query(FormField)}
        assert (texts["lr"], texts["epochs"], texts["loss"]) == ("0.004", "4", "mse")
        assert "model" not in texts, "a fork keeps its parent's"
        app.screen.query_one("#loss", FormField).text = "l1"
        await pilot.press("enter")
        deadline = time.monotonic() + PATIENCE_S
        while not isinstance(app.screen, RunScreen) and time.monotonic() < deadline:
            await pilot.pause()
        assert isinstance(app.screen, RunScreen)
        assert "a-fork" in text_of(app)
        until(lambda: app.screen._started.process.poll() is not None, "its trainer has gone")
    found = tuitrain.show("a-fork")
    assert (found["loss"], found["epoch"], found["lr"]) == ("l1", 4, 0.004)


@pytest.mark.parametrize("begins_with", [RunsScreen, RunScreen])
async def test_who_leaves_a_fork_comes_to_the_screen_that_the_app_began_with(
    threaded: Shell, home: Path, begins_with: type
):
    threaded("run", "diabetes", "--epochs", "1", "--plain", "--name", "a")
    paths = threaded.client("a").paths
    app = TuitrainApp(home, watch=paths if begins_with is RunScreen else None)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        if begins_with is RunsScreen:
            await app.screen.follow()
            await pilot.press("enter")
        await seen(app)
        for key, screen in (("f", EpochScreen), ("enter", NewRunScreen), ("enter", RunScreen)):
            await pilot.press(key)
            await on(pilot, app, screen)
        child = app.screen
        assert "a-fork" in await seen(app)
        until(lambda: child._started.process.poll() is not None, "its trainer has gone")
        while not child.latest.has_ended:
            await child.follow()
        await pilot.press("q")
        await on(pilot, app, begins_with)
        assert len(app.screen_stack) == 1


async def on(pilot: Pilot, app: TuitrainApp, screen: type) -> None:
    """Wait until that screen is shown."""
    deadline = time.monotonic() + PATIENCE_S
    while not isinstance(app.screen, screen):
        assert time.monotonic() < deadline, f"{screen} never came"
        await pilot.pause()
