"""Training of a run on another rank than the first, which decides and records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tuitrain.core import code_copies
from tuitrain.core.spec import RunSpec
from tuitrain.engine.build import build
from tuitrain.engine.loop import train
from tuitrain.engine.ranks import group
from tuitrain.engine.ranks.ranks import Ranks
from tuitrain.engine.user_code import UserCode


def follow(folder: Path) -> None:
    """Train the run of the first rank to its end; `folder` is for copies of the user's code."""
    with group.joined(leads=False):
        ranks = Ranks()
        text, code = ranks.of_first(None)
        code_copies.unpack(folder, code)
        spec = replace(RunSpec.from_json(text), init_from=None)  # the first rank has the weights
        run = build(spec, code=UserCode(folder), device=ranks.device_of(spec.device))
        ranks.train(run)
        for _ in train(run, ranks.steering_of(run), clock=lambda: 0.0):
            pass
