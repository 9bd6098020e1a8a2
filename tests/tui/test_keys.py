"""The keys of keys.toml, the command palette and the themes."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual.pilot import Pilot
from textual.widgets import Footer, OptionList

from tests.tui.conftest import STARTED, ScriptedTrainer, seen, text_of
from tuitrain.connection.follower import Follower
from tuitrain.core.commands import Change, Pause, Resume
from tuitrain.core.events import Finished, Paused
from tuitrain.store.paths import RunPaths
from tuitrain.tui import themes
from tuitrain.tui.app import TuitrainApp, places
from tuitrain.tui.keys import chosen
from tuitrain.tui.screens.charting import ChartingScreen
from tuitrain.tui.screens.run import RunScreen
from tuitrain.tui.screens.runs import RunsScreen
from tuitrain.tui.screens.steering import SteeringScreen
from tuitrain.view.state.snapshot import Snapshot

NARROW, WIDE = (80, 24), (140, 50)


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "keys.toml"


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The record of the run cannot be read before this is set."""
    may_read, look = threading.Event(), Follower.look

    def waiting(follower: Follower) -> Snapshot:
        may_read.wait()
        return look(follower)

    monkeypatch.setattr(Follower, "look", waiting)
    yield may_read
    may_read.set()


def read(file: Path, *lines: str):
    file.write_text("\n".join(("[keys]", *lines)))
    return chosen(file, places())


def test_without_a_file_every_key_is_as_it_comes(file):
    assert chosen(file, places()) == ({}, [])


def test_a_key_is_chosen_by_its_id_quoted_or_not(file):
    keymap, complaints = read(file, '"run.step" = "f8, k"', 'run.undo = "ctrl+z"')
    assert keymap == {"run.step": "f8,k", "run.undo": "ctrl+z"}
    assert complaints == []


def test_what_shares_a_key_goes_along_unless_it_has_one_of_its_own(file):
    assert read(file, '"run.pause" = "w"').keymap == {"run.pause": "w", "run.go_on": "w"}
    apart = read(file, '"run.pause" = "w"', '"run.go_on" = "g"')
    assert apart == ({"run.pause": "w", "run.go_on": "g"}, [])


def test_two_keys_may_be_exchanged(file):
    keymap, complaints = read(file, '"run.loss" = "r"', '"run.rate" = "l"')
    assert (keymap, complaints) == ({"run.loss": "r", "run.rate": "l"}, [])


def test_keys_of_different_screens_do_not_mind_each_other(file):
    assert read(file, '"runs.new" = "l"', '"number.more" = "+"').complaints == []


@pytest.mark.parametrize(
    ("line", "description"),
    [
        ('"run.puase" = "x"', "no binding has the id 'run.puase'; did you mean 'run.pause'?"),
        ('"zzz" = "x"', "no binding has the id 'zzz'; docs/keys.md lists them"),
        ('"run.pause" = "spce"', "run.pause = 'spce' is no key"),
        ('"run.pause" = ""', "is no key"),
        ('"run.pause" = "crtl+x"', "is no key"),
        ('"run.pause" = 5', "run.pause = 5 is no key"),
        ('"run.undo" = "l"', "run.undo = 'l' would take that key from run.loss"),
        ('"run.undo" = "."', "run.undo = '.' would take that key from run.step"),
        ('"run.undo" = "full_stop"', "would take that key from run.step"),
        ('"run.stop" = "s"', "run.stop = 's' would take that key from runs.sort"),
        ('"run.undo" = "t"', "run.undo = 't' would take that key from app.theme"),
        ('"app.theme" = "q"', "app.theme = 'q' would take that key from run.leave"),
        ('"run.undo" = "ctrl+q"', "would take that key from leaving at once"),
        ('"run.\\u001b[31m" = "x"', "no binding has the id 'run."),
    ],
)
def test_what_will_not_do_is_told_and_changes_nothing(file, line, description):
    keymap, (complaint,) = read(file, line)
    assert keymap == {}
    assert description in complaint
    assert complaint.startswith("keys.toml: ")
    assert complaint.isprintable()


def test_of_two_that_want_the_same_key_one_keeps_its_own(file):
    keymap, complaints = read(file, '"run.undo" = "z"', '"run.loss" = "z"', '"run.rate" = "k"')
    assert keymap == {"run.loss": "z", "run.rate": "k"}
    assert complaints == [
        "keys.toml: run.undo = 'z' would take that key from run.loss; choose another"
    ]


