"""The six views of a run: a digit shows one, and what it does not show is not read."""

import re
from dataclasses import replace

import pytest

from tests.recorded import started
from tests.tui.conftest import STARTED, ScriptedTrainer, seen, text_of
from tuitrain.catalog import new_spec
from tuitrain.connection.client import Client
from tuitrain.core.detail import BATCH, CONFUSION, SAMPLE, SURFACE, WORST
from tuitrain.core.events import EpochEnded, Paused
from tuitrain.core.notes import Note
from tuitrain.store.paths import RunPaths
from tuitrain.store.reader import RunReader
from tuitrain.tui.app import TuitrainApp
from tuitrain.tui.views import VIEWS

WIDE, NARROW, HUGE = (140, 40), (80, 24), (200, 55)
BODY = {
    "input": "(64, 1, 8, 8) float32", "target": "(64,) int64", "output": "(64, 10) float32",
    "gradient_norm": 0.83, "update_ratio": 0.0004, "losses": [0.25, 2.5],
}  # fmt: skip
PLANE = {
    "epoch": 1, "low": [-1, -1], "high": [1, 1], "inputs": [], "targets": [], "predicted": [],
    "levels": ["ffff", "ffff"], "classes": ["0000", "0101"],
}  # fmt: skip


@pytest.fixture
def training(trainer: ScriptedTrainer) -> ScriptedTrainer:
    trainer.records(STARTED)
    trainer.trains([1 / step for step in range(1, 21)])
    trainer.details(BATCH, BODY)
    return trainer


@pytest.mark.parametrize("size", [WIDE, NARROW, HUGE])
async def test_a_digit_shows_its_view_below_numbers_that_never_move(
    app: TuitrainApp, training: ScriptedTrainer, size
):
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        before = (await seen(app)).splitlines()
        tabs = next(at for at, line in enumerate(before) if "1 Training" in line)
        for digit, view in enumerate(VIEWS, 1):
            await pilot.press(str(digit))
            await pilot.pause()
            after = (await seen(app)).splitlines()
            assert after[: tabs + 1] == before[: tabs + 1]
            shown = [panel.title for panel in view.panels if panel.applies is None][:1]
            assert all(title in "\n".join(after) for title in shown)
            assert app.screen.views.current == view.id


async def test_a_view_that_is_not_shown_is_neither_read_nor_drawn(
    app: TuitrainApp, training: ScriptedTrainer, monkeypatch: pytest.MonkeyPatch
):
    reads: list[str] = []
    for name in ("newest_detail", "losses"):
        read = getattr(RunReader, name)

        def counted(client, *about, _name=name, _read=read):
            reads.append(_name)
            return _read(client, *about)

        monkeypatch.setattr(RunReader, name, counted)
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        await seen(app)
        assert set(reads) == {"losses"}
        await pilot.press("2")
        await pilot.pause()
        reads.clear()
        training.trains([0.5])
        assert "what happened in this batch" in await seen(app)
        assert set(reads) == {"newest_detail"}


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_the_five_steps_of_a_batch_have_their_times_shapes_and_numbers(
    app: TuitrainApp, training: ScriptedTrainer, size
):
    async with app.run_test(size=size) as pilot:
        await pilot.press("2")
        await pilot.pause()
        text = await seen(app)

    assert "step 20 · batch 20/23 of epoch 1 · 64 samples · 455 µs" in text
    steps = ["data", "1 zero_grad", "2 forward", "3 loss", "4 backward", "5 step"]
    at = [text.index(f" {name} ") for name in steps]
    assert at == sorted(at)
    if size == WIDE:
        for does in ("the next samples x and their targets y are fetched",
                     "the gradients of the last batch are cleared",
                     "the model computes its outputs from x",
                     "one number says how wrong the outputs are for y",
                     "the chain rule gives each weight its gradient",
                     "the optimizer moves each weight to lower the loss"):  # fmt: skip
            assert does in text
    for said in ("x (64, 1, 8, 8) float32 · y (64,) int64", "outputs (64, 10) float32",
                 "cross-entropy 0.0500", "gradient norm 0.83", "weights moved 0.04 %",
                 "120 µs", "26%", "lr 0.001", "█", "0.2500  2.500"):  # fmt: skip
        assert said in text


