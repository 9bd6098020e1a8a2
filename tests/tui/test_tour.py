"""The guided tour, done by its own instructions, on a run that trains."""

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import Shell
from tests.tui.conftest import seen, text_of
from tuitrain.catalog import fitting_losses, new_spec
from tuitrain.cli.tour import left_midway, spec_of_tour
from tuitrain.core.events import EpochEnded
from tuitrain.core.spec import RunSpec
from tuitrain.history.lineage import Lineage
from tuitrain.store.paths import RunPaths
from tuitrain.trainer import supervisor
from tuitrain.tui.app import TuitrainApp
from tuitrain.tui.keys import FILE
from tuitrain.tui.widgets.run_panels import RunAdvice
from tuitrain.view.panel.tour import STOPS
from tuitrain.view.state.snapshot import Intervention, Snapshot

TRIES = 600


async def reaches(app: TuitrainApp, pilot, words: str) -> str:
    """Follow the run until the screen has the words, and return its text without line breaks."""
    for _ in range(TRIES):
        text = " ".join((await seen(app)).split())
        if words in text:
            return text
        await pilot.pause(0.02)
    return pytest.fail(f"waited for {words!r} in vain\n{text_of(app)}")


@pytest.fixture
def spec() -> RunSpec:
    return replace(spec_of_tour(), pace=300)


@pytest.fixture
def app(threaded: Shell, home: Path, spec: RunSpec) -> TuitrainApp:
    return app_on(supervisor.start(home, spec, "tour").paths)


def app_on(paths: RunPaths) -> TuitrainApp:
    return TuitrainApp(paths.directory.parent.parent, watch=paths, is_tour=True)


async def test_each_stop_is_done_by_what_it_says_and_the_run_waits_while_one_reads(
    app, home: Path, threaded: Shell, spec: RunSpec
):
    async with app.run_test(size=(80, 24)) as pilot:
        await learn(app, pilot)
        await swap(app, pilot)
        await break_it(app, pilot)
    again = app_on(RunPaths(home / "runs" / "tour"))
    async with again.run_test(size=(80, 24)) as pilot:
        await rescue(again, pilot)
        assert left_midway(home, spec) is not None
        run = threaded.show("tour")
        assert (run["loss"], run["lr"], run["state"]) == ("cross-entropy", 0.1, "paused")
        threaded("ctl", "tour", "stop", "--no-wait")
        threaded.ended("tour")
        assert left_midway(home, spec) is None


async def learn(app: TuitrainApp, pilot) -> None:
    text = await reaches(app, pilot, "0 of 3")
    assert "4 backward for each weight its gradient" in text
    for done in (1, 2):
        await pilot.press("full_stop")
        await reaches(app, pilot, f"{done} of 3")
    await pilot.press("full_stop")
    text = await reaches(app, pilot, "five steps of batch 3")
    assert re.search(r"4 backward .* gradient norm \d", text), "the view of the batch is shown"
    await pilot.press("enter", "space")
    await reaches(app, pilot, "▸ press 1 for the charts ? Help")  # all that is still missing
    await reaches(app, pilot, "● paused")
    await pilot.press("1")
    await reaches(app, pilot, "the loss, mse, is almost flat")


async def swap(app: TuitrainApp, pilot) -> None:
    await pilot.press("enter", "3")
    text = await reaches(app, pilot, "mse levels off")
    assert "log-odds of the right class" in text, "the curve has room at 80 columns"
    await pilot.press("enter", "l", *["up"] * places().index("mse"), "enter", "1", "space")
    text = await reaches(app, pilot, "epochs of cross-entropy")
    before, after = map(float, re.findall(r"Accuracy (0\.\d+) with mse, (0\.\d+)", text)[0])
    assert after > before + 0.5


async def break_it(app: TuitrainApp, pilot) -> None:
    await pilot.press("enter", "r", *["backspace"] * 8, "3", "enter")
    text = await reaches(app, pilot, "sgd lr 3 ·")
    assert "What it shows" not in text, "the loss has not risen yet"
    await pilot.press("space")
    await reaches(app, pilot, "a run that diverges")
    assert not app.screen.query(RunAdvice), "no other advice than the tour's"


async def rescue(app: TuitrainApp, pilot) -> None:
    await reaches(app, pilot, "Rescue it")
    await pilot.press("1", "u")
    if "abandoned" in text_of(app):
        await pilot.press("y")
    await reaches(app, pilot, "take 2")
    await pilot.press("space")
    await reaches(app, pilot, "as if the change had never been made")
    await pilot.press("enter")
    text = await reaches(app, pilot, "That was the tour")
    assert "tuitrain attach tour shows it again" in text


async def test_the_tour_goes_on_where_it_was_left_also_where_the_record_does_not_show_it(
    app, home: Path, threaded: Shell
):
    paths = RunPaths(home / "runs" / "tour")
    async with app.run_test(size=(80, 24)) as pilot:
        await learn(app, pilot)
        await pilot.press("enter", "3")
        await reaches(app, pilot, "mse levels off")
        await pilot.pause()
    async with app_on(paths).run_test(size=(80, 24)) as pilot:
        await reaches(pilot.app, pilot, "mse levels off")
        await pilot.press("enter")
        await reaches(pilot.app, pilot, "Swap it in the live run")
        await pilot.pause()
    async with app_on(paths).run_test(size=(80, 24)) as pilot:
        await reaches(pilot.app, pilot, "Swap it in the live run")
    threaded("ctl", "tour", "stop", "--no-wait")
    threaded.ended("tour")
    (home / "runs" / "tour").rename(home / "gone")
    supervisor.start(home, spec_of_tour(), "tour")
    async with app_on(paths).run_test(size=(80, 24)) as pilot:
        await reaches(pilot.app, pilot, "One batch at a time")  # another run
    threaded("ctl", "tour", "stop", "--no-wait")
    threaded.ended("tour")


def places() -> list[str]:
    return [loss.name for loss in fitting_losses("multiclass")]


async def test_the_tour_names_the_keys_of_the_user(app, home: Path, threaded: Shell):
    (home / FILE).write_text('[keys]\n"run.step" = "z"\n')
    async with app_on(RunPaths(home / "runs" / "tour")).run_test(size=(80, 24)) as pilot:
        assert "press z to train one batch" in await reaches(pilot.app, pilot, "One batch")
    threaded("ctl", "tour", "stop", "--no-wait")
    threaded.ended("tour")


@pytest.mark.parametrize(
    ("lr", "val_loss", "is_done"),
    [(3.0, 2.4, True), (3.0, math.nan, True), (3.0, 0.3, False), (0.001, 2.4, False)],
)
def test_only_a_loss_that_a_higher_rate_made_rise_is_a_broken_run(
    lr: float, val_loss: float, is_done: bool
):
    change = Intervention("c", "lr", f"{lr}", 0.0, "applied", step=100, epoch=1)
    run = Snapshot.begin("a", Path("a"), new_spec("digits", lr=0.1), 0.0)
    run = replace(
        run, interventions=(change,), lineage=Lineage.of(new_spec("digits", lr=lr)),
        epochs=(epoch(1, 0.4), epoch(2, val_loss)),
    )  # fmt: skip
    stop = next(stop for stop in STOPS if stop.title == "Break it")
    assert stop.is_done(run, "Training") == is_done


def epoch(number: int, val_loss: float) -> EpochEnded:
    return EpochEnded(1, 99 * number, number, "cross-entropy", val_loss, val_loss, {}, False)
