"""A task of tables: to come."""

from __future__ import annotations

from tuitrain.core.errors import Refused
from tuitrain.core.spec import RunSpec
from tuitrain.engine.tasks.opened import OpenedTask


def open_table(spec: RunSpec) -> OpenedTask:
    """Return the task of a spec."""
    raise Refused(f"cannot train on tables yet: {spec.task}")
