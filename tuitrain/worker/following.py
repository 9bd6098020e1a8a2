"""Training of a run on another rank than the first, which decides and records."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

from tuitrain.core import code_copies
from tuitrain.core.spec import RunSpec
from tuitrain.engine.build import build
from tuitrain.engine.loop import train
from tuitrain.engine.ranks import group
from tuitrain.engine.ranks.ranks import Ranks
from tuitrain.engine.user_code import UserCode
from tuitrain.worker.temporary import temporary_folder


def follow() -> None:
    """Train the run of the first rank to its end."""
    with group.joined(leads=False), ExitStack() as stack:
        ranks = Ranks()
        text, copies = ranks.of_first(None)
        code = UserCode()
        if copies:
            folder = stack.enter_context(temporary_folder())
            code_copies.unpack(folder, copies)
            code = UserCode(folder)
        spec = replace(RunSpec.from_json(text), init_from=None)  # the first rank has the weights
        run = build(spec, code=code, device=ranks.device_of(spec.device), part=ranks.part)
        ranks.train(run)
        for _ in train(run, ranks.steering_of(run), clock=lambda: 0.0):
            pass
