"""Callbacks of Lightning and Transformers, only for what hooks on PyTorch cannot see: metrics."""

from __future__ import annotations

from typing import Any

from tuitrain.watcher.loop import WatchedLoop, watch


def Lightning(name: str | None = None, **options: Any) -> Any:  # noqa: N802 - it makes a callback
    """Return a callback for `lightning.Trainer(callbacks=[...])`; options as of `tuitrain.watch`.

    It watches `fit`, and records what the module logs. Raises ImportError without Lightning.
    """
    from lightning.pytorch.callbacks import Callback

    class Watching(Callback):  # type: ignore[misc]
        """Watches one call of `fit`."""

        def __init__(self) -> None:
            self._run: WatchedLoop | None = None

        def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
            if stage == "fit" and trainer.is_global_zero:
                self._run = watch(name, **options).__enter__()

        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            self._log(trainer)

        def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            if not trainer.sanity_checking:
                self._log(trainer)

        def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
            self._close(exception)

        def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
            self._close(None)

        def _log(self, trainer: Any) -> None:
            if self._run is not None:
                self._run.log(**dict(trainer.callback_metrics))

        def _close(self, error: BaseException | None) -> None:
            run, self._run = self._run, None
            if run is not None:
                run.__exit__(None if error is None else type(error), error, None)

    return Watching()


def hf(trainer: Any, name: str | None = None, **options: Any) -> Any:
    """Let a Transformers `Trainer` be watched while it trains; returns the trainer.

    Options are those of `tuitrain.watch`. Records what the trainer logs.
    """
    from transformers import TrainerCallback

    class Watching(TrainerCallback):  # type: ignore[misc]
        """Watches one call of `train`."""

        def __init__(self) -> None:
            self._run: WatchedLoop | None = None

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.is_world_process_zero:
                self._run = watch(name, **options).__enter__()

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if self._run is not None and logs:
                self._run.log(**{key: value for key, value in logs.items() if key != "epoch"})

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            run, self._run = self._run, None
            if run is not None:
                run.__exit__(None, None, None)

    trainer.add_callback(Watching())
    return trainer
