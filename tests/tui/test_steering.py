"""The run screen's keys that ask something: what they send, and what they ask before."""

import pytest

from tests.tui.conftest import STARTED, ScriptedTrainer, seen, text_of
from tests.tui.test_snapshots import BODY
from tests.unit.view.panel.test_view_panels import CURVES
from tuitrain.core.commands import Change, FindRate, SaveCheckpoint, SwapLoss, Undo
from tuitrain.core.detail import BATCH, LOSS_CURVES, RATE_SWEEP
from tuitrain.core.events import (
    CheckpointSaved,
    CommandAccepted,
    EpochEnded,
    LossSwapped,
    RateSwept,
)
from tuitrain.tui.app import TuitrainApp
from tuitrain.tui.screens.losses import LossesScreen
from tuitrain.tui.screens.rate_sweep import RateSweepScreen
from tuitrain.tui.widgets.async_picture import AsyncPicture

NARROW = (80, 24)


@pytest.mark.parametrize(("key", "command"), [("c", SaveCheckpoint()), ("u", Undo())])
async def test_a_checkpoint_and_an_undo_are_asked_for_at_once(
    app: TuitrainApp, trainer: ScriptedTrainer, key: str, command
):
    trainer.records(STARTED)
    trainer.trains([1.0, 0.5])
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        await seen(app)
        await pilot.press(key)
        await pilot.pause()
        assert [item.command for item in trainer.commands()] == [command]


