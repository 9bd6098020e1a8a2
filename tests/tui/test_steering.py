"""The run screen's keys that ask something: what they send, and what they ask before."""

import pytest

from tests.tui.conftest import STARTED, ScriptedTrainer, seen, text_of
from tuitrain.core.commands import Change, SaveCheckpoint, Undo
from tuitrain.core.events import LossSwapped
from tuitrain.tui.app import TuitrainApp

NARROW = (80, 24)


@pytest.mark.parametrize(("key", "wish"), [("c", SaveCheckpoint()), ("u", Undo())])
async def test_a_checkpoint_and_an_undo_are_asked_for_at_once(
    app: TuitrainApp, trainer: ScriptedTrainer, key: str, wish
):
    trainer.says(STARTED)
    trainer.trains([1.0, 0.5])
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        await seen(app)
        await pilot.press(key)
        await pilot.pause()
        assert [each.wish for each in trainer.wishes()] == [wish]


async def test_an_undo_that_leaves_more_than_ten_seconds_behind_asks_first(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    trainer.says(STARTED)
    trainer.trains([1.0] * 46)
    trainer.says(LossSwapped("w", 1, 46, 2, "mse", "cross-entropy"))
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
        assert trainer.wishes() == []
        await pilot.press("u", "y")
        await pilot.pause()
        assert [each.wish for each in trainer.wishes()] == [Undo()]


async def test_a_learning_rate_is_typed_judged_and_sent(app: TuitrainApp, trainer: ScriptedTrainer):
    trainer.says(STARTED)
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
        assert "lr takes a number above 0, not -3.0" in text_of(app)
        await pilot.press("enter")
        await pilot.pause()
        assert trainer.wishes() == []
        await pilot.press("backspace", "backspace", *"3e-4")
        await pilot.pause()
        assert "0.001 → 0.0003" in text_of(app)
        await pilot.press("enter")
        await pilot.pause()
        (request,) = trainer.wishes()

    assert (request.wish, request.at) == (Change("lr", 3e-4), "batch")


async def test_arrow_keys_change_the_number_and_escape_keeps_it(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    trainer.says(STARTED)
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        await seen(app)
        await pilot.press("e", "pageup", "up")
        await pilot.pause()
        assert "15" in text_of(app)
        await pilot.press("escape")
        await pilot.pause()
        assert trainer.wishes() == []
        await pilot.press("e", "pageup", "up", "enter")
        await pilot.press("r", "enter")
        await pilot.pause()
        assert [each.wish for each in trainer.wishes()] == [Change("epochs", 15)]
