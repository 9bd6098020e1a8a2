"""Configuration files of runs (TOML): the options of `tuitrain run`, and a schedule of changes."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from tuitrain.core.errors import Refused, UnknownName, WrongUse
from tuitrain.core.options import at
from tuitrain.core.safe import safe
from tuitrain.core.spec import RunSpec, checked


def read_config(path: Path) -> dict[str, Any]:
    """Return the settings in a TOML file by option name, and its `[[schedule]]` if it has one.

    Raises WrongUse for a file that cannot be read, invalid TOML, an unknown option, and a value
    that its option does not accept.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8-sig"))  # some editors begin with a mark
    except UnicodeDecodeError:
        raise WrongUse(f"cannot read {safe(path)}: save it as UTF-8 text") from None
    except (OSError, ValueError, RecursionError) as error:
        raise WrongUse(f"cannot read {safe(path)}: {safe(error)}") from None
    names = {option.key: option.name for option in at("config")} | {"schedule": "schedule"}
    settings: dict[str, Any] = {}
    for key, value in table.items():
        name = names.get(key.replace("_", "-"))
        if name is None:
            raise UnknownName("option", key, names, where=f"in {safe(path.name)}")
        settings |= _checked(name, value, path)
    return settings


def _checked(name: str, value: object, path: Path) -> dict[str, Any]:
    try:
        return checked({name: value})
    except WrongUse as error:
        raise WrongUse(f"{safe(path.name)}: {error}") from None


def as_config(spec: RunSpec) -> str:
    """Return the TOML text from which `read_config` reads the same settings.

    Raises Refused for a fork: a configuration file cannot contain the checkpoint it starts from.
    """
    if spec.parent and spec.parent.sha256:
        raise Refused("a fork starts from a checkpoint, which a configuration file cannot contain")
    import tomli_w  # here: at their top, modules of core import the standard library only

    settings = {
        option.key: value
        for option in at("config")
        if (value := getattr(spec, option.name, None)) is not None
        or (hasattr(spec, option.name) and (value := option.none_word))
    }
    changes = [f"\n[[schedule]]\n{tomli_w.dumps(change.as_row())}" for change in spec.schedule]
    return "".join([tomli_w.dumps(settings), *changes])
