"""Every key can be remapped, says what it does, and stands in the help."""

import importlib
import inspect
import pkgutil

import pytest
from textual.binding import Binding
from textual.screen import Screen
from textual.widgets import Static

from tuitrain import supervisor
from tuitrain.core.spec import RunSpec
from tuitrain.tui import screens
from tuitrain.tui.app import TuitrainApp
from tuitrain.tui.screens.help import HelpScreen
from tuitrain.tui.screens.run import RunScreen

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
every_screen = pytest.mark.parametrize("screen", all_screens, ids=lambda screen: screen.__name__)


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
    supervisor.write_spec(run_paths, RunSpec.of())
    app = TuitrainApp(run_paths.directory.parents[1], watch=run_paths)
    async with app.run_test() as pilot:
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        said = "\n".join(str(part.content) for part in app.screen.query(Static))
    for binding in RunScreen.BINDINGS:
        line = f"{binding.key_display or binding.key}  {binding.tooltip}"
        assert line in said
