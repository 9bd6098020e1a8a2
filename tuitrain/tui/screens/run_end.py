"""Stop or delete runs of a list, after a question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from textual.screen import Screen

from tuitrain.connection.client import Client
from tuitrain.core.commands import Stop
from tuitrain.store.paths import RunPaths
from tuitrain.trainer import supervisor
from tuitrain.tui.errors import attempt
from tuitrain.tui.screens.choice import confirm
from tuitrain.view.text.listing import Row, to_be_deleted


def stop(screen: Screen[Any], row: Row) -> None:
    """Ask, and stop a live run."""

    def send() -> None:
        attempt(screen, f"stop {row.name}", lambda: Client(row.directory).send(Stop()))

    question = f"End {row.name}? It saves a checkpoint first."
    confirm(screen, "Stop", question, send, yes="Stop the run", no="Leave it as it is")


def delete(screen: Screen[Any], rows: Sequence[Row], deleted: Callable[[], Any]) -> None:
    """Ask, delete ended runs for good, and call `deleted`."""

    def remove() -> None:
        for row in rows:
            paths = RunPaths(row.directory)
            attempt(screen, f"delete {row.name}", partial(supervisor.delete, paths))
        deleted()

    confirm(screen, "Delete", to_be_deleted(rows), remove, yes="Delete", no="Keep")
