"""Keys that cannot act now."""

from __future__ import annotations

from textual.actions import parse
from textual.screen import Screen


def disabled_action(screen: Screen[None], key: str) -> tuple[str, str] | None:
    """Return the action of a greyed key with its first parameter, or ""; None for other keys."""
    active = screen.active_bindings.get(key)
    if active is None or active.enabled:
        return None
    _, action, parameters = parse(active.binding.action)
    return action, str(parameters[0]) if parameters else ""
