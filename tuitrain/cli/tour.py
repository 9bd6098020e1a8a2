"""tuitrain tour"""

from __future__ import annotations

import click

from tuitrain.catalog import new_spec
from tuitrain.cli.common import has_terminal, home_of, home_option
from tuitrain.cli.start import watch
from tuitrain.core.errors import WrongUse

_NAME = "tour"
_EPOCHS, _PACE = 1_000, 20
"""So slowly that an epoch can be followed, and for longer than the tour takes."""


@click.command(epilog="\b\nExample:\n  tuitrain tour")
@home_option
@click.pass_context
def tour(ctx: click.Context) -> int:
    """Learn training, losses and swaps in six steps, in the app.

    It trains on handwritten digits, in a run named tour.
    """
    from tuitrain.trainer import supervisor

    if not has_terminal():
        raise WrongUse("the tour needs a terminal; tuitrain losses NAME teaches without one")
    home = home_of(ctx)
    spec = new_spec("digits", epochs=_EPOCHS, pace=_PACE, paused=True)
    started = supervisor.start(home, spec, supervisor.free_name(home, _NAME))
    return watch(started.paths, started, home=home, is_tour=True)
