"""The guided tour, done by its own instructions, on a run that trains."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import Shell
from tests.tui.conftest import seen, text_of
from tuitrain.catalog import fitting_losses, new_spec
from tuitrain.store.paths import RunPaths
from tuitrain.tui.app import TuitrainApp
from tuitrain.tui.keys import FILE
from tuitrain.view.panel.tour import STOPS
from tuitrain.view.state.snapshot import Intervention, Snapshot

TRIES = 2_000


async def reaches(app: TuitrainApp, pilot, title: str) -> str:
    """Follow the run until the tour is at that stop, and return the screen's text."""
    for _ in range(TRIES):
        if title in (text := await seen(app)):
            return text
        await pilot.pause(0.02)
    return pytest.fail(f"waited for {title!r} in vain\n{text}")


@pytest.fixture
def app(threaded: Shell, home: Path) -> TuitrainApp:
    threaded(
        "run", "digits", "--epochs", "5000", "--pace", "300", "--paused", "--detach", "--name", "a"
    )
    return TuitrainApp(home, watch=RunPaths(home / "runs" / "a"), is_tour=True)


async def test_each_stop_is_done_by_what_it_says_and_the_last_leads_on(app, threaded: Shell):
    async with app.run_test(size=(80, 24)) as pilot:
        assert "gradient" in await reaches(app, pilot, "One batch at a time")
        for _ in range(3):
            await pilot.press("full_stop")
        text = await reaches(app, pilot, "Let it learn")
        assert re.search(r"▸ press 1, then space, and watch 3 epochs", text)
        assert re.search(r"4 backward .* gradient norm \d", text), "the view of the batch is shown"
        await pilot.press("1", "space")
        await reaches(app, pilot, "What a loss is")
        await pilot.press("3")
        text = await reaches(app, pilot, "Swap it in the live run")
        assert "log-odds of the right class" in text, "the curve has room at 80 columns"
        places = [loss.name for loss in fitting_losses("multiclass")]
        await pilot.press("l", *["down"] * places.index("mse"), "enter")
        await reaches(app, pilot, "Break it")
        await pilot.press("1", "r", *["backspace"] * 8, "3", "enter")
        await reaches(app, pilot, "Rescue it")
        await pilot.press("u")
        if "abandoned" in text_of(app):
            await pilot.press("y")
        text = await reaches(app, pilot, "That was the tour")
        assert "next: tuitrain losses" in text
        run = threaded.show("a")
        assert (run["loss"], run["lr"]) == ("mse", 0.001)
        threaded("ctl", "a", "stop", "--no-wait")
        threaded.ended("a")


async def test_the_tour_names_the_keys_of_the_user(app, home: Path, threaded: Shell):
    (home / FILE).write_text('[keys]\n"run.step" = "z"\n')
    app = TuitrainApp(home, watch=RunPaths(home / "runs" / "a"), is_tour=True)
    async with app.run_test(size=(80, 24)) as pilot:
        assert "press z 3 times" in await reaches(app, pilot, "One batch at a time")
    threaded("ctl", "a", "stop", "--no-wait")
    threaded.ended("a")


@pytest.mark.parametrize(("lr", "is_done"), [(3.0, True), (0.001, False), (0.0001, False)])
def test_only_a_higher_rate_breaks_a_run(lr: float, is_done: bool):
    change = Intervention("c", "lr", f"{lr}", 0.0, "applied", step=5)
    run = Snapshot.begin("a", Path("a"), new_spec("digits", lr=0.001), 0.0)
    run = replace(
        run, position=(1, 100, 0), interventions=(change,), settings={**run.settings, "lr": lr}
    )
    stop = next(stop for stop in STOPS if stop.title == "Break it")
    assert stop.is_done(run, "Training") == is_done
