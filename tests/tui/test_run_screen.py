"""The run screen over a real record: what it shows is what the trainer said, no more."""

import asyncio
import math
import re
import shutil
import signal
import time
from dataclasses import replace

import pytest

from tests.tui.conftest import STARTED, ScriptedTrainer, epoch, seen, text_of
from tuitrain.connection import pending
from tuitrain.connection.client import Client, Look
from tuitrain.core.commands import Change, Command, Pause, Resume, Step, Stop, SwapLoss
from tuitrain.core.events import (
    CommandAccepted,
    CommandRefused,
    Failed,
    Finished,
    LossSwapped,
    Paused,
    Resumed,
    StartupReached,
    Stopped,
    Warned,
)
from tuitrain.store.delta import Cursor, SegmentsAfter
from tuitrain.tui.app import TuitrainApp
from tuitrain.tui.screens import run
from tuitrain.tui.widgets.loss_chart import LossChart
from tuitrain.view.panel import panels

WIDE, NARROW = (140, 40), (80, 24)


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_a_batch_loss_reaches_the_screen(app: TuitrainApp, trainer: ScriptedTrainer, size):
    trainer.records(STARTED)
    trainer.trains([1 / step for step in range(1, 31)])
    trainer.records(epoch(1))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        text = await seen(app)

    assert "● running" in text
    assert "0.0333" in text, "the newest batch loss"
    assert "0.7500" in text, "the validation loss"
    assert "0.8750" in text, "the accuracy"
    assert "loss: cross-entropy" in text
    assert any(0x2800 < ord(cell) <= 0x28FF for cell in text), "a curve"
    assert "1/4 epochs" in text


async def test_who_ran_the_app_has_the_signal_handlers_of_before(app: TuitrainApp):
    before = signal.getsignal(signal.SIGTERM)
    async with app.run_test():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


async def test_an_app_that_ends_within_a_look_at_its_run_ends_without_an_error(
    app: TuitrainApp, monkeypatch
):
    draw, draws, is_gone = LossChart.draw_of, asyncio.Event(), asyncio.Event()

    async def draw_until_it_is_gone(chart: LossChart, subject: object) -> None:
        await draw(chart, subject)
        draws.set()
        await is_gone.wait()

    monkeypatch.setattr(LossChart, "draw_of", draw_until_it_is_gone)
    monkeypatch.setattr(LossChart, "on_unmount", lambda _chart: is_gone.set(), raising=False)
    async with app.run_test():
        await draws.wait()


