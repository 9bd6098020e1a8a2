"""The keys of the user's keys.toml, which replace the default keys."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from textual.app import App
from textual.binding import Binding
from textual.keys import Keys, key_to_character

from tuitrain.core.errors import DamagedRecord, WrongUse
from tuitrain.core.files import read_text
from tuitrain.core.safe import safe

FILE = "keys.toml"
_LARGEST = 1 << 20

_MODIFIERS = {"ctrl", "alt", "shift", "super", "hyper", "meta"}
_SPELLED = {"escape": "esc"}
_NAMED = {spelling: key for key, spelling in _SPELLED.items()}
_NAMES = {*(key.value for key in Keys), *_NAMED}
_ALWAYS = {"ctrl+q": "leaving at once"}

Place = Sequence[Binding]
"""All bindings that are active together: those of a screen, and of the app."""


class Chosen(NamedTuple):
    """The keys by the id of their binding, and the complaints about the file."""

    keymap: dict[str, str]
    complaints: list[str]


def chosen(path: Path, places: Sequence[Place]) -> Chosen:
    """Return the usable keys of that file; none if there is no file.

    A key that is in use by another binding of the same place is rejected.
    """
    known = {binding.id or "" for place in places for binding in place}
    keymap: dict[str, str] = {}
    complaints: list[str] = []
    try:
        entries = _read(path)
    except WrongUse as error:
        return Chosen({}, [str(error)])
    for name, keys in entries.items():
        try:
            keymap[_known(name, known)] = _keys(name, keys)
        except WrongUse as error:
            complaints.append(f"{FILE}: {safe(error)}")
    twins = _twins(places)
    while clash := _clash(_with_twins(keymap, twins), twins, places):
        complaints.append(f"{FILE}: {clash.description}")
        for name in clash.names:
            keymap.pop(name, None)
    return Chosen(_with_twins(keymap, twins), complaints)


def shown(binding: Binding, keymap: Mapping[str, str]) -> str:
    """Return the keys of a binding, as help and palette show them."""
    keys = keymap.get(binding.id or "") or binding.key_display or binding.key
    return ",".join(spelled(key) for key in keys.split(","))


def spelled(key: str) -> str:
    """Return a key as it is spelled everywhere: esc for Textual's escape."""
    return _SPELLED.get(key, key)


def keymap_of(app: App[object]) -> Mapping[str, str]:
    """Return the keys that an app's user chose, by the id of their binding."""
    keymap: Mapping[str, str] = getattr(app, "keymap", {})
    return keymap


def _read(path: Path) -> Mapping[str, object]:
    try:
        table = tomllib.loads(read_text(path, most=_LARGEST))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError, DamagedRecord) as error:
        raise WrongUse(f"cannot read {safe(path)}: {safe(error)}; mend it or delete it") from None
    keys = table.pop("keys", {})
    if table or not isinstance(keys, dict):
        raise WrongUse(
            f'{safe(path)} will not do: it has one table, [keys], with lines like "run.pause" = "x"'
        )
    return dict(_flat(keys))


def _flat(table: Mapping[str, object], above: str = "") -> Iterable[tuple[str, object]]:
    """Yield every entry with its full id: TOML turns unquoted dotted keys into tables."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _known(name: str, known: set[str]) -> str:
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "docs/keys.md lists them"
        raise WrongUse(f"no binding has the id {name!r}; {hint}")
    return name


def _keys(name: str, keys: object) -> str:
    """Return the checked keys of an entry, separated by commas."""
    parts = [part.strip() for part in keys.split(",")] if isinstance(keys, str) else [""]
    for part in parts:
        if not _is_key(part):
            raise WrongUse(f"{name} = {keys!r:.40} is no key; a letter is, a sign, f5, ctrl+x")
    return ",".join(_NAMED.get(part, part) for part in parts)


def _is_key(text: str) -> bool:
    *modifiers, base = text.split("+") if len(text) > 1 else [text]
    if not set(modifiers) <= _MODIFIERS:
        return False
    return (len(base) == 1 and base.isprintable()) or base in _NAMES or _symbol(base) != base


def _symbol(key: str) -> str:
    """Return one name for a key that has two: `.` for `full_stop`."""
    return key_to_character(key) or key


def _twins(places: Sequence[Place]) -> dict[str, set[str]]:
    """Return for each id the ids that share its key; only one of these is active at a time."""
    twins: dict[str, set[str]] = {}
    for place in places:
        for binding in place:
            same_key = {other.id or "" for other in place if other.key == binding.key}
            twins.setdefault(binding.id or "", set()).update(same_key)
    return twins


def _with_twins(keymap: Mapping[str, str], twins: Mapping[str, set[str]]) -> dict[str, str]:
    """Return the keymap with each key also given to its twins that have no entry."""
    inherited = {twin: keys for name, keys in keymap.items() for twin in twins[name]}
    return {**inherited, **keymap}


class _Clash(NamedTuple):
    names: set[str]
    description: str


def _clash(
    keymap: Mapping[str, str], twins: Mapping[str, set[str]], places: Sequence[Place]
) -> _Clash | None:
    """Return a clash: a key that the keymap gives to two bindings of one place; None if none."""
    for place in places:
        owners = dict(_ALWAYS)
        for binding in sorted(place, key=lambda bound: (bound.id or "") in keymap):
            name = binding.id or ""
            for key in keymap.get(name, binding.key).split(","):
                owner = owners.setdefault(_symbol(key), name)
                if name in keymap and owner != name and owner not in twins[name]:
                    description = (
                        f"{name} = {key!r} would take that key from {owner}; choose another"
                    )
                    return _Clash({name, *twins[name]}, safe(description))
    return None
