"""Dialogs over a run that goes on: behind them nothing is drawn until they close."""

from dataclasses import replace
from pathlib import Path

import pytest
from textual.color import Color
from textual.pilot import Pilot
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static

from tests.tui.conftest import STARTED, ScriptedTrainer, seen, text_of
from tests.tui.test_run_screen import epoch
from tuitrain.catalog import new_spec
from tuitrain.core.commands import Stop
from tuitrain.core.events import CheckpointSaved, Finished, NotFinite, Paused, Resumed
from tuitrain.core.problem import LossOption, Problem
from tuitrain.store.paths import RunPaths
from tuitrain.store.reader import RunReader
from tuitrain.tui.app import DIALOGS, TuitrainApp
from tuitrain.tui.screens.choice import Choice, ChoiceScreen
from tuitrain.tui.screens.epoch import FORK, EpochScreen
from tuitrain.tui.screens.help import HelpScreen
from tuitrain.tui.screens.losses import LossesScreen
from tuitrain.tui.screens.note import NoteScreen
from tuitrain.tui.screens.number import NumberScreen
from tuitrain.tui.screens.parameters import ParametersScreen
from tuitrain.tui.screens.rate_sweep import RateSweepScreen
from tuitrain.tui.screens.resume import ResumeScreen
from tuitrain.tui.screens.run import RunScreen
from tuitrain.tui.widgets.cells import Cells
from tuitrain.view.panel.forks import KeptEpoch
from tuitrain.view.state.snapshot import Snapshot

