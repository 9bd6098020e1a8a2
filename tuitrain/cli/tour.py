"""tuitrain tour"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tuitrain.catalog import new_spec
from tuitrain.cli.common import has_terminal, home_of, home_option, print_safe, snapshot
from tuitrain.cli.start import watch
from tuitrain.core.errors import TuitrainError, WrongUse
from tuitrain.core.spec import RunSpec

if TYPE_CHECKING:
    from tuitrain.connection.client import Client

_NAME = "tour"
_NAMED = re.compile(rf"{_NAME}(-\d+)?")
_EPOCHS, _PACE = 200, 20
"""So slowly that an epoch can be followed, and for longer than the tour takes."""


def spec_of_tour() -> RunSpec:
    """Return the spec of a run that learns slowly by mse and fast by cross-entropy.

    Plain SGD shows it: Adam would scale small gradients up.
    """
    return new_spec(
        "digits", loss="mse", optimizer="sgd", lr=0.1, epochs=_EPOCHS, pace=_PACE, paused=True
    )


@click.command(epilog="\b\nExample:\n  tuitrain tour")
@home_option
@click.pass_context
def tour(ctx: click.Context) -> int:
    """Learn training, losses and swaps in six steps, in the app.

    It trains on handwritten digits, in a run named tour. If you left it midway, it goes on there.
    """
    from tuitrain.trainer import supervisor

    if not has_terminal():
        raise WrongUse("the tour needs a terminal; tuitrain losses NAME teaches without one")
    home, spec = home_of(ctx), spec_of_tour()
    client = left_midway(home, spec)
    if client is not None:
        code = watch(client.paths, home=home, is_tour=True)
    else:
        started = supervisor.start(home, spec, supervisor.free_name(home, _NAME))
        code = watch(started.paths, started, home=home, is_tour=True)
    if left_midway(home, spec) is not None:
        print_safe("tuitrain tour goes on with the tour")
    return code


def left_midway(home: Path, spec: RunSpec) -> Client | None:
    """Return the newest run of a tour that has not ended."""
    from tuitrain.connection.client import Client
    from tuitrain.store.paths import runs_in

    for paths in runs_in(home):
        client = Client(paths.directory)
        try:
            is_tour = bool(_NAMED.fullmatch(paths.name)) and paths.read_spec() == spec
            if is_tour and not snapshot(client).has_ended:
                return client
        except (TuitrainError, OSError):
            continue
    return None
