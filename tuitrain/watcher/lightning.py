"""A callback of Lightning, only for what hooks on PyTorch cannot see: the numbers it logs."""

from __future__ import annotations

from typing import Any

from lightning.pytorch.callbacks import Callback

from tuitrain.watcher.loop import WatchedLoop, watch


class Lightning(Callback):  # type: ignore[misc]  # Lightning may be absent
    """Watches `fit`: `Trainer(callbacks=[tuitrain.Lightning("name")])`.

    Options are those of `tuitrain.watch`.
    """

    def __init__(self, name: str | None = None, **options: Any) -> None:
        self._name, self._options = name, options
        self._run: WatchedLoop | None = None

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Begin to watch, on each rank."""
        if stage == "fit":
            self._run = watch(self._name, **self._options).__enter__()

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Record what was logged in the epoch."""
        self._log(trainer)

    def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Record what was logged in a validation within an epoch; another is recorded above."""
        if not (trainer.sanity_checking or trainer.is_last_batch):
            self._log(trainer)

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Record how it failed."""
        self._close(exception)

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Record its end."""
        self._close(None)

    def _log(self, trainer: Any) -> None:
        if self._run is not None:
            self._run.log(**dict(trainer.callback_metrics))

    def _close(self, error: BaseException | None) -> None:
        run, self._run = self._run, None
        if run is not None:
            run.__exit__(None if error is None else type(error), error, None)