WIDE = (140, 40)
PANELS = ("header", "vitals", "epochs", "events", "progress", "loss", "metrics")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Return the panels that were given a picture, in order, as it goes on."""
    panels: list[str | None] = []
    show = Cells.show

    def noted(panel: Cells, picture) -> None:
        panels.append(panel.id)
        show(panel, picture)

    monkeypatch.setattr(Cells, "show", noted)
    return panels


async def trained_on(app: TuitrainApp, trainer: ScriptedTrainer, pilot: Pilot, epochs: range):
    for number in epochs:
        trainer.trains([1 / number] * 23)
        trainer.records(epoch(number))
        await seen(app)
        await pilot.pause()


async def test_behind_a_dialog_nothing_is_drawn_and_all_is_when_it_closes(
    app: TuitrainApp, trainer: ScriptedTrainer, drawn
):
    trainer.records(STARTED)
    async with app.run_test(size=WIDE) as pilot:
        await trained_on(app, trainer, pilot, range(1, 3))
        for turn, key in enumerate(("q", "S", "l", "r", "e", "question_mark", "ctrl+p")):
            newest = 6 + 4 * turn
            await pilot.press(key)
            await pilot.pause()
            assert not isinstance(app.screen, RunScreen), key
            drawn.clear()
            await trained_on(app, trainer, pilot, range(newest - 3, newest + 1))
            assert set(drawn) <= {"beside"}, f"{key}: the picker draws its own curve"

            await pilot.press("escape")
            while not isinstance(app.screen, RunScreen):
                await pilot.pause()
            await pilot.pause()
            text = await seen(app)
            assert f"{23 * newest}" in text, f"the newest step after {key}"
            assert f"{newest}/4" in text, f"the newest epoch after {key}"
            assert {panel for panel in PANELS if drawn.count(panel) > 2} == set(), (
                "one catch-up: at most a picture of the numbers, and one of what is settled"
            )
            assert {"vitals", "epochs", "loss", "metrics"} <= set(drawn), key


async def test_behind_a_dialog_a_change_of_size_is_drawn(
    app: TuitrainApp, trainer: ScriptedTrainer, drawn
):
    trainer.records(STARTED)
    async with app.run_test(size=WIDE) as pilot:
        await trained_on(app, trainer, pilot, range(1, 3))
        await pilot.press("q")
        await pilot.pause()
        drawn.clear()
        await pilot.resize_terminal(120, 36)
        await pilot.pause()
        await seen(app)
        assert drawn.count("loss") == 1
        await trained_on(app, trainer, pilot, range(3, 5))
        assert drawn.count("loss") == 1


async def test_what_a_dialog_asked_for_shows_when_it_closes(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    trainer.records(STARTED)
    trainer.trains([0.5])
    async with app.run_test(size=WIDE) as pilot:
        await seen(app)
        await pilot.press("S", "y")
        await pilot.pause()
        assert "asked: stop" in text_of(app)
        (request,) = trainer.commands()
        assert request.command == Stop()


async def test_val_losses_are_not_advised_for_what_validations_of_counts_leave_out(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    option = LossOption("log_input", "yes")
    problem = Problem("regression", losses=("cross-entropy", "l1", "poisson-nll"),
                      options={"poisson-nll": (option,)})  # fmt: skip
    trainer.records(replace(STARTED, problem=problem))
    async with app.run_test(size=WIDE) as pilot:
        trainer.trains([0.5] * 23)
        trainer.records(replace(epoch(1), val_losses={"cross-entropy": 0.5}))
        await seen(app)
        await pilot.press("l", "home", "down")
        await pilot.pause()
        assert "val losses" in text_of(app)
        await pilot.press("down")
        await pilot.pause()
        assert "recorded once it is used" in text_of(app)
        assert "val losses" not in text_of(app)


@pytest.mark.parametrize(
    ("key", "said"), [("l", "loss is known once"), ("r", "lr is known"), ("e", "epochs is known")]
)
async def test_what_a_task_of_ones_own_has_is_asked_for_only_once_it_is_loaded(
    run_paths: RunPaths, tmp_path: Path, key: str, said: str
):
    (tmp_path / "mine.py").write_text("")
    trainer = ScriptedTrainer(run_paths, new_spec(str(tmp_path / "mine.py")))
    app = TuitrainApp(Path("unused"), watch=run_paths)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await seen(app)
        await pilot.press(key)
        await pilot.pause()
        assert isinstance(app.screen, RunScreen)
        assert said in text_of(app)
        assert "mine.py is loaded" in text_of(app)
    trainer.dies()
    trainer.close()


@pytest.mark.parametrize("key", ["question_mark", "l"])
async def test_a_scrollbar_is_thin_and_has_the_colours_of_the_theme(
    app: TuitrainApp, trainer: ScriptedTrainer, key: str
):
    trainer.records(STARTED)
    trainer.trains([1.0])
    async with app.run_test(size=(40, 10)) as pilot:
        await seen(app)
        await pilot.press(key)
        await pilot.pause()
        scrolled = [widget for widget in app.screen.query("*") if widget.show_vertical_scrollbar]
        assert {widget.scrollbar_size_vertical for widget in scrolled} - {0} == {1}
        background = Color.parse(app.theme_variables["background"])
        assert {widget.styles.scrollbar_background for widget in scrolled} == {background}


def _dialogs(run: Snapshot) -> dict[type[ModalScreen], ModalScreen]:
    """Return each dialog with the longest texts that it has."""
    problem = run.problem
    parameters = max(problem.options, key=lambda name: len(problem.options[name]))
    kept = [KeptEpoch(CheckpointSaved(1, 23 * number, number, "epoch", "", 1, "00", "00"),
                      epoch(number), is_best=number == 1) for number in range(1, 5)]  # fmt: skip
    yes_or_no = [Choice("yes", "y", "Yes"), Choice("no", "n", "No")]
    made = (
        ChoiceScreen("Stop", "It is running. Stop it at this step, with a checkpoint?", yes_or_no),
        EpochScreen("fork a", FORK, kept),
        LossesScreen(lambda: run, RunReader(RunPaths(run.directory).record)),
        NoteScreen("tag", run),
        NumberScreen("lr", 0.001),
        ParametersScreen(problem, parameters),
        ResumeScreen(run),
    )
    return {type(dialog): dialog for dialog in made}


async def test_in_a_dialog_the_choices_stand_before_the_prose(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    trainer.records(STARTED)
    async with app.run_test(size=(80, 24)) as pilot:
        await trained_on(app, trainer, pilot, range(1, 3))
        screen = app.screen
        assert isinstance(screen, RunScreen)
        dialogs = _dialogs(screen.latest)
        without_choices = {HelpScreen, RateSweepScreen}
        assert {*DIALOGS} == {*dialogs} | without_choices
        for dialog in dialogs.values():
            app.push_screen(dialog)
            await pilot.pause()
            focused = dialog.focused
            assert isinstance(focused, Input | OptionList), dialog
            above = [text for text in dialog.query(Static) if text.region.y < focused.region.y]
            rows = sum(text.region.height for text in above)
            is_of_parameters = isinstance(dialog, ParametersScreen)
            assert rows <= (2 if is_of_parameters else 1), (
                f"{dialog}: a question, or a row for each"
            )
            app.pop_screen()
            await pilot.pause()


@pytest.mark.parametrize("key", ["q", "r", "l", "question_mark"])
async def test_a_dialog_says_that_the_run_behind_it_is_paused_goes_on_or_has_ended(
    app: TuitrainApp, trainer: ScriptedTrainer, key: str
):
    trainer.records(STARTED)
    trainer.trains([1.0])
    async with app.run_test(size=(80, 24)) as pilot:
        await seen(app)
        await pilot.press(key)
        await pilot.pause()
        assert "the run" not in await border(app, pilot)
        for event, said in (
            (NotFinite(1, 1, 0, "loss"), ""),
            (Paused(None, 1, 1, 0), "the run is paused: loss not finite at step 1"),
            (Resumed("w", 1, 1, 0), ""),
            (Finished(1, 1, 0), "the run has finished"),
        ):
            trainer.records(event)
            below = await border(app, pilot)
            assert said in below
            assert ("the run" in below) == bool(said)
        await pilot.press("escape")
        while not isinstance(app.screen, RunScreen):
            await pilot.pause()
        assert "finished" in await seen(app)


async def border(app: TuitrainApp, pilot: Pilot) -> str:
    """Follow the run and return the lower border of the dialog over it."""
    await seen(app)
    await pilot.pause()
    return next(line for line in text_of(app).splitlines() if "╰" in line and "╯" in line)
