"""The command palette: every action that a screen can do now, with or without a key."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from textual.actions import parse
from textual.binding import Binding
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.types import IgnoreReturnCallbackType

from tuitrain.tui.keys import keymap_of, shown


class _Command(NamedTuple):
    description: str
    names: str
    """Its word in the footer, and its action."""
    key: str
    run: IgnoreReturnCallbackType


class ScreenCommands(Provider):
    """The enabled bindings of the screen below and of the app."""

    async def discover(self) -> Hits:
        """Yield all commands."""
        for command in self._commands():
            yield DiscoveryHit(
                _line(Content(command.description), command.key), command.run, command.description
            )

    async def search(self, query: str) -> Hits:
        """Yield the commands that have each word of the query in their text or name."""
        matcher = self.matcher(query)
        for command in self._commands():
            if score := _score(query, command):
                line = _line(matcher.highlight(command.description), command.key)
                yield Hit(score, line, command.run, command.description)

    def _commands(self) -> Iterator[_Command]:
        screen, seen = self.screen, {"app.command_palette", "command_palette"}
        keymap = keymap_of(self.app)
        without_key = getattr(screen, "WITHOUT_KEY", ())
        for binding in (*screen.BINDINGS, *without_key, *self.app.BINDINGS):
            if isinstance(binding, Binding) and binding.action not in seen:
                seen.add(binding.action)
                if self._is_possible(binding.action):
                    run = partial(self.app.run_action, binding.action, screen)
                    names = f"{binding.description} {binding.action}"
                    yield _Command(binding.tooltip, names, shown(binding, keymap), run)

    def _is_possible(self, action: str) -> bool:
        destination, name, parameters = parse(action)
        owner = self.app if destination == "app" else self.screen
        return bool(owner.check_action(name, parameters))


def _score(query: str, command: _Command) -> float:
    """Return from 1 to 2 by the share of words that are in a command's names; 0 if one is nowhere.

    Letters strewn over a sentence do not match: most sentences have those of a short word.
    """
    words, names = query.casefold().split(), command.names.casefold()
    text = f"{names} {command.description.casefold()}"
    if not all(word in text for word in words):
        return 0.0
    return 1 + sum(word in names for word in words) / max(1, len(words))


def _line(description: Content, key: str) -> Content:
    return Content.assemble(description, (f"  {key}", "$accent"))
