"""Every key of the screen of a run does something that is seen, or says why it does not."""

import math
import os
import threading
import traceback

import pytest
from textual.widgets._toast import Toast

from tests.tui.conftest import STARTED, ScriptedTrainer, seen
from tuitrain.core.events import EpochEnded, Finished
from tuitrain.tui.app import TuitrainApp
from tuitrain.tui.screens.run import RunScreen
from tuitrain.tui.views import VIEWS
from tuitrain.view.chart.chart_view import USUAL
from tuitrain.view.state.possible import why_not

STEPS = 23
WITHOUT_AN_EFFECT = {"escape", "enter", "tab", "shift+tab"}
"""Where nothing is on top, alone, or to be focused."""
VIEW_KEYS = {*(str(number) for number in range(1, len(VIEWS) + 1)), "v", "slash"}
"""They lead to another view."""


def trained(trainer: ScriptedTrainer) -> None:
    trainer.records(STARTED)
    for epoch in range(1, 4):
        steps = range((epoch - 1) * STEPS, epoch * STEPS)
        trainer.trains([0.1 + 2.2 * math.exp(-step / 50) for step in steps])
        loss, accuracy = 2 / epoch, 0.5 + epoch / 10
        trainer.records(
            EpochEnded(1, STEPS * epoch, epoch, "cross-entropy", loss, loss,
                       {"accuracy": accuracy}, improved=True)
        )  # fmt: skip


async def looks(app: TuitrainApp, trainer: ScriptedTrainer) -> tuple[object, ...]:
    """Return all that a key may change."""
    text = await seen(app)
    notices = [notice.identity for notice in app._notifications]
    return text, app.screen, app.focused, app.theme, len(trainer.commands()), notices


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where the thread that answers keys waited until the disk had a file."""
    where: list[str] = []
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        if threading.current_thread() is threading.main_thread():
            where.append("".join(traceback.format_stack(limit=6)))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return where


@pytest.mark.parametrize(
    ("digit", "has_ended", "prefix"),
    [("1", False, ""), ("3", True, "chart."), ("5", False, "chart.")],
)
async def test_a_key_acts_or_says_why_not_and_never_waits_for_the_disk(
    app: TuitrainApp, trainer: ScriptedTrainer, waits: list[str],
    digit: str, has_ended: bool, prefix: str,
):  # fmt: skip
    trained(trainer)
    if has_ended:
        trainer.records(Finished(1, 3 * STEPS, 3))
    silent = []
    async with app.run_test(size=(140, 40), notifications=True) as pilot:
        await pilot.press(digit)
        await seen(app)
        screen = app.screen
        assert isinstance(screen, RunScreen)
        keys = {
            key
            for key, active in screen.active_bindings.items()
            if (active.binding.id or "").startswith(prefix)
        }
        leaving = {"q", "ctrl+q", "ctrl+c"} if has_ended else {"ctrl+q"}
        before = await looks(app, trainer)
        for key in sorted(keys - leaving - {digit} - WITHOUT_AN_EFFECT):
            await pilot.press(key)
            await pilot.pause()
            if await looks(app, trainer) == before:
                silent.append(key)
            while app.screen is not screen:
                await pilot.press("escape")
                await pilot.pause()
            if key in VIEW_KEYS:
                await pilot.press("escape", digit)
                await pilot.pause()
            screen.chart_view = USUAL
            app.clear_notifications()
            before = await looks(app, trainer)
    assert silent == []
    assert waits == []


async def test_a_key_pressed_again_and_again_says_once_why_it_does_nothing(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    trained(trainer)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await seen(app)
        await pilot.press(*"RRRRR")
        await pilot.pause()
        words = " ".join(why_not(app.screen.latest, "resume").split()[:3])
        assert (await seen(app)).count(words) == 1
        await pilot.press(*"uRuRu")
        trainer.records(Finished(1, 3 * STEPS, 3))
        await seen(app)
        await pilot.press(*"lrc.LSbeu")
        await pilot.pause()
        assert len(app.screen.query(Toast)) <= 3, "old ones give way"
