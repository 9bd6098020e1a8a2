"""A callback of Transformers, only for what hooks on PyTorch cannot see: the numbers it logs."""

from __future__ import annotations

import functools
from typing import Any

from transformers import TrainerCallback

from tuitrain.watcher.loop import WatchedLoop, watch


def hf(trainer: Any, name: str | None = None, **options: Any) -> Any:
    """Watch a Transformers `Trainer` while it trains; returns the trainer.

    Options are those of `tuitrain.watch`.
    """
    train, logging = trainer.train, _Logging()

    @functools.wraps(train)
    def watched(*args: Any, **kwargs: Any) -> Any:
        with watch(name, **options) as logging.run:
            return train(*args, **kwargs)

    trainer.train = watched
    trainer.add_callback(logging)
    return trainer


class _Logging(TrainerCallback):  # type: ignore[misc]  # Transformers may be absent
    run: WatchedLoop | None = None

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if self.run is not None and logs:
            self.run.log(**{key: value for key, value in logs.items() if key != "epoch"})