async def test_an_undo_that_leaves_more_than_ten_seconds_behind_asks_first(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    trainer.records(STARTED)
    trainer.trains([1.0] * 46)
    saved = CheckpointSaved(1, 46, 2, "before a change", "00001-take1-step46.pt", 9, "00", "00")
    trainer.records(saved, LossSwapped("w", 1, 46, 2, "mse", "cross-entropy"))
    trainer.trains([0.1] * 1100)
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        await seen(app)
        await pilot.press("u")
        await pilot.pause()
        assert "0:11" in text_of(app)
        assert "cross-entropy → mse" in text_of(app)
        await pilot.press("n")
        await pilot.pause()
        assert trainer.commands() == []
        await pilot.press("u", "y")
        await pilot.pause()
        assert [command.command for command in trainer.commands()] == [Undo()]


async def test_a_learning_rate_is_typed_checked_and_sent(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    trainer.records(STARTED)
    trainer.trains([1.0])
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        await seen(app)
        await pilot.press("r")
        await pilot.pause()
        assert "0.001" in text_of(app), "the value in use"
        assert "this is what it is now" in text_of(app)
        await pilot.press("-", "3")
        await pilot.pause()
        assert "lr takes a number above 0, not '-3'" in text_of(app)
        await pilot.press("enter")
        await pilot.pause()
        assert trainer.commands() == []
        await pilot.press("backspace", "backspace", *"3e-4")
        await pilot.pause()
        assert "0.001 → 0.0003" in text_of(app)
        await pilot.press("enter")
        await pilot.pause()
        (request,) = trainer.commands()

    assert (request.command, request.at) == (Change("lr", 3e-4), "batch")


async def test_arrow_keys_change_the_number_and_escape_keeps_it(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    trainer.records(STARTED)
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        await seen(app)
        await pilot.press("e", "pageup", "up")
        await pilot.pause()
        assert "15" in text_of(app)
        await pilot.press("escape")
        await pilot.pause()
        assert trainer.commands() == []
        await pilot.press("e", "pageup", "up", "enter")
        await pilot.press("r", "enter")
        await pilot.pause()
        assert [command.command for command in trainer.commands()] == [Change("epochs", 15)]


async def test_a_sweep_is_followed_and_its_suggestion_is_where_the_new_rate_begins(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    trainer.records(STARTED)
    trainer.trains([1.0])
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        await seen(app)
        await pilot.press("L")
        await pilot.pause()
        (request,) = trainer.commands()
        assert request.command == FindRate()
        trainer.records(CommandAccepted(request.id, "lr-find", "", "batch", 0.0, 1))
        body = {"rates": [1e-6, 1e-4, 1e-2], "losses": [2.3, 2.0, 1.0], "smoothed": [2.3, 2.1, 1.5]}
        trainer.details(RATE_SWEEP, body)
        assert "the rate rises" in await followed(app)
        await pilot.press("enter")
        assert isinstance(app.screen, RateSweepScreen), "there is nothing to use yet"
        trainer.details(RATE_SWEEP, {**body, "suggestion": 0.004})
        trainer.records(RateSwept(request.id, 1, 1, 0, 66, 0.004))
        done = await followed(app)
        for part in ("66 batches, all undone", "suggestion 0.004", "in use 0.001"):
            assert part in done
        assert "1e-4 " in done, "the axis has the rates"
        await pilot.press("enter")
        await pilot.pause()
        assert "0.001 → 0.004" in text_of(app)
        await pilot.press("enter")
        await pilot.pause()
        *_, changed = trainer.commands()

    assert changed.command == Change("lr", 0.004)


async def followed(app: TuitrainApp) -> str:
    """Follow the run behind the dialog, draw the sweep, and return the screen's text."""
    await seen(app)
    app.screen.follow()
    await app.screen.picture.draw_if_stale()
    return text_of(app)


SMOOTH = "cross-entropy:label_smoothing=0.1"


async def test_the_parameters_of_a_loss_are_typed_checked_and_then_swapped_to(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    trainer.records(STARTED)
    trainer.trains([1.0])
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        await seen(app)
        await pilot.press("l", "o")
        await pilot.pause()
        assert "label_smoothing: share of the target" in text_of(app)
        assert app.screen.field.value == "label_smoothing=0", "the value in use"
        await pilot.press("2", "enter")
        await pilot.pause()
        assert app.screen.field.value == "label_smoothing=2", "typing replaces the value"
        assert "label_smoothing takes a number from 0 to 1" in text_of(app)
        await pilot.press("backspace", *"0.10", "enter")
        await pilot.pause()
        picker = text_of(app)
        assert SMOOTH in picker
        assert "● cross-entropy " in picker, "it is not in use yet"
        assert "at the end of this epoch" in picker
        assert trainer.commands() == []
        await pilot.press("enter")
        await pilot.pause()
        (request,) = trainer.commands()

    assert (request.command, request.at) == (SwapLoss(SMOOTH), "epoch")


async def test_a_loss_in_use_with_parameters_stands_beside_the_usual_one_with_values_of_its_own(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    trainer.records(STARTED)
    trainer.trains([1.0] * 23)
    trainer.records(LossSwapped("w", 1, 23, 1, SMOOTH, "cross-entropy"))
    for number, value in ((2, 0.7), (3, 0.6)):
        losses = {"cross-entropy": value / 2, SMOOTH: value}
        trainer.records(
            EpochEnded(1, 23 * number, number, SMOOTH, 0.9, value, {"accuracy": 0.9}, False, losses)
        )
    trainer.latest_batch_losses(1, 46, {"cross-entropy": 0.25, SMOOTH: 0.5})
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        await seen(app)
        await pilot.press("l")
        await pilot.pause()
        lines = text_of(app).splitlines()
        await pilot.press("enter")
        await pilot.pause()
        assert trainer.commands() == [], "it is what is in use"
        await pilot.press("l", "up", "enter")
        await pilot.pause()
        (request,) = trainer.commands()

    assert request.command == SwapLoss("cross-entropy")
    (own,) = (line for line in lines if SMOOTH in line and "0.5000" in line)
    assert "●" in own
    assert "0.7000 ↘ 0.6000" in own
    (usual,) = (line for line in lines if "0.2500" in line)
    assert "0.3500 ↘ 0.3000" in usual
    assert "●" not in usual


async def test_a_loss_without_parameters_asks_for_none(app: TuitrainApp, trainer: ScriptedTrainer):
    trainer.records(STARTED)
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        await seen(app)
        await pilot.press("l", "down", "down")
        await pilot.pause()
        assert "o its parameters" not in text_of(app)
        await pilot.press("o")
        await pilot.pause()
        assert isinstance(app.screen, LossesScreen)


@pytest.mark.parametrize(("size", "pages"), [((140, 40), 0), ((80, 24), 5)])
async def test_the_highlighted_loss_is_drawn_over_one_prediction_with_the_samples_on_it(
    app: TuitrainApp, trainer: ScriptedTrainer, size: tuple[int, int], pages: int
):
    trainer.records(STARTED)
    trainer.trains([1.0])
    trainer.details(LOSS_CURVES, CURVES)
    trainer.details(BATCH, BODY)
    async with app.run_test(size=size) as pilot:
        await seen(app)
        for keys, loss in ((["l"], "cross-entropy"), (["down", "down"], "mse")):
            await pilot.press(*keys, *["pagedown"] * pages)
            await pilot.pause()
            for picture in app.screen.query(AsyncPicture):
                await picture.draw_if_stale()
            shown = text_of(app)
            assert f"{loss}  ● " in shown
            assert shown.count("●") >= 2 + 2, "in use, the heading, and two samples"
            assert "log-odds of the right class" in shown
