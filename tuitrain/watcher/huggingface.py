"""A callback of Transformers, only for what hooks on PyTorch cannot see: the numbers it logs."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback

from tuitrain.watcher.loop import WatchedLoop, watch


def hf(trainer: Any, name: str | None = None, **options: Any) -> Any:
    """Watch a Transformers `Trainer` while it trains; returns the trainer.

    Options are those of `tuitrain.watch`.
    """
    trainer.add_callback(_Watching(name, options))
    return trainer


class _Watching(TrainerCallback):  # type: ignore[misc]
    def __init__(self, name: str | None, options: dict[str, Any]) -> None:
        self._name, self._options = name, options
        self._run: WatchedLoop | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            self._run = watch(self._name, **self._options).__enter__()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if self._run is not None and logs:
            self._run.log(**{key: value for key, value in logs.items() if key != "epoch"})

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        run, self._run = self._run, None
        if run is not None:
            run.__exit__(None, None, None)