@pytest.mark.parametrize("text", ["[keys", "keys = 5", "[colours]\na = 1", 'run.pause = "x"'])
def test_a_file_that_is_something_else_is_told(file, text):
    file.write_text(text)
    keymap, (complaint,) = chosen(file, places())
    assert keymap == {}
    assert "keys.toml" in complaint
    assert "mend it or delete it" in complaint or "[keys], with lines like" in complaint


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: f"[keys]\n{text}".encode()))
def test_no_file_ends_the_app(tmp_path_factory, content):
    file = tmp_path_factory.getbasetemp() / "keys.toml"
    file.write_bytes(content)
    keymap, complaints = chosen(file, places())
    assert isinstance(keymap, dict)
    assert all(complaint.isprintable() for complaint in complaints)


@pytest.fixture
def remapped(trainer: ScriptedTrainer, file: Path) -> TuitrainApp:
    """A run screen whose user chose w for space, and once slipped."""
    read(file, '"run.pause" = "w"', '"run.puase" = "y"')
    return TuitrainApp(file.parent, watch=trainer.paths)


async def test_a_chosen_key_does_it_and_stands_in_footer_and_help(
    remapped: TuitrainApp, trainer: ScriptedTrainer
):
    trainer.records(STARTED)
    async with remapped.run_test(size=WIDE, notifications=True) as pilot:
        await pilot.pause()
        assert "no binding has the id 'run.puase'" in await seen(remapped)
        footer = remapped.screen.query_one(Footer)
        keys = {child.key_display: child.description for child in footer.query("FooterKey")}
        assert keys["w"] == "Pause"
        assert "space" not in keys
        await pilot.press("space", "w")
        await pilot.pause()
        assert [command.command for command in trainer.commands()] == [Pause()]
        trainer.records(Paused(trainer.commands()[0].id, 1, 0, 0))
        await seen(remapped)
        await pilot.press("w")
        await pilot.pause()
        assert [command.command for command in trainer.commands()] == [Pause(), Resume()]
        await pilot.press("question_mark")
        await pilot.pause()
        assert "w  Pause after this batch" in text_of(remapped)
        assert "ctrl+p  Search all" in text_of(remapped)


def offered(app: TuitrainApp) -> list[str]:
    return [str(option.prompt) for option in app.screen.query_one(OptionList).options]


async def opened(pilot, app: TuitrainApp) -> list[str]:
    """Open the palette and return its lines."""
    await pilot.press("ctrl+p")
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()
    return offered(app)


async def test_the_palette_has_every_key_of_the_run_screen_and_what_has_none(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    trainer.records(STARTED)
    trainer.trains([1.0, 0.5])
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        await seen(app)
        lines = await opened(pilot, app)
    known = {binding.id: binding for binding in (*RunScreen.BINDINGS, *RunScreen.WITHOUT_KEY)}
    absent = {"run.go_on", "run.resume", "chart.live"}  # it is not paused, not ended, and live
    absent.add("run.interrupt")  # ctrl+c is q once more
    for name in known.keys() - absent:
        key = known[name].key_display or known[name].key
        assert f"{known[name].tooltip}  {key}" in lines
    assert "Change the colours: the next theme  t" in lines
    assert len(lines) == len(known) - len(absent) + 1


async def test_what_is_chosen_in_the_palette_is_done(app: TuitrainApp, trainer: ScriptedTrainer):
    trainer.records(STARTED)
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        await seen(app)
        await opened(pilot, app)
        await pilot.press(*"clip norm")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert offered(app)[0] == "Change the clip norm  "
        await pilot.press("down", "enter")
        await pilot.pause()
        assert "Gradients longer than this" in text_of(app)
        await pilot.press("backspace", "backspace", "backspace", "2", "enter")
        await pilot.pause()
        assert [command.command for command in trainer.commands()] == [Change("clip-norm", 2.0)]


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("undo", "Go back to just before the last change  u"),
        ("stop", "End the run with a checkpoint (asks)  S"),
        ("lr", "Change the learning rate  r"),
        ("loss swap", "Swap the loss function  l"),
    ],
)
async def test_the_palette_finds_words_of_the_footer_and_of_the_sentence(
    app: TuitrainApp, trainer: ScriptedTrainer, typed: str, first: str
):
    trainer.records(STARTED)
    async with app.run_test(size=NARROW) as pilot:
        assert (await searched(pilot, app, typed))[0] == first


