"""A run in a TOML file: the options of `tuitrain run`, and what it is to change by itself."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from tuitrain.core.errors import Refused, UnknownName, WrongUse
from tuitrain.core.safe import safe
from tuitrain.core.spec import RunSpec

_LEFT_OUT = ("schedule", "parent", "paused")


def read_config(path: Path) -> dict[str, Any]:
    """Return the settings in a TOML file, whose keys are the options of `tuitrain run`.

    Besides, it may have `until` and a `[[schedule]]` of changes. Raises WrongUse for what is no
    TOML, and for what sets no option.
    """
    try:
        found = tomllib.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise WrongUse(f"cannot read {safe(path)}: {safe(error)}") from None
    known = {each.name.replace("_", "-"): each.name for each in fields(RunSpec)}
    known = {"name": "name", **known}
    del known["parent"]
    settings: dict[str, Any] = {}
    for key, value in found.items():
        option = key.replace("_", "-")
        if option not in known:
            raise UnknownName(f"setting (in {safe(path.name)})", key, known)
        settings[known[option]] = value
    if settings.get("pace") == "off":
        settings["pace"] = None
    if isinstance(settings.get("lr"), int):
        settings["lr"] = float(settings["lr"])
    return settings


def as_config(spec: RunSpec) -> str:
    """Return the file from which `read_config` reads the same training again.

    Refused for a fork, which begins with a checkpoint that no file of settings can hold.
    """
    if spec.parent and spec.parent.sha256:
        raise Refused("a fork begins with a checkpoint, which a file of settings cannot hold")
    lines = [
        f"{each.name.replace('_', '-')} = {_toml(value)}"
        for each in fields(RunSpec)
        if each.name not in _LEFT_OUT and (value := getattr(spec, each.name)) is not None
    ]
    return "\n".join([*lines, *_schedule(spec)]) + "\n"


def _schedule(spec: RunSpec) -> Iterator[str]:
    for change in spec.schedule:
        yield "\n[[schedule]]"
        yield from (f"{key} = {_toml(value)}" for key, value in change.as_row().items())


def _toml(value: str | float) -> str:
    return json.dumps(value, ensure_ascii=False)  # numbers and plain text are the same in both
