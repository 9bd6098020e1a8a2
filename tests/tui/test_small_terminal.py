"""At 40x10 nothing that matters is out of reach: loss texts, help, leaving; and no false key."""

import re

import pytest

from tests.tui.conftest import STARTED, ScriptedTrainer, seen, text_of
from tests.tui.test_run_screen import epoch
from tuitrain.core.events import Finished, NotFinite, Paused
from tuitrain.tui.app import TuitrainApp
from tuitrain.tui.views import VIEWS

SMALL = (40, 10)


@pytest.mark.parametrize(
    "size", [(40, 10), (60, 24), (80, 24), (100, 30), (109, 30), (110, 30), (140, 40), (200, 55)]
)
async def test_no_row_above_the_views_is_blank(
    app: TuitrainApp, trainer: ScriptedTrainer, size: tuple[int, int]
):
    trainer.records(STARTED)
    trainer.trains([1.0])
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        lines = (await seen(app)).splitlines()
        rows = lines[: app.screen.views.region.y]
        assert all(row.strip() for row in rows), "\n".join(rows)
        assert "device" in "".join(rows) or size[0] < 80, "and none is left out"


async def test_the_text_of_a_loss_is_read_to_its_end(app: TuitrainApp, trainer: ScriptedTrainer):
    trainer.records(STARTED)
    trainer.trains([1.0])
    async with app.run_test(size=SMALL) as pilot:
        await seen(app)
        await pilot.press("l")
        await pilot.pause()
        first = text_of(app)
        assert "cross-entropy" in first
        assert "pgdn reads on" in first
        assert "for regression." not in first
        await pilot.press(*["pagedown"] * 9)
        await pilot.pause()
        assert "for regression." in text_of(app), "its last words"
        await pilot.press("pageup", "escape")
        assert trainer.commands() == []


async def test_help_and_leaving_come_first_and_no_key_that_does_nothing(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    trainer.records(STARTED)
    trainer.trains([1.0])
    async with app.run_test(size=SMALL) as pilot:
        await seen(app)
        await pilot.pause()
        assert footer(app).startswith("?HelpqLeave")
        assert "Resume" not in footer(app)
        trainer.records(Finished(1, 1, 0))
        await seen(app)
        await pilot.pause()
        assert "RResume" in footer(app)
        assert "Pause" not in footer(app)


@pytest.mark.parametrize(
    ("width", "last"), [(50, "R Resume ^p All"), (40, "R Resume ^p All"), (36, "f Fork R Resume")]
)
async def test_the_footer_has_whole_keys_alone_also_in_another_size(
    app: TuitrainApp, trainer: ScriptedTrainer, width: int, last: str
):
    trainer.records(STARTED)
    trainer.trains([1.0])
    async with app.run_test(size=(80, 24)) as pilot:
        await seen(app)
        await pilot.pause()
        whole = text_of(app).splitlines()[-1]
        await pilot.resize_terminal(width, 10)
        await pilot.pause()
        shown = text_of(app).splitlines()[-1].rstrip()
        assert shown.startswith("? Help q Leave space Pause")
        assert whole[: len(shown) + 1] == f"{shown} "
        trainer.records(Finished(1, 1, 0))
        await seen(app)
        await pilot.pause()
        assert text_of(app).rstrip().endswith(last)
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert text_of(app).rstrip().endswith("R Resume ^p All")


async def test_advice_is_seen_in_every_view(app: TuitrainApp, trainer: ScriptedTrainer):
    trainer.records(STARTED)
    trainer.trains([1.0])
    for number in range(1, 8):
        trainer.records(epoch(number, train_loss=1 / number, val_loss=float(number)))
    async with app.run_test(size=SMALL) as pilot:
        for digit in range(1, len(VIEWS) + 1):
            await pilot.press(str(digit))
            await pilot.pause()
            await seen(app)
            await pilot.pause()  # it has got its room
            assert " ▲ overfitting · b goes back" in text_of(app)
        trainer.records(NotFinite(1, 1, 0, "loss"), Paused(None, 1, 1, 0))
        for digit in range(1, len(VIEWS) + 1):
            await pilot.press(str(digit))
            await pilot.pause()
            await seen(app)
            await pilot.pause()
            lines = [line.rstrip() for line in text_of(app).splitlines()]
            assert lines[-4:-1] == [
                " ✗ loss not finite at step 1",
                "   r lower the rate (0.001) ·",
                "   b then go back · l swap the loss",
            ]


@pytest.mark.parametrize(
    ("key", "said"),
    [("l", "enter swaps · pgdn reads on ─"), ("r", "enter changes it · esc keeps it ─")],
)
async def test_a_dialog_names_whole_keys_on_its_border(
    app: TuitrainApp, trainer: ScriptedTrainer, key: str, said: str
):
    trainer.records(STARTED)
    trainer.trains([1.0])
    async with app.run_test(size=SMALL) as pilot:
        await seen(app)
        await pilot.press(key)
        await pilot.pause()
        assert said in text_of(app)


def footer(app: TuitrainApp) -> str:
    """Return the footer without its gaps."""
    return "".join(text_of(app).splitlines()[-1].split())


async def test_the_title_of_a_panel_leads_to_those_without_room(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    trainer.records(STARTED)
    trainer.trains([1.0])
    async with app.run_test(size=SMALL) as pilot:
        await seen(app)
        for view in VIEWS[1:-1]:
            await pilot.press(str(VIEWS.index(view) + 1))
            await pilot.pause()
            for _ in view.panels:
                title = (await seen(app)).splitlines()[2].strip("─ ")
                assert re.fullmatch(r"[^…]+ · tab(: \d more| \+\d)", title)
                await pilot.press("tab")
                await pilot.pause()