async def test_arrows_show_another_sample_of_a_batch_that_was_trained_alone(
    app: TuitrainApp, training: ScriptedTrainer
):
    sample = {"number": 0, "true": 7, "before": [1.0] * 10, "after": [1.0] * 10}
    training.details(SAMPLE, sample | {"others": [sample | {"number": 1}, sample | {"number": 2}]})
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await pilot.press("2")
        await pilot.pause()
        assert "sample 1 of step 20, its most wrong (← →)" in await seen(app)
        await pilot.press("right")
        await pilot.pause()
        assert ". trains one batch: then the arrows" in await seen(app)
        training.records(Paused("p", 1, 20, 0))
        await seen(app)
        for keys, number in ((["right"], 2), (["right", "right"], 1), (["left"], 3)):
            await pilot.press(*keys)
            await pilot.pause()
            assert f"sample {number} of step 20, its " in await seen(app)
        assert app.screen.chart_view.cursor is None, "no cursor moves in the charts of view 1"


async def test_enter_shows_the_focused_panel_alone_and_esc_all_of_them_again(
    app: TuitrainApp, training: ScriptedTrainer
):
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        all_panels = await seen(app)
        await pilot.press("tab", "tab", "tab", "enter")
        await pilot.pause()
        alone = await seen(app)
        await pilot.press("tab")
        await pilot.pause()
        next_one = await seen(app)
        await pilot.press("escape")
        await pilot.pause()
        again = await seen(app)

    assert "loss: cross-entropy" in all_panels
    assert "epochs" in alone
    assert "loss: cross-entropy" not in alone
    assert "events" in next_one
    assert "loss: cross-entropy" in again
    assert "epochs" in again


async def test_without_a_focus_enter_shows_the_first_panel_alone(
    app: TuitrainApp, training: ScriptedTrainer
):
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        await pilot.press("enter")
        await pilot.pause()
        text = await seen(app)
        await pilot.press("2", "1")
        await pilot.pause()
        assert "events" in await seen(app), "another view shows all its panels"
    assert "loss: cross-entropy" in text
    assert "events" not in text


async def test_tab_reaches_every_panel_of_a_view_that_has_room_for_one(
    app: TuitrainApp, training: ScriptedTrainer
):
    training.records(EpochEnded(1, 20, 1, "cross-entropy", 1.0, 1.0, {}, improved=False))
    training.details(CONFUSION, {"counts": [[2] * 10] * 10})
    training.details(WORST, {"epoch": 1, "samples": []})
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press("4")
        await pilot.pause()
        assert "confusion matrix · tab: 2 more" in await seen(app)
        shown = []
        for _ in range(4):
            await pilot.press("tab")
            await pilot.pause()
            shown.append(await seen(app))
        await pilot.press("escape")
        await pilot.pause()
        assert "confusion matrix · tab: 2 more" in await seen(app)

    assert "0.100      0.100   0.100" in shown[0]
    assert "no validation sample is wrong" in shown[1]
    assert "of one or two inputs; this one has 64" in shown[2]
    assert "200 validation samples" in shown[3]


async def test_the_surface_of_a_toy_comes_first_and_has_a_column_where_there_is_room(
    run_paths: RunPaths,
):
    toy = ScriptedTrainer(run_paths, new_spec("moons"))
    toy.records(started("moons"))
    toy.trains([0.5])
    toy.records(EpochEnded(1, 1, 1, "bce-with-logits", 1.0, 1.0, {}, improved=False))
    toy.details(SURFACE, PLANE)
    app = TuitrainApp(run_paths.directory.parents[1], watch=run_paths)
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press("4")
        await pilot.pause()
        await seen(app)
        narrow = await seen(app)
        await pilot.resize_terminal(*WIDE)
        await pilot.pause()
        wide = await seen(app)
        await pilot.press("enter")
        await pilot.pause()
        alone = await seen(app)
    toy.close()

    assert "decision surface · tab: 3 more" in narrow
    assert "confusion matrix" not in narrow
    for title in ("decision surface", "confusion matrix", "results of each class", "gets wrong"):
        assert title in wide
    assert "decision surface · tab: 3 more" in alone
    assert "○ upper · ● lower" in alone


