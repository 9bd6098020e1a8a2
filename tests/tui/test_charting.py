"""The keys and the mouse on the charts of a run."""

import math
import re

import pytest
from textual.events import MouseScrollUp
from textual.geometry import Offset

from tests.tui.conftest import STARTED, ScriptedTrainer, seen
from tests.tui.test_run_screen import epoch
from tuitrain.tui.app import TuitrainApp
from tuitrain.tui.screens.run import RunScreen

SIZE = 140, 40
THERE_AND_BACK: list[tuple[list[str], str, list[str]]] = [
    (["y"], "log y", ["y"]),
    (["x"], "by epoch", []),
    (["x"], "by samples", []),
    (["x"], "by time", ["x"]),
    (["0"], "not smoothed", ["0"]),
    (["o"], "with outliers", ["o"]),
    (["right_square_bracket"], "steps 46–92", ["left_square_bracket"]),
    (["left"], "step 91 · ", ["escape"]),
    (["right_square_bracket", "left"], "step 91 · ", ["escape"]),
    (["plus"], "smoothed over 2 steps", []),
]
"""Keys, what the title says then, and the keys that lead back to how it was before."""


@pytest.fixture
def trained(trainer: ScriptedTrainer) -> ScriptedTrainer:
    trainer.records(STARTED)
    trainer.trains([0.1 + 2 * math.exp(-step / 20) for step in range(1, 93)])
    trainer.records(*(epoch(number) for number in range(1, 5)))
    return trainer


async def typed(app: TuitrainApp, pilot, *keys: str) -> str:
    await pilot.press(*keys)
    await pilot.pause()
    return await seen(app)


def title(text: str) -> str:
    """Return the title of the loss chart."""
    return next(
        line for line in text.splitlines()
        if "─" in line and ("loss: " in line or "step " in line)
    )  # fmt: skip


async def test_keys_change_the_chart_its_title_says_how_and_they_or_their_opposites_lead_back(
    app: TuitrainApp, trained: ScriptedTrainer
):
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        usual = await seen(app)
        assert "loss: cross-entropy" in title(usual)
        for keys, said, back in THERE_AND_BACK:
            assert said not in title(usual)
            assert said in title(await typed(app, pilot, *keys)), keys
            assert (await typed(app, pilot, *back) == usual) == bool(back), keys
    assert trained.commands() == []


async def test_arrows_move_a_cursor_through_all_charts_and_its_values_are_read(
    app: TuitrainApp, trained: ScriptedTrainer
):
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await seen(app)
        text = await typed(app, pilot, "home")
        assert f"step 1 · epoch 1 · {0.1 + 2 * math.exp(-1 / 20):.6g}" in title(text)
        text = await typed(app, pilot, "end")
        assert "step 92 · epoch 4" in title(text)
        assert "smoothed 0.1" in title(text)
        text = await typed(app, pilot, "left", "left")
        assert re.search(r"step 90 · epoch 4 · 0.12\d+ · .* · 0.90 s", title(text))
        assert "validations, at step 90" in text
        assert text.count("┻") >= 3, "in the loss chart and in small ones"


async def test_a_click_puts_the_cursor_there_and_the_wheel_zooms_there(
    app: TuitrainApp, trained: ScriptedTrainer
):
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await seen(app)
        screen = app.screen
        assert isinstance(screen, RunScreen)
        await pilot.click("#loss", offset=(45, 8))
        await pilot.pause()
        cursor = screen.chart_view.cursor
        assert 40 <= cursor <= 52
        assert f"step {cursor} · " in title(await seen(app))
        x, y = screen.chart.content_region.offset + Offset(45, 8)
        turned = MouseScrollUp(
            screen.chart, x=45, y=9, delta_x=0, delta_y=-1, button=0, shift=False, meta=False,
            ctrl=False, screen_x=x, screen_y=y,
        )  # fmt: skip
        screen.chart.post_message(turned)
        await pilot.pause()
        assert screen.chart_view.window is not None
        assert "steps " in title(await seen(app))


async def test_before_the_first_batch_a_key_says_why_it_does_nothing(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await pilot.pause()
        assert "There is no batch to look at yet." in await typed(app, pilot, "y")
