"""When the charts of the run screen are drawn, and of what."""

import asyncio
import re
import threading

import pytest
from textual import events
from textual.app import App, ComposeResult
from textual.widgets._footer import FooterKey

from tests.tui.conftest import STARTED, ScriptedTrainer, epoch, seen, text_of
from tuitrain.core.events import Finished, LossSwapped
from tuitrain.tui.app import TuitrainApp
from tuitrain.tui.widgets.async_picture import AsyncPicture
from tuitrain.tui.widgets.metric_charts import MetricCharts
from tuitrain.view.picture import plain

WIDE, NARROW = (140, 40), (80, 24)


class Drawings:
    """Notes which panels are drawn; while it is held, no drawing comes to its end."""

    def __init__(self) -> None:
        self.begun: list[str | None] = []
        self._may_end = threading.Event()

    def wait(self, panel: str | None) -> None:
        self.begun.append(panel)
        self._may_end.wait()

    def __enter__(self) -> None:
        """Hold them until the end of the block."""

    def __exit__(self, *_error: object) -> None:
        self._may_end.set()


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Drawings:
    drawings, draw = Drawings(), AsyncPicture._timed

    def waiting(panel: AsyncPicture, *what: object) -> object:
        drawings.wait(panel.id)
        return draw(panel, *what)

    monkeypatch.setattr(AsyncPicture, "_timed", waiting)
    return drawings


@pytest.fixture
def keys_made(monkeypatch: pytest.MonkeyPatch) -> list[FooterKey]:
    made: list[FooterKey] = []
    make = FooterKey.__init__

    def noted(key: FooterKey, *words: str, **more: object) -> None:
        made.append(key)
        make(key, *words, **more)

    monkeypatch.setattr(FooterKey, "__init__", noted)
    return made


async def test_the_first_numbers_and_keys_wait_for_no_drawing(
    app: TuitrainApp, trainer: ScriptedTrainer, held: Drawings, keys_made: list[FooterKey]
):
    trainer.records(STARTED)
    trainer.trains([2.0] * 23)
    trainer.records(epoch(1), Finished(1, 23, 1))
    async with app.run_test(size=WIDE) as pilot:
        with held:
            async with asyncio.timeout(20):
                while not {"loss", "metrics"} <= {*held.begun}:
                    await pilot.pause()
            text = text_of(app)
            assert "val loss 0.75" in text
            assert text.splitlines()[-1].startswith("? Help q Leave")
            assert {*keys_made} == {*app.screen.footer.children}, "made once"


async def test_keys_act_while_pictures_are_drawn_and_come_before_the_frame_that_is_due(
    app: TuitrainApp, trainer: ScriptedTrainer, held: Drawings
):
    trainer.records(STARTED)
    trainer.trains([2.0] * 23)
    trainer.records(epoch(1))
    async with app.run_test(size=WIDE) as pilot:
        with held:
            async with asyncio.timeout(20):
                while "loss" not in held.begun:
                    await pilot.pause()
                for key in ("2", "3", "5", "6"):
                    app.post_message(events.Key(key, key))
                while "output" not in held.begun:
                    await pilot.pause()
            assert app.screen.views.current == "view-log"
            assert {*held.begun}.isdisjoint({"steps", "curve", "layers"}), "no view in between"


