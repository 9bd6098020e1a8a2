"""A run in a TOML file: the options of `tuitrain run`, and what it is to change by itself."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from tuitrain.core.errors import Refused, UnknownName, WrongUse
from tuitrain.core.safe import safe
from tuitrain.core.spec import WAYS, RunSpec

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
    options = ("name", *WAYS, *(each.name for each in fields(RunSpec) if each.name != "parent"))
    known = {each.replace("_", "-"): each for each in options}
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
    _check_ways(settings)
    return settings


def _check_ways(settings: Mapping[str, Any]) -> None:
    for name in ("detach", "plain"):
        if not isinstance(settings.get(name, False), bool):
            raise WrongUse(f"{name} must be true or false, not {settings[name]!r:.40}")
    interval = settings.get("log_interval", 1)
    if type(interval) is not int or interval < 1:
        raise WrongUse(f"log-interval must be a whole number from 1, not {interval!r:.40}")


def as_config(spec: RunSpec) -> str:
    """Return the file from which `read_config` reads the same training again.

    Refused for a fork, which begins with a checkpoint that no file of settings can hold.
    """
    if spec.parent and spec.parent.sha256:
        raise Refused("a fork begins with a checkpoint, which a file of settings cannot hold")
    import tomli_w  # here, since it is no part of the standard library

    settings = {
        each.name.replace("_", "-"): value
        for each in fields(RunSpec)
        if each.name not in _LEFT_OUT and (value := getattr(spec, each.name)) is not None
    }
    changes = [f"\n[[schedule]]\n{tomli_w.dumps(change.as_row())}" for change in spec.schedule]
    return "".join([tomli_w.dumps(settings), *changes])