async def test_before_the_first_batch_it_says_what_it_waits_for(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        assert "starting the trainer …" in await seen(app)
        trainer.records(StartupReached("loading PyTorch"))
        assert "loading PyTorch … 0 s" in await seen(app)
        trainer.now = time.time() - 3600  # somebody else started it
        trainer.records(StartupReached("waiting for 2 hosts at a:29400"))
        assert re.search(r"waiting for 2 hosts at a:29400 … 36\d\d s", await seen(app))


async def test_the_chart_names_no_stage_that_is_over_when_the_header_says_running(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    trainer.records(StartupReached("loading digits"))
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        assert "loading digits … 0 s" in await seen(app)
        trainer.records(STARTED)
        await app.screen.follow()
        text = text_of(app)
        assert "● running" in text.splitlines()[0]
        assert "waiting for the first batch … " in text
        assert "loading digits … 0 s" not in text
        trainer.trains([1.0])
        await app.screen.follow()
        assert "waiting for the first batch" not in text_of(app)


KEYS = [
    ("space", Pause(), "batch"),
    ("p", Pause(), "epoch"),
    ("full_stop", Step(1), "batch"),
]


@pytest.mark.parametrize(("key", "command", "at"), KEYS)
async def test_a_key_sends_its_command_and_the_screen_calls_it_asked_for(
    app: TuitrainApp, trainer: ScriptedTrainer, key: str, command: Command, at: str
):
    trainer.records(STARTED)
    trainer.trains([1.0, 0.5])
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        await seen(app)
        await pilot.press(key)
        text = text_of(app)
        (request,) = trainer.commands()

    assert (request.command, request.at) == (command, at)
    assert f"asked: {command.kind}" in text
    assert "● running" in text, "it is not paused before the trainer says so"


async def test_a_trainer_that_does_not_answer_is_told_of(
    app: TuitrainApp, trainer: ScriptedTrainer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pending, "SILENT_S", 0.0)
    trainer.records(STARTED)
    async with app.run_test(size=(120, 30), notifications=True) as pilot:
        await pilot.press("space")
        text = await seen(app)
        assert "asked: pause, no answer for " in text
        await pilot.pause()
        assert "No answer: its trainer" in text_of(app)
        (request,) = trainer.commands()
        trainer.records(CommandRefused(request.id, "pause", "", "no", request.asked_at))
        assert "no answer" not in await seen(app)


async def test_the_last_word_is_shown_when_the_lock_is_free(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    trainer.records(STARTED)
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        trainer.says_last(Stopped(None, 1, 2, 0, ""))
        assert "● running" in await seen(app)
        assert "● running" in await seen(app)
        trainer.dies()
        assert "● stopped" in await seen(app)


async def test_paused_is_shown_only_when_it_is(app: TuitrainApp, trainer: ScriptedTrainer):
    trainer.records(STARTED)
    trainer.trains([1.0] * 5)
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        await seen(app)
        await pilot.press("p")
        (request,) = trainer.commands()
        trainer.records(CommandAccepted(request.id, "pause", "", "epoch", request.asked_at))
        assert "● pausing" in await seen(app)
        trainer.records(Paused(request.id, 1, 23, 1))
        text = await seen(app)
        assert "● paused" in text
        assert "asked:" not in text.splitlines()[0]
        await pilot.pause()
        assert "Go on" in text_of(app), "the footer follows"
        await pilot.press("space")
        assert trainer.commands()[-1].command == Resume()
        trainer.records(Resumed(trainer.commands()[-1].id, 1, 23, 1))
        assert "● running" in await seen(app)


async def test_a_paused_run_is_read_less_often_until_a_command_is_pending(
    app: TuitrainApp, trainer: ScriptedTrainer, monkeypatch: pytest.MonkeyPatch
):
    trainer.records(STARTED)
    trainer.trains([1.0] * 5)
    trainer.records(Paused(None, 1, 5, 0))
    monkeypatch.setattr(run, "PULL_S", 60.0)
    reads: list[Cursor] = []
    look = Client.look

    def counted(client: Client, cursor: Cursor, *segments_after: SegmentsAfter) -> Look:
        reads.append(cursor)
        return look(client, cursor, *segments_after)

    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        await seen(app)
        monkeypatch.setattr(Client, "look", counted)
        screen = next(one for one in app.screen_stack if isinstance(one, run.RunScreen))
        for _ in range(3):
            await screen.follow()
        assert len(reads) == 1
        await pilot.press("full_stop")
        reads.clear()
        for _ in range(3):
            await screen.follow()
        assert len(reads) >= 3


async def test_a_loss_is_picked_with_what_it_is_and_when_it_takes_effect(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    trainer.records(STARTED)
    trainer.trains([1.0] * 5)
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        await seen(app)
        await pilot.press("l", "down", "down")
        await pilot.pause()
        picker = text_of(app)
        await pilot.press("enter")
        await pilot.pause()
        (request,) = trainer.commands()

    assert "mean (p − t)²" in picker
    assert "one-hot" in picker
    assert "at the end of this epoch" in picker
    assert (request.command, request.at) == (SwapLoss("mse"), "epoch")


async def test_the_loss_in_use_is_not_asked_for_again(app: TuitrainApp, trainer: ScriptedTrainer):
    trainer.records(STARTED)
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        await seen(app)
        await pilot.press("l", "enter")
        await pilot.pause()
        assert trainer.commands() == []


async def test_a_refusal_is_told_with_its_reason(app: TuitrainApp, trainer: ScriptedTrainer):
    trainer.records(STARTED, CommandRefused("w", "loss", "mse", "mse is \x1b[31min use", 0.0))
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        text = await seen(app)

    assert "loss mse refused: mse is ␛[31min use" in text


async def test_bad_numbers_neither_end_nor_blank_the_screen(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    trainer.records(STARTED)
    trainer.trains([1.0, 0.9, math.nan, math.inf, -math.inf, 1e308, -1e308, 0.8, 0.7, 0.6])
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        text = await seen(app)

    assert "0.6000" in text
    assert any(0x2800 < ord(cell) <= 0x28FF for cell in text)


async def test_pace_keys_go_up_and_down_the_rungs(app: TuitrainApp, trainer: ScriptedTrainer):
    trainer.records(STARTED)
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        await seen(app)
        await pilot.press("less_than_sign", "less_than_sign", "greater_than_sign")
        assert [command.command for command in trainer.commands()] == [
            Change("pace", 2000), Change("pace", 1000), Change("pace", 2000)
        ]  # fmt: skip


async def test_stopping_asks_first(app: TuitrainApp, trainer: ScriptedTrainer):
    trainer.records(STARTED)
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        await seen(app)
        await pilot.press("S", "n")
        await pilot.pause()
        assert trainer.commands() == []
        await pilot.press("S", "y")
        await pilot.pause()
        assert [command.command for command in trainer.commands()] == [Stop()]


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
async def test_leaving_a_going_run_asks_and_detaching_sends_nothing(
    app: TuitrainApp, trainer: ScriptedTrainer, key: str
):
    trainer.records(STARTED)
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        await seen(app)
        await pilot.press(key)
        await pilot.pause()
        assert "Detach" in text_of(app)
        await pilot.press("d")
        await pilot.pause()

    assert app.return_value is not None
    assert app.return_value.state == "running"
    assert trainer.commands() == []


async def test_a_trainer_that_died_reads_as_crashed_and_can_be_left_at_once(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    trainer.records(STARTED)
    trainer.trains([1.0] * 5)
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        await seen(app)
        trainer.dies()
        assert "● crashed" in await seen(app)
        await pilot.press("space", "q")
        await pilot.pause()

    assert trainer.commands() == []
    assert app.return_value is not None


@pytest.mark.parametrize(
    ("last", "word"),
    [(Finished(1, 92, 4), "finished"), (Failed("no memory is left"), "no memory is left")],
)
async def test_an_ended_run_says_how_it_ended(
    app: TuitrainApp, trainer: ScriptedTrainer, last: Finished | Failed, word: str
):
    trainer.records(STARTED, last)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        assert word in await seen(app)


async def test_help_names_every_key_and_sign(app: TuitrainApp, trainer: ScriptedTrainer):
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        await pilot.press("question_mark")
        await pilot.pause()
        text = text_of(app)
        await pilot.press("escape")
        await pilot.pause()
        assert "Keys and signs" not in text_of(app)

    assert "Pause after this batch" in text
    assert "the smoothed loss" in text


async def test_odd_sizes_and_resizing_do_no_harm(app: TuitrainApp, trainer: ScriptedTrainer):
    trainer.records(STARTED)
    trainer.trains([1 / step for step in range(1, 31)])
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        await seen(app)
        for size in ((40, 10), (20, 5), (1, 1), (300, 80)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            await seen(app)
            await pilot.resize_terminal(*NARROW)
            await pilot.pause()
            assert "0.0333" in await seen(app), f"after {size}"


async def test_nothing_is_repainted_while_nothing_happens(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    trainer.records(STARTED)
    trainer.trains([1.0] * 30)
    trainer.records(Paused(None, 1, 30, 1))
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        await seen(app)
        before = app.screen.slow_snapshot
        for _ in range(20):
            await seen(app)
        assert app.screen.slow_snapshot == before


async def test_a_panel_that_cannot_be_drawn_says_so_and_the_app_goes_on(app, trainer, monkeypatch):
    def fails(*_):
        raise ZeroDivisionError

    trainer.records(STARTED)
    trainer.trains([0.5] * 60)
    async with app.run_test(size=(140, 40)) as pilot:
        await pilot.pause()
        monkeypatch.setattr("tuitrain.view.panel.panels.progress", fails)
        trainer.records(Warned("draw it again"))
        assert "cannot read this: ZeroDivisionError" in await seen(app)


async def test_a_run_that_is_deleted_under_its_screen_is_said_to_be_deleted(app, trainer):
    trainer.records(STARTED)
    trainer.trains([0.5] * 5)
    async with app.run_test(size=WIDE) as pilot:
        assert "● running" in await seen(app)
        trainer.dies()
        shutil.rmtree(trainer.paths.directory)
        await seen(app)
        await pilot.pause()  # advice takes a line, for which the screen is laid out anew
        text = text_of(app)
        assert "● deleted" in text
        assert "the run was deleted: nothing of it is left" in text
        assert "crashed" not in text
        assert text.count("cannot read this: the run was deleted") == 2, "no chart of what is left"


async def test_the_footer_offers_no_key_for_an_ended_run_that_is_deleted(app, trainer):
    trainer.records(STARTED, Finished(1, 92, 4))
    async with app.run_test(size=WIDE) as pilot:
        await seen(app)
        await pilot.pause()
        assert "Resume" in text_of(app)
        shutil.rmtree(trainer.paths.directory)
        await seen(app)
        await pilot.pause()
        assert "● deleted" in text_of(app)
        assert "Resume" not in text_of(app)


async def test_opening_a_run_never_paints_it_before_its_record_is_read(app, trainer, monkeypatch):
    trainer.records(STARTED)
    trainer.trains([0.5] * 5)
    painted = []
    drawn = panels.header
    monkeypatch.setattr(
        panels,
        "header",
        lambda run, *more: painted.append((run.state, run.step)) or drawn(run, *more),
    )
    async with app.run_test(size=WIDE):
        await seen(app)
    assert set(painted) == {("running", 5)}


async def test_a_key_that_an_ended_run_cannot_follow_says_what_goes_on(app, trainer):
    trainer.records(STARTED, Finished(1, 92, 4))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.pause()
        await seen(app)
        for key in (".", "l", "r", "u", "c"):
            await pilot.press(key)
            await pilot.pause()
            assert "The run is finished; R goes on." in text_of(app), key
            app.clear_notifications()
            await pilot.pause()
            assert "R goes on." not in text_of(app)
        await pilot.press("b")
        await pilot.pause()
        assert "The run is finished; f begins" in text_of(app)
    assert trainer.commands() == []


async def test_a_loss_of_the_users_own_is_not_taken_for_the_built_in_one_of_its_name(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    problem = replace(STARTED.problem, losses=("cross-entropy", "mse"), own_losses=("mse",))
    trainer.records(replace(STARTED, problem=problem))
    trainer.trains([1.0])
    trainer.records(LossSwapped("w", 1, 1, 0, "mse:scale=3", "cross-entropy"))
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        await seen(app)
        await pilot.press("l")
        await pilot.pause()
        picker = text_of(app)

    assert "a loss of this run's own" in picker
    assert "mean (p − t)²" not in picker