async def test_letters_strewn_over_a_sentence_are_not_found(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    trainer.records(STARTED)
    async with app.run_test(size=NARROW) as pilot:
        assert await searched(pilot, app, "export") == []


async def searched(pilot, app: TuitrainApp, typed: str) -> list[str]:
    """Type into the palette and return what it offers."""
    await pilot.pause()
    await seen(app)
    await opened(pilot, app)
    await pilot.press(*typed)
    await app.workers.wait_for_complete()
    await pilot.pause()
    return offered(app)


async def test_the_palette_of_a_run_that_ended_asks_nothing_of_it(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    trainer.records(STARTED, Finished(1, 92, 4))
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        await seen(app)
        lines = await opened(pilot, app)
    looking = [*ChartingScreen.BINDINGS, *RunScreen.BINDINGS, *TuitrainApp.BINDINGS]
    steering = {binding.tooltip for binding in SteeringScreen.BINDINGS}
    possible = {binding.tooltip for binding in looking} - steering
    assert {"Begin another run from one of its epochs", "Log: what happened, what did it print?",
            "Leave: detach, stop or cancel"} <= possible  # fmt: skip
    assert {line.rpartition("  ")[0] for line in lines} <= possible
    assert "Begin another run from one of its epochs  f" in lines
    assert "Log: what happened, what did it print?  6" in lines


async def test_the_list_of_runs_has_a_palette_too(trainer: ScriptedTrainer):
    trainer.records(STARTED)
    app = TuitrainApp(trainer.paths.directory.parents[1])
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        assert isinstance(app.screen, RunsScreen)
        lines = await opened(pilot, app)
    assert "Watch and steer this run  enter" in lines
    assert "End the run with a checkpoint (asks)  S" in lines
    assert not any("Delete" in line for line in lines), "it goes on"


async def test_a_key_changes_the_theme_on_both_screens(run_paths: RunPaths, trainer):
    trainer.records(STARTED)
    trainer.trains([1.0, 0.5])
    app = TuitrainApp(run_paths.directory.parents[1])
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        dark = app.theme
        listed = app.screen.table.get_cell_at((0, 0)).style
        await pilot.press("t")
        await pilot.pause()
        assert app.theme != dark
        assert app.screen.table.get_cell_at((0, 0)).style != listed
        await pilot.press("enter")
        await pilot.pause()
        await seen(app)
        assert isinstance(app.screen, RunScreen)
        seen_themes = {dark}
        while app.theme != dark:
            seen_themes.add(app.theme)
            await pilot.press("t")
            await pilot.pause()
        assert seen_themes == {theme.name for theme in themes.load()}


async def test_a_theme_of_the_users_own_is_read_again_when_it_changes(run_paths, trainer):
    trainer.records(STARTED)
    home = run_paths.directory.parents[1]
    (home / "themes").mkdir()
    mine = home / "themes" / "aaa.toml"
    mine.write_text('background = "#102030"')
    app = TuitrainApp(home)

    async def until(has_changed) -> None:
        async with asyncio.timeout(20):
            while not has_changed():
                await pilot.pause(0.05)

    async with app.run_test(size=NARROW, notifications=True) as pilot:
        app.theme = "aaa"
        await until(lambda: app.screen.styles.background.b == 0x30)
        mine.write_text('background = "#302010"')
        await until(lambda: app.screen.styles.background.b == 0x10)
        mine.write_text('background = "nonesuch"')
        await until(lambda: app.theme == themes.DEFAULT)
        await until(lambda: "'nonesuch'" in text_of(app))
        (home / "themes" / "okabe-ito.toml").write_text("dark = false")
        app.theme = "okabe-ito"
        await until(lambda: not app.current_theme.dark)
        (home / "themes" / "okabe-ito.toml").unlink()
        await until(lambda: app.current_theme.dark)


async def press_before_the_first_look(
    app: TuitrainApp, pilot: Pilot, key: str, may_read: threading.Event
) -> None:
    async with asyncio.timeout(20):
        while not isinstance(app.screen, RunScreen) or not app.screen.is_running:
            await pilot.pause()
    app.post_message(events.Key(key, " " if key == "space" else key))
    app.call_later(may_read.set)
    await pilot.pause()


async def test_a_key_before_the_first_look_at_a_run_means_the_run_as_it_is(
    app: TuitrainApp, trainer: ScriptedTrainer, slow_disk: threading.Event
):
    trainer.records(STARTED, Paused(None, 1, 0, 0))
    async with app.run_test() as pilot:
        await press_before_the_first_look(app, pilot, "space", slow_disk)
        assert [request.command for request in trainer.commands()] == [Resume()]


async def test_who_leaves_an_ended_run_before_the_first_look_at_it_is_asked_nothing(
    app: TuitrainApp, trainer: ScriptedTrainer, slow_disk: threading.Event
):
    trainer.records(STARTED, Finished(1, 23, 1))
    async with app.run_test() as pilot:
        await press_before_the_first_look(app, pilot, "q", slow_disk)
        assert not app.is_running or len(app.screen_stack) == 1
