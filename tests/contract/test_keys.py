"""Every key can be remapped, says what it does, and stands in the help."""

import importlib
import inspect
import pkgutil
import tomllib
from pathlib import Path

import pytest
from textual.binding import Binding
from textual.keys import key_to_character
from textual.screen import Screen
from textual.widgets import Static

from tuitrain.catalog import new_spec
from tuitrain.tui import screens
from tuitrain.tui.app import SCREENS, TuitrainApp, places
from tuitrain.tui.keys import chosen, shown, spelled
from tuitrain.tui.screens.charting import ChartingScreen
from tuitrain.tui.screens.help import HelpScreen
from tuitrain.tui.screens.run import RunScreen
from tuitrain.tui.screens.steering import SteeringScreen
from tuitrain.tui.screens.tour import TourScreen
from tuitrain.tui.screens.viewing import ViewingScreen

modules = [
    importlib.import_module(f"{screens.__name__}.{found.name}")
    for found in pkgutil.iter_modules(screens.__path__)
]
all_screens = [
    thing
    for module in modules
    for _, thing in inspect.getmembers(module, inspect.isclass)
    if issubclass(thing, Screen) and thing.__module__ == module.__name__
]
WITHOUT_KEYS_OF_THEIR_OWN = {SteeringScreen, ChartingScreen, ViewingScreen, TourScreen}
"""They give or take those of others."""
PAGE = (Path(__file__).parents[2] / "docs" / "keys.md").read_text()
every_screen = pytest.mark.parametrize("screen", all_screens, ids=lambda screen: screen.__name__)


def test_every_screen_is_known_to_the_keymap():
    assert {*SCREENS, *WITHOUT_KEYS_OF_THEIR_OWN} == set(all_screens)


def test_the_keys_of_the_app_have_ids_too():
    assert all(binding.id.startswith("app.") for binding in TuitrainApp.BINDINGS)


def test_as_they_come_no_two_keys_of_a_place_are_the_same_but_those_that_take_turns():
    for place in places():
        keys = [(key, binding.id) for binding in place for key in binding.key.split(",")]
        shared = {name for key, name in keys if sum(key == other for other, _ in keys) > 1}
        turns = {"run.pause", "run.go_on", "chart.live", "run.back"}
        assert shared <= turns | {"form.previous", "app.palette"}


@pytest.mark.parametrize("name", sorted({item.id for place in places() for item in place}))
def test_a_key_can_be_chosen_and_stands_on_the_page_about_keys(name, tmp_path):
    file = tmp_path / "keys.toml"
    file.write_text(f'[keys]\n"{name}" = "f9"')
    keymap, complaints = chosen(file, places())
    assert keymap[name] == "f9"
    assert complaints == []
    rows = {row_on_the_page(item) for place in places() for item in place if item.id == name}
    assert all(row in PAGE for row in rows)


def row_on_the_page(binding):
    keys = " ".join(f"`{sign(key)}`" for key in binding.key.split(","))
    return f"| `{binding.id}` | {keys} | {binding.tooltip or binding.description} |\n"


def sign(key):
    character = key_to_character(key) or ""
    return character if character.strip() and character.isprintable() else spelled(key)


def test_the_example_on_the_page_about_keys_will_do(tmp_path):
    example = PAGE.partition("```toml\n")[2].partition("```")[0]
    (tmp_path / "keys.toml").write_text(example)
    keymap, complaints = chosen(tmp_path / "keys.toml", places())
    assert keymap.items() >= tomllib.loads(example)["keys"].items()
    assert complaints == []


def test_escape_is_spelled_in_one_way_on_screens_and_pages_and_in_a_file(tmp_path):
    (tmp_path / "keys.toml").write_text('[keys]\n"compare.leave" = "esc,x"')
    keymap, complaints = chosen(tmp_path / "keys.toml", places())
    assert complaints == []
    assert keymap["compare.leave"] == "escape,x", "as Textual names it"
    every_shown = [shown(binding, keymap) for place in places() for binding in place]
    assert {"esc", "esc,x"} <= set(every_shown)
    tooltips = [binding.tooltip for place in places() for binding in place]
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    assert "escape" not in " ".join([*every_shown, *tooltips, PAGE, readme])


def test_the_screens_are_found():
    assert RunScreen in all_screens
    assert len(all_screens) >= 5


@every_screen
def test_every_key_is_a_binding_with_an_id_of_its_own(screen):
    assert all(isinstance(binding, Binding) for binding in screen.BINDINGS)
    ids = [binding.id for binding in screen.BINDINGS]
    assert all(ids)
    assert len(set(ids)) == len(ids)


@every_screen
def test_every_key_says_what_it_does(screen):
    assert all(binding.tooltip or binding.description for binding in screen.BINDINGS)


@every_screen
def test_every_key_has_an_action(screen):
    for binding in screen.BINDINGS:
        owner, _, action = binding.action.partition("(")[0].rpartition(".")
        target = TuitrainApp if owner == "app" else screen
        assert hasattr(target, f"action_{action}"), binding.action


def test_an_id_is_the_same_key_on_every_screen_that_has_it():
    keys = {}
    for screen in all_screens:
        for binding in screen.BINDINGS:
            keys.setdefault(binding.id, set()).add(binding.description)
    assert all(len(descriptions) == 1 for descriptions in keys.values())


async def test_every_key_of_the_run_screen_stands_in_its_help(run_paths):
    run_paths.write_spec(new_spec())
    app = TuitrainApp(run_paths.directory.parents[1], watch=run_paths)
    async with app.run_test() as pilot:
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        parts = [str(part.content) for part in app.screen.query(Static)]
    said = " ".join(" ".join(parts).split())  # on lines that are wrapped
    for binding in (*RunScreen.BINDINGS, *TuitrainApp.BINDINGS):
        text = f"{binding.key_display or binding.key} {binding.tooltip}"
        assert text in said