async def test_a_title_beside_another_panel_names_its_key_whole(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    trainer.records(replace(STARTED, environment={"ranks": "2"}))
    trainer.trains([0.5])
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press("5")
        await pilot.pause()
        assert "ranks · tab: 1 more─" in await seen(app)


async def test_advice_has_as_many_lines_as_it_needs(app: TuitrainApp, training: ScriptedTrainer):
    for epoch in range(1, 7):
        training.trains([0.5])
        val_loss = 1.0 if epoch < 3 else 2.0 * epoch
        training.records(EpochEnded(1, 20 + epoch, epoch, "cross-entropy", 1 / epoch, val_loss,
                                    {"accuracy": 0.5}, improved=epoch == 1))  # fmt: skip
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        await seen(app)
        await pilot.pause()  # it has got its room
        lines = [line.rstrip() for line in text_of(app).splitlines()]
    first = next(at for at, line in enumerate(lines) if line.startswith(" ▲ overfitting since"))
    assert next(filter(None, lines[first + 1 :])).endswith("· b goes back")


async def test_v_comes_back_to_the_first_view(app: TuitrainApp, training: ScriptedTrainer):
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press("2", "v")
        await pilot.pause()
        assert "validations, comparable" in await seen(app)


async def test_a_terminal_too_small_for_names_says_which_view_it_shows(
    app: TuitrainApp, training: ScriptedTrainer
):
    async with app.run_test(size=(44, 24)) as pilot:
        await pilot.press("2")
        await pilot.pause()
        text = text_of(app)
    assert " 1  2 Batch  3  4  5  6 " in text


async def test_a_search_finds_what_was_printed_and_esc_ends_it(
    app: TuitrainApp, training: ScriptedTrainer
):
    training.paths.log.write_text("first line\nTraceback: here\n")
    Client(training.paths.directory).write(Note.new("note", "why a trace", (1, 20, 0)))
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press("slash")
        await pilot.pause()
        assert "first line" in await seen(app)
        await pilot.press(*"trace")
        await pilot.pause()
        found = await seen(app)
        await pilot.press("enter")
        await pilot.pause()
        kept = await seen(app)
        await pilot.press("escape")
        await pilot.pause()
        every_line = await seen(app)
        await pilot.press("slash", *"trace", "escape")
        await pilot.pause()
        again = await seen(app)

    assert "1 of the last 2 lines have trace" in found
    assert "note at step 20: why a trace" in found, "events and notes are searched, too"
    assert "first line" not in found
    assert "first line" not in kept
    assert "first line" in every_line
    assert "first line" in again
    assert found.splitlines()[-1].startswith("⏎ Keep esc Clear ")
    assert "Help" in again.splitlines()[-1]
    assert training.commands() == [], "letters of a search are no keys"


async def test_in_view_5_a_search_keeps_the_series_of_that_name_and_ends_with_the_view(
    app: TuitrainApp, training: ScriptedTrainer
):
    training.measures(gradient_norm=0.05, dead_units=0.25)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("5", "slash")
        await pilot.pause()
        every_series = await seen(app)
        await pilot.press(*"NORM", "enter")
        await pilot.pause()
        found = await seen(app)
        await pilot.press("slash", *"x", "enter")
        await pilot.pause()
        nothing = await seen(app)
        await pilot.press("6")
        await pilot.pause()
        log = await seen(app)
        await pilot.press("5")
        await pilot.pause()
        again = await seen(app)

    assert "part of a series' name" in every_series
    assert re.search(r"dead-units +0\.25", every_series)
    assert re.search(r"gradient-norm +0\.05", found)
    assert not re.search(r"dead-units +0\.25", found)
    assert "no series has x in its name" in nothing

    assert "events have" not in log, "the log is not searched for it"
    assert re.search(r"dead-units +0\.25", again)
    assert training.commands() == [], "letters of a search are no keys"


async def test_the_next_run_is_opened_in_the_last_view_and_with_its_panel_alone(
    trainer: ScriptedTrainer,
):
    trainer.records(STARTED)
    for keys, view, panel in (
        (["5", "tab", "tab", "enter"], "view-health", "layers"), ([], "view-health", "layers"),
        (["escape"], "view-health", ""), (["enter", "1"], "view-training", ""),
    ):  # fmt: skip
        app = TuitrainApp(trainer.paths.directory.parents[1], watch=trainer.paths)
        async with app.run_test(size=NARROW) as pilot:
            await pilot.press(*keys)
            await pilot.pause()
            assert app.screen.views.current == view
            assert app.screen.views.alone == panel
            assert ("esc: all panels" in text_of(app)) == bool(panel)


async def test_a_view_that_cannot_be_kept_is_shown_all_the_same(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    (trainer.paths.directory.parents[1] / "view").mkdir()
    trainer.records(STARTED)
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press("6")
        await pilot.pause()
        assert app.screen.views.current == "view-log"
