"""Runs marked in the list and shown over each other."""

import asyncio
import re

import pytest

from tests.recorded import decay, in_home
from tests.tui.conftest import text_of
from tests.tui.test_runs_screen import at, eventually, listed
from tuitrain.tui.app import TuitrainApp
from tuitrain.tui.screens.compare import CompareScreen
from tuitrain.tui.screens.runs import RunsScreen

WIDE, NARROW = (140, 40), (80, 24)


def better(step: int) -> float:
    return decay(step) / 2


@pytest.fixture
def recorded(home):
    """Three runs: two of digits, one of diabetes."""
    for name, settings in (
        ("alpha", {"lr": 0.01}), ("beta", {"task": "diabetes"}), ("gamma", {})
    ):  # fmt: skip
        run = in_home(home, name, **settings)
        run.trains(20, better if name == "alpha" else decay)
        run.finishes()


async def compared(app: TuitrainApp) -> str:
    """Follow the compared runs and draw them, and return the screen's text."""
    screen = app.screen
    assert isinstance(screen, CompareScreen)
    await screen.follow()
    await screen.charts.draw_if_stale()
    return text_of(app)


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_marked_runs_are_shown_over_each_other(home, recorded, size):
    app = TuitrainApp(home)
    async with app.run_test(size=size) as pilot:
        await listed(app)
        for name in ("alpha", "gamma"):
            await at(pilot, app, name)
            await pilot.press("m")
        await listed(app)
        await pilot.pause()
        lines = text_of(app).splitlines()
        assert re.findall("✓ *([a-z]+)", "\n".join(lines)) == ["gamma", "alpha"]
        assert "2 marked" in lines[0]
        await pilot.press("C")
        await pilot.pause()
        text = await compared(app)
        if size == NARROW:
            await eventually(pilot, app, "v Next curves")

    assert re.search("A━ alpha +● crashed|A━ alpha +● finished", text), "marked first"
    assert re.search("B━ gamma", text)
    assert re.search(r"lr +0\.01 +0\.001", text)
    assert "seed" not in text
    assert "accuracy" in text
    assert "★" in text
    assert any(0x2800 < ord(cell) <= 0x28FF for cell in text), "curves"
    assert ("more: v" in text) == (size == NARROW)


async def test_a_run_alone_is_compared_with_its_newest_neighbour_of_the_same_task(home, recorded):
    app = TuitrainApp(home)
    async with app.run_test(size=WIDE) as pilot:
        await listed(app)
        await at(pilot, app, "alpha")
        await pilot.press("C")
        await pilot.pause()
        text = await compared(app)
        assert "A━ alpha" in text
        assert "B━ gamma" in text
        await pilot.press("q")
        assert isinstance(app.screen, RunsScreen)


async def test_without_a_neighbour_it_says_what_to_do(home, recorded):
    app = TuitrainApp(home)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await listed(app)
        await at(pilot, app, "beta")
        await pilot.press("C")
        await pilot.pause()
        assert isinstance(app.screen, RunsScreen)
        await eventually(pilot, app, "Mark two runs with m")


async def test_a_mark_is_taken_back(home, recorded):
    app = TuitrainApp(home)
    async with app.run_test(size=NARROW) as pilot:
        await listed(app)
        await pilot.press("m")
        await eventually(pilot, app, "✓")
        await pilot.press("m")
        await pilot.pause()
        assert "✓" not in text_of(app)


async def test_runs_that_share_nothing_say_so_in_the_charts_place(home, recorded):
    app = TuitrainApp(home)
    async with app.run_test(size=WIDE) as pilot:
        await listed(app)
        for name in ("alpha", "beta"):
            await at(pilot, app, name)
            await pilot.press("m")
        await pilot.press("C")
        await pilot.pause()
        text = await compared(app)
        assert "no metric in common" in text
        assert re.search("task +digits +diabetes", text)


async def test_a_going_run_is_followed(home, recorded):
    live = in_home(home, "live")
    live.trains(3)
    app = TuitrainApp(home)
    directories = [home / "runs" / "gamma", home / "runs" / "live"]
    async with app.run_test(size=WIDE) as pilot:
        await listed(app)
        app.push_screen(CompareScreen(directories))
        await pilot.pause()
        assert "3/40" in await compared(app)
        live.trains(1)
        for _ in range(6):
            text = await compared(app)
        assert "4/40" in text
    live.close()


async def test_the_next_curves_are_a_key_away(home, recorded):
    app = TuitrainApp(home)
    directories = [home / "runs" / name for name in ("alpha", "gamma")]
    async with app.run_test(size=NARROW) as pilot:
        await listed(app)
        app.push_screen(CompareScreen(directories))
        await pilot.pause()
        async with asyncio.timeout(20):
            # it is laid out meanwhile, and its footer after that
            while "4 more: v" not in (text := await compared(app)) or "v Next curves" not in text:
                await pilot.pause()
        await pilot.press("v")
        second = await compared(app)
        assert "cross-entropy" in second.split("what differs")[0]
        assert "auroc" not in second.split("what differs")[0]


async def test_odd_sizes_and_resizing_do_no_harm(home, recorded):
    app = TuitrainApp(home)
    directories = [home / "runs" / name for name in ("alpha", "gamma")]
    async with app.run_test(size=WIDE) as pilot:
        await listed(app)
        app.push_screen(CompareScreen(directories))
        await pilot.pause()
        for size in ((40, 10), (20, 5), (1, 1), (300, 80)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            await compared(app)
            await pilot.resize_terminal(*NARROW)
            await pilot.pause()
            assert "A━ alpha" in await compared(app), f"after {size}"
