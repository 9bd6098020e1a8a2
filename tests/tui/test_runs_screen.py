"""The list of runs and the form for a new one, in real homes."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.widgets import DataTable, Input

from tests.conftest import PACED, PATIENCE_S, Shell, until
from tests.recorded import in_home, started
from tests.tui.conftest import ScriptedTrainer, text_of
from tuitrain.catalog import new_spec
from tuitrain.connection.client import Client
from tuitrain.core.commands import Stop
from tuitrain.core.events import CheckpointSaved, EpochEnded, Finished, Paused
from tuitrain.core.options import OPTIONS
from tuitrain.store.paths import RunPaths, runs_in
from tuitrain.trainer import supervisor, warm
from tuitrain.trainer.torch_query import TorchQuery
from tuitrain.tui.app import TuitrainApp
from tuitrain.tui.screens.new_run import NewRunScreen
from tuitrain.tui.screens.resume import ResumeScreen
from tuitrain.tui.screens.run import RunScreen
from tuitrain.tui.screens.runs import RunsScreen
from tuitrain.tui.widgets.form_field import FormField

EPOCH = EpochEnded(1, 23, 1, "cross-entropy", 0.5, 0.4, {"accuracy": 0.9}, improved=True)


@pytest.fixture
def made(home: Path) -> Callable[..., ScriptedTrainer]:
    trainers = []

    def make(name: str, *events, ended: bool = False) -> ScriptedTrainer:
        paths = RunPaths(home / "runs" / name)
        for folder in (paths.inbox, paths.checkpoints):
            folder.mkdir(parents=True)
        trainer = ScriptedTrainer(paths, new_spec("digits"))
        trainer.records(started(), *events)
        if ended:
            trainer.close()
            trainer.dies()
        else:
            trainers.append(trainer)
        return trainer

    yield make
    for trainer in trainers:
        trainer.close()
        trainer.dies()


async def listed(app: TuitrainApp) -> list[str]:
    screen = app.screen
    assert isinstance(screen, RunsScreen)
    async with screen._looking:
        """A look that began before what a test did may not see it."""
    await screen.follow()
    return text_of(app).splitlines()


def line_of(lines: list[str], name: str) -> str:
    return next(line for line in lines if line.strip().startswith(name))


def names_in(lines: list[str]) -> list[str]:
    names = ("alpha", "beta", "gamma")
    return [name for line in lines for name in names if line.strip().startswith(name)]


async def eventually(pilot, app: TuitrainApp, text: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while text not in text_of(app):
        assert time.monotonic() < deadline, f"{text} never came"
        await pilot.pause(0.05)


async def at(pilot, app: TuitrainApp, name: str) -> None:
    """Move the cursor to that run."""
    await listed(app)
    table = app.screen.query_one(DataTable)
    keys = [Path(str(key.value)).name for key in table.rows]
    table.move_cursor(row=keys.index(name))
    await pilot.pause()


@pytest.mark.parametrize("size", [(140, 40), (80, 24), (40, 10)])
async def test_every_run_is_there_in_its_true_state(home, made, size):
    made("live", EPOCH)
    made("held", Paused(None, 1, 0, 0))
    made("done", EPOCH, Finished(1, 23, 1), ended=True)
    made("gone", ended=True)
    (home / "runs" / "bad").mkdir()
    (home / "runs" / "bad" / "spec.json").write_text("{")
    app = TuitrainApp(home)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        lines = await listed(app)
        states = {"live": "running", "held": "paused", "done": "finished", "gone": "crashed"}
        for name, state in (states | {"bad": "unreadable"}).items():
            assert state in line_of(lines, name)
        if size[0] > 80:
            assert "0.4000" in line_of(lines, "live")
            assert "its spec.json is damaged" in line_of(lines, "bad")


async def test_a_live_run_is_followed_and_the_cursor_stays(home, made):
    made("other", ended=True)
    trainer = made("live")
    app = TuitrainApp(home)
    async with app.run_test(size=(140, 40)) as pilot:
        await at(pilot, app, "other")
        assert "0/40" in line_of(await listed(app), "live")
        trainer.records(EPOCH)
        made("newest", ended=True)
        lines = await listed(app)
        assert "1/40" in line_of(lines, "live")
        assert "newest" in "\n".join(lines)
        assert "other" in app.screen.highlighted


async def test_runs_are_sorted_and_filtered(home, made):
    for name in ("beta", "alpha", "gamma"):
        made(name, ended=True)
    app = TuitrainApp(home)
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(app)
        await pilot.press("s")
        assert names_in(await listed(app)) == ["alpha", "beta", "gamma"]
        await pilot.press("slash", *"amm")
        await pilot.pause()
        assert [*re.findall(r"[A-Z]\w+", (await listed(app))[-1])] == ["Keep", "Clear", "All"]
        await pilot.press("enter")
        assert names_in(await listed(app)) == ["gamma"]
        await pilot.press("escape")
        assert len(names_in(await listed(app))) == 3
        await pilot.press("slash", *"amm", "escape", "s")
        await pilot.pause()
        lines = await listed(app)
        assert len(names_in(lines)) == 3
        assert "by state" in lines[0], "the list has the keys again"


async def test_a_run_is_opened_and_left_for_the_list(home, made):
    made("done", EPOCH, Finished(1, 23, 1), ended=True)
    app = TuitrainApp(home)
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(app)
        await pilot.press("enter")
        assert isinstance(app.screen, RunScreen)
        await app.screen.follow()
        await pilot.press("q")
        assert isinstance(app.screen, RunsScreen)


async def test_a_live_run_can_be_stopped_and_not_deleted(home, made):
    trainer = made("live")
    app = TuitrainApp(home)
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(app)
        await pilot.press("D", "R")
        assert isinstance(app.screen, RunsScreen), "both are greyed"
        await pilot.press("S", "n")
        assert trainer.commands() == []
        await pilot.press("S", "y")
        assert [command.command for command in trainer.commands()] == [Stop()]


async def test_an_ended_run_is_deleted_once_that_is_confirmed(home, made):
    made("gone", ended=True)
    made("kept", ended=True)
    app = TuitrainApp(home)
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(app)
        await at(pilot, app, "gone")
        await pilot.press("D", "n")
        assert len(runs_in(home)) == 2
        await pilot.press("D", "y")
        assert [item.name for item in runs_in(home)] == ["kept"]
        await pilot.pause()
        assert "gone" not in "\n".join(await listed(app))


@pytest.mark.parametrize("size", [(140, 40), (80, 24), (40, 10)])
async def test_of_a_run_that_cannot_be_read_the_list_says_how_it_is_deleted(home, made, size):
    made("kept", ended=True)
    folder = home / "runs" / "bad"
    folder.mkdir()
    (folder / "spec.json").write_text("{}")
    app = TuitrainApp(home)
    async with app.run_test(size=size, notifications=True) as pilot:
        await at(pilot, app, "kept")
        assert "2 runs" in text_of(app)
        await at(pilot, app, "bad")
        assert text_of(app).startswith(" D deletes bad, which cannot be read: ")
        for key in ("R", "enter"):
            app.clear_notifications()
            await pilot.press(key)
            await eventually(pilot, app, "▌ D deletes")
        await pilot.press("D", "y")
        await pilot.pause()
        assert [item.name for item in runs_in(home)] == ["kept"]


async def test_a_hostile_name_is_shown_and_not_obeyed(home):
    folder = home / "runs" / "[@click=app.exit_now]x\x1b]0;owned\x07[b]"
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text("[" * 100_000)
    app = TuitrainApp(home)
    async with app.run_test(size=(140, 40)) as pilot:
        await pilot.pause()
        text = "\n".join(await listed(app))
        assert "[@click=app.exit_now]x␛]0;owned␇" in text
        await pilot.press("D")
        assert "[@click=app.exit_now]x␛" in text_of(app)


async def test_an_empty_home_begins_with_the_form_where_enter_trains(home):
    app = TuitrainApp(home)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert isinstance(app.screen, NewRunScreen)
        text = text_of(app)
        for part in ("digits", "cross-entropy", "mlp:hidden=256-128", "0.001", "40"):
            assert part in text
        await pilot.press("enter")
        await app.workers.wait_for_complete()
        await pilot.pause()
        (paths,) = runs_in(home)
        assert Client(paths.directory).spec() == new_spec("digits", pace=60.0)
        assert isinstance(app.screen, RunScreen)
        until(paths.owner.exists, "its trainer has signed")
        supervisor.kill(paths)
        client = Client(paths.directory)
        until(lambda: not client.look(client.record.end()).alive, "its trainer has gone")
        await app.screen.follow()


def field(app: TuitrainApp, name: str) -> Input:
    return app.screen.query_one(f"#{name}", FormField).query_one(Input)


async def test_the_form_follows_the_task_but_not_over_what_was_typed(home):
    app = TuitrainApp(home)
    async with app.run_test(size=(140, 40)) as pilot:
        await pilot.pause()
        field(app, "epochs").value = "7"
        field(app, "task").value = "diabetes"
        await pilot.pause()
        assert field(app, "loss").value == "mse"
        assert field(app, "model").value == "mlp:hidden=128"
        assert field(app, "epochs").value == "7"
        assert "mse (usual), l1" in text_of(app)


@pytest.mark.usefixtures("threaded")
async def test_a_run_may_begin_with_the_weights_of_another_by_its_name(home, made):
    saved = CheckpointSaved(1, 23, 1, "finish", "00001-take1-step23.pt", 7, "", "", True, True)
    made("first", saved, Finished(1, 23, 1), ended=True)
    (home / "runs/first/checkpoints/00001-take1-step23.pt").write_bytes(b"weights")
    app = TuitrainApp(home)
    async with app.run_test(size=(140, 40)) as pilot:
        await pilot.press("n")
        field(app, "init_from").value = "fir"
        field(app, "name").value = "second"
        await pilot.press("enter")
        await eventually(pilot, app, "failed")
        assert isinstance(app.screen, RunScreen)
        until(lambda: app.screen._started.process.poll() is not None, "its trainer has gone")
    begun = str(Client(home / "runs/second").spec().init_from)
    assert begun.startswith(f"{home}/runs/second/init-"), "a copy of its own"


MISTAKES = [
    ("task", "digit", "did you mean 'digits'"),
    ("loss", "mes", "did you mean 'mse'"),
    ("model", "mlp:hidden=0", "mlp:hidden takes a whole number"),
    ("optimizer", "adm", "did you mean"),
    ("lr", "fast", "takes a number"),
    ("lr", "0", "above 0"),
    ("epochs", "1.5", "whole number"),
    ("device", "gpu", "takes auto, cpu, cuda"),
    ("name", "../x", "letters"),
    ("name", "taken", "already"),
    ("data", "/nowhere", "there is no folder"),
    ("init_from", "/nowhere", "neither a file"),
    ("init_from", "taken", "has no checkpoint"),
    ("paused", "maybe", "yes or no"),
]


async def test_an_error_stands_beside_its_field_and_nothing_is_trained(home, made):
    made("taken", ended=True)
    app = TuitrainApp(home)
    async with app.run_test(size=(140, 40)) as pilot:
        await pilot.press("n")
        for name, text, description in MISTAKES:
            before = field(app, name).value
            field(app, name).value = text
            await pilot.pause()
            label = name.replace("_", " ")
            shown = text_of(app)
            lines = [line.strip("│ ") for line in shown.splitlines()]
            line = next(line for line in lines if line.startswith(label))
            assert "✗" in line, (name, text)
            assert description in shown
            await pilot.press("enter")
            assert field(app, name).has_focus
            field(app, name).value = before
            await pilot.pause()
        assert [item.name for item in runs_in(home)] == ["taken"]


async def test_keys_go_from_field_to_field_in_a_form_that_is_taller_than_the_terminal(home, made):
    made("taken", ended=True)
    app = TuitrainApp(home)
    async with app.run_test(size=(40, 10), notifications=True) as pilot:
        await pilot.press("n", "end", "x", *["down"] * 4)
        assert field(app, "lr").has_focus
        await pilot.press("enter")
        await pilot.pause()
        assert field(app, "task").has_focus
        assert "digitsx" in text_of(app), "the wrong field is in sight"
        await eventually(pilot, app, "no task")


async def test_typing_replaces_the_text_of_a_field_that_is_entered_and_a_colon_adds_options(home):
    app = TuitrainApp(home)
    async with app.run_test(size=(140, 40)) as pilot:
        await pilot.pause()
        await pilot.press(*"moons")
        assert field(app, "task").value == "moons", "the field with the focus at the start"
        await pilot.press("tab", *":gamma=2")
        assert field(app, "loss").value == "bce-with-logits:gamma=2"
        await pilot.click(field(app, "optimizer"), offset=(2, 0))
        await pilot.press(*"sgd")
        assert field(app, "optimizer").value == "sgd"
        await pilot.click(field(app, "optimizer"), offset=(1, 0))
        await pilot.press("x")
        assert field(app, "optimizer").value == "sxgd", "a further click places the cursor"
        await pilot.press("shift+tab", "pagedown", "pageup", *"ab")
        assert field(app, "model").value == "ab", "a choice is replaced as well"


@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
async def test_the_whole_help_of_the_field_with_the_focus_is_read(home, size):
    async with TuitrainApp(home).run_test(size=size) as pilot:
        await pilot.pause()
        field(pilot.app, "monitor").focus()
        await pilot.pause()
        text = re.sub(r"[│\s]+", " ", text_of(pilot.app))
        assert OPTIONS["monitor"].help_and_default.replace("  ", " ") in text


async def test_torch_tells_the_form_how_large_a_run_is_and_then_a_trainer_warms_up(
    home, monkeypatch
):
    warmed: list[str] = []
    monkeypatch.setattr(warm, "warm_up", lambda: warmed.append("up"))
    monkeypatch.setattr(warm, "cool_down", lambda: warmed.append("down"))
    app = TuitrainApp(home)
    async with app.run_test(size=(140, 40)) as pilot:
        await pilot.pause()
        await eventually(pilot, app, "1,437 to train on, 360 to validate, each 1×8×8; 10 classes")
        assert "50,826 parameters; 23 steps an epoch, 920 in all" in text_of(app)
        assert set(warmed) == {"up"}
        await pilot.press("escape")
        assert isinstance(app.screen, RunsScreen)
    assert warmed[-1] == "down"


async def test_the_form_asks_for_the_column_of_a_table_and_says_what_it_found(home, tmp_path):
    table = tmp_path / "houses.csv"
    table.write_text("area,price\n" + "".join(f"{n * 37 % 101},{n * n % 997}\n" for n in range(60)))
    app = TuitrainApp(home)
    async with app.run_test(size=(140, 60)) as pilot:
        await pilot.pause()
        assert not field(app, "target").parent.display, "it is for tables"
        field(app, "task").value = str(table)
        await eventually(pilot, app, "which column is to be predicted?")
        assert field(app, "target").parent.display
        assert "one of: area, price" in text_of(app)
        await pilot.press("enter")
        await pilot.pause()
        assert not list((home / "runs").glob("*")), "nothing is begun"
        assert not field(app, "image_size").parent.display
        field(app, "target").value = "price"
        await eventually(pilot, app, "48 to train on, 12 to validate, each 1; a number each")
        await eventually(pilot, app, "target 'price': regression")
        assert field(app, "epochs").placeholder == "30"


async def test_a_crashed_run_is_resumed_from_the_list(home):
    started = supervisor.start(home, new_spec("digits", epochs=1), "a")
    until(started.paths.owner.exists, "it has signed")
    until(lambda: supervisor.kill(started.paths) or started.process.poll(), "it has gone")
    app = TuitrainApp(home)
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(app)
        await pilot.press("R")
        assert isinstance(app.screen, RunScreen)
        screen = app.screen
        client = Client(started.paths.directory)
        until(lambda: not client.look(client.record.end()).alive, "it is trained")
        await screen.follow()
        assert screen.latest.state == "finished"


async def test_more_epochs_for_a_schedule_say_what_they_do_to_its_rate(home):
    run = in_home(home, "a", optimizer="adam:schedule=cosine", epochs=2)
    run.trains(2)
    run.finishes()
    app = TuitrainApp(home)
    async with app.run_test(size=(100, 30)) as pilot:
        await listed(app)
        await pilot.press("R")
        await pilot.pause()
        assert "2 epochs are trained: it goes on with more in all" not in said(app)
        jump = "its cosine schedule now ends with epoch 4: the learning rate goes from 0.001 to"
        assert f"{jump} 0.0005" in said(app), "twice as many are proposed"
        await pilot.press("down", "down")
        assert "2 epochs are trained: it goes on with more in all" in said(app)
        await pilot.press("enter")
        assert isinstance(app.screen, ResumeScreen)


def said(app: TuitrainApp) -> str:
    return " ".join(text_of(app).replace("│", " ").split())


async def test_a_finished_run_is_resumed_with_another_schedule(home, tuitrain: Shell):
    client = tuitrain.trained("a")
    app = TuitrainApp(home)
    async with app.run_test(size=(100, 30)) as pilot:
        await listed(app)
        await pilot.press("R", "backspace", "3", "tab", *"lin")
        await pilot.pause()
        assert "takes constant, cosine, linear" in said(app)
        await pilot.press("backspace", "backspace", "backspace", "down", "down")
        await pilot.pause()
        assert "the learning rate goes on as it is, and decays to 0 by epoch 3" in said(app)
        await pilot.press("tab", *"nono")
        await pilot.pause()
        assert "there is no program 'nono'" in said(app)
        app.screen.notify_command.text = f"sh -c 'touch {home}/notified'"
        await pilot.press("enter")
        assert isinstance(app.screen, RunScreen)
        screen = app.screen
        until(lambda: not client.look(client.record.end()).alive, "it is trained")
        await screen.follow()
        shown = tuitrain.show("a")
        assert (shown["state"], shown["epoch"], shown["schedule"]) == ("finished", 3, "cosine@2")
    until((home / "notified").exists, "the command is notified")


async def test_a_run_that_ended_is_resumed_on_its_own_screen(home, threaded: Shell):
    client = threaded.trained("a")
    app = TuitrainApp(home, watch=client.paths)
    async with app.run_test(size=(100, 30)) as pilot:
        await app.screen.follow()
        assert "● finished" in text_of(app)
        await pilot.press("R", "backspace", "3", "enter")
        screen = app.screen
        assert isinstance(screen, RunScreen)
        until(lambda: not client.look(client.record.end()).alive, "it is trained")
        await screen.follow()
        assert (screen.latest.state, screen.latest.epoch) == ("finished", 3)


def test_the_process_that_is_asked_ends_with_whoever_asks():
    torch_query = TorchQuery()
    assert "cpu" in [widget["name"] for widget in torch_query.query("devices")]
    process = torch_query._process
    torch_query.close()
    assert process.returncode is not None


async def test_marked_runs_are_deleted_together_and_a_tag_is_found_by_the_filter(home, made):
    for name in ("alpha", "beta", "gamma"):
        made(name, EPOCH, Finished(1, 23, 1), ended=True)
    app = TuitrainApp(home)
    async with app.run_test(size=(140, 40)) as pilot:
        await at(pilot, app, "beta")
        await pilot.press("number_sign", *"two words", "enter")
        assert "cannot be a tag" in text_of(app)
        await pilot.press(*["backspace"] * 6, "enter")
        assert "0.9000two" in "".join(line_of(await listed(app), "beta").split())
        await pilot.press("slash", *"#two", "enter")
        assert names_in(await listed(app)) == ["beta"]
        await pilot.press("escape", "m")
        await at(pilot, app, "alpha")
        await pilot.press("m")
        assert "2 marked: C compares, D deletes" in text_of(app)
        await pilot.press("D", "y")
        await pilot.pause()
        assert [paths.name for paths in runs_in(home)] == ["gamma"]


@pytest.mark.parametrize("size", [(80, 24), (40, 10)])
async def test_a_new_tag_is_seen_however_small_the_terminal_is(home, made, size):
    for name in ("alpha-of-a-long-name", "beta"):
        made(name, EPOCH, Finished(1, 23, 1), ended=True)
    app = TuitrainApp(home)
    async with app.run_test(size=size, notifications=True) as pilot:
        await at(pilot, app, "beta")
        await pilot.press("number_sign", *"baseline", "enter")
        await pilot.pause()
        lines = await listed(app)
        assert "has the tag" in "".join(lines)
        assert size[0] < 80 or "baseline" in line_of(lines, "beta")
        await pilot.press("number_sign", *"-baseline", "enter")
        await pilot.pause()
        lines = await listed(app)
        assert "no longer" in "".join(lines)
        assert "baseline" not in line_of(lines, "beta")


async def test_two_runs_train_at_once_on_one_machine_and_the_screen_that_shows_one_steers_it_alone(
    tuitrain: Shell,
):
    runs = {name: tuitrain.start(name, *PACED) for name in ("alpha", "beta")}
    assert {tuitrain.show(name)["state"] for name in runs} == {"running"}
    app = TuitrainApp(tuitrain.home)
    async with app.run_test(size=(100, 30)) as pilot:
        await eventually(pilot, app, "2 runs")
        await at(pilot, app, "alpha")
        await pilot.press("enter")
        await eventually(pilot, app, "space Pause")  # the list has no such key
        await eventually(pilot, app, "● running")
        await pilot.press("space")
        await eventually(pilot, app, "● paused")
        await pilot.press("q", "d")
        await eventually(pilot, app, "2 runs")
        await at(pilot, app, "beta")
        await pilot.press("enter")
        await eventually(pilot, app, "space Pause")  # the list has no such key
        await eventually(pilot, app, "● running")
        assert text_of(app).lstrip().startswith("beta")
        step = tuitrain.show("beta")["step"]
        until(lambda: tuitrain.show("beta")["step"] > step, "beta trains on")
    assert {name: tuitrain.show(name)["state"] for name in runs} == {
        "alpha": "paused", "beta": "running",
    }  # fmt: skip
    assert len({tuitrain.show(name)["pid"] for name in runs}) == 2