async def test_a_swap_is_marked_and_begins_a_new_segment(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    trainer.records(STARTED)
    trainer.trains([2.0] * 46)
    trainer.records(LossSwapped("w", 1, 46, 2, "mse", "cross-entropy"))
    trainer.trains([0.01] * 46)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        text = await seen(app)

    assert "loss: mse" in text
    assert "mse ▸" in text
    assert "loss cross-entropy → mse after step 46" in text


VAL_LOSSES = {"cross-entropy": 0.75, "bce-with-logits": 0.5, "mse": 0.0625, "l1": 0.03125}


async def test_what_compares_across_a_swap_goes_on_below_the_loss_chart(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    trainer.records(STARTED)
    trainer.trains([2.0] * 23)
    trainer.records(epoch(1, val_losses=VAL_LOSSES))
    trainer.records(LossSwapped("w", 1, 23, 1, "mse", "cross-entropy"))
    trainer.trains([0.01] * 46)
    trainer.records(epoch(2, loss_name="mse", val_losses=VAL_LOSSES))
    last = {"loss_name": "mse", "val_losses": {**VAL_LOSSES, "mse": 0.125}, "improved": False}
    trainer.records(epoch(3, metrics={"accuracy": 0.625}, **last))
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        lines = [line for line in (await seen(app)).splitlines() if line]

    (heading,) = [line for line in lines if "comparable across swaps" in line]
    titles = lines[lines.index(heading) + 1]
    assert re.search("accuracy +0.6250 ★0.8750", titles)
    assert re.search("▸mse +0.1250 ★0.0625", titles)
    assert " cross-entropy " in titles
    assert "f1_macro" not in "".join(lines)
    charts = lines[lines.index(heading) + 2 : lines.index(heading) + 10]
    assert sum(line.count("●") for line in charts) >= 3, "epochs"
    assert charts[-1].count("┴") == 3, "the swap, in each of them"


async def test_on_a_narrow_screen_a_key_shows_what_compares_in_the_loss_charts_place(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    trainer.records(STARTED)
    trainer.trains([2.0] * 46)
    trainer.records(epoch(1, val_losses=VAL_LOSSES), epoch(2, val_losses=VAL_LOSSES))
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        assert "comparable" not in await seen(app)
        await pilot.press("v")
        await pilot.pause()
        text = await seen(app)
        assert "loss: cross-entropy" not in text
        for name in ("accuracy", "▸cross-entropy", "bce-with-logits", "mse", "l1"):
            assert name in text
        await pilot.press("v")
        await pilot.pause()
        text = await seen(app)
        assert "loss: cross-entropy" in text
        assert "comparable" not in text


async def test_curves_that_compare_are_drawn_anew_only_when_an_epoch_ends(
    app: TuitrainApp, trainer: ScriptedTrainer, monkeypatch
):
    trainer.records(STARTED)
    trainer.trains([2.0] * 46)
    trainer.records(epoch(1, val_losses=VAL_LOSSES), epoch(2, val_losses=VAL_LOSSES))
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        await seen(app)
        pictures = []
        monkeypatch.setattr(app.screen.metrics, "show", pictures.append)
        for _ in range(3):
            trainer.trains([2.0] * 5)
            for _ in range(6):
                await seen(app)
        assert pictures == []
        trainer.trains([2.0] * 8)
        trainer.records(epoch(3, val_losses=VAL_LOSSES))
        for _ in range(6):
            await seen(app)
        assert len(pictures) == 1


async def test_the_first_epochs_are_drawn_at_once_however_long_a_drawing_takes(
    app: TuitrainApp, trainer: ScriptedTrainer, monkeypatch
):
    monkeypatch.setattr(MetricCharts, "MOST_CPU_OF_CURVES", 1e-9)
    trainer.records(STARTED)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        await seen(app)
        trainer.trains([2.0] * 46)
        trainer.records(epoch(1, val_losses=VAL_LOSSES), epoch(2, val_losses=VAL_LOSSES))
        pictures = []
        monkeypatch.setattr(app.screen.metrics, "show", pictures.append)
        while not pictures:
            await seen(app)
    cells = plain(pictures[-1])
    assert any(0x2800 < ord(cell) <= 0x28FF for cell in cells)


class Slow(AsyncPicture):
    MOST_CPU = 1e-9


async def test_the_first_drawing_which_imports_what_it_needs_does_not_put_off_the_next():
    class Alone(App[None]):
        def compose(self) -> ComposeResult:
            yield Slow(lambda *_: ())

    async with Alone().run_test() as pilot:
        await pilot.pause()
        picture = pilot.app.query_one(Slow)
        picture.mark_stale()
        await picture.draw_of("first")
        assert picture.is_due
        picture.mark_stale()
        await picture.draw_of("second")
        assert not picture.is_due, "the next one comes as late as that one took"


async def test_a_chart_that_cannot_be_read_says_so_and_goes_on_when_it_can(app, trainer):
    trainer.records(STARTED)
    trainer.trains([0.5] * 60)
    async with app.run_test(size=(140, 40)) as pilot:
        await pilot.pause()
        trainer.trains([0.5] * 3000)
        assert "cannot read" not in await seen(app)
        record = trainer.paths.record
        whole = record.with_name("whole.db")
        record.rename(whole)
        record.mkdir()
        await pilot.resize_terminal(100, 35)
        await pilot.pause()
        assert "cannot read this" in await seen(app)
        record.rmdir()
        whole.replace(record)
        assert "cannot read this" not in await seen(app)
        assert app.is_running
