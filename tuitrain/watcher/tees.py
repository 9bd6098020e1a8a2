"""Numbers that a script logs elsewhere are recorded as well: TensorBoard's and W&B's calls.

The classes are changed right after their modules are loaded, before the script can use them.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

Log = Callable[[Mapping[str, Any]], None]


class Tees(MetaPathFinder):
    """Tees on the modules below, those loaded already and those to come."""

    def __init__(self, log: Log) -> None:
        """`log` is called with the numbers by name; what it raises does not reach the script."""
        self._log = log
        self._patches: dict[str, Callable[[ModuleType], None]] = {
            "torch.utils.tensorboard.writer": self._summary_writer,
            "tensorboardX.writer": self._summary_writer,
            "wandb": self._wandb,
        }
        self._is_searching = False
        self._undo: list[Callable[[], None]] = []

    def install(self) -> None:
        """Begin."""
        for name, patch in self._patches.items():
            if name in sys.modules:
                patch(sys.modules[name])
        sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """Put everything back."""
        with suppress(ValueError):
            sys.meta_path.remove(self)
        while self._undo:
            self._undo.pop()()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec that the other finders have, with a loader that patches the module."""
        if fullname not in self._patches or self._is_searching:
            return None
        self._is_searching = True
        try:
            specs = (
                finder.find_spec(fullname, path, target)
                for finder in sys.meta_path
                if finder is not self and hasattr(finder, "find_spec")
            )
            spec = next(filter(None, specs), None)
        finally:
            self._is_searching = False
        if spec is not None and spec.loader is not None:
            with suppress(AttributeError):  # a loader that cannot be changed
                _after_loading(spec.loader, self._patches[fullname])
        return spec

    def _summary_writer(self, module: ModuleType) -> None:
        writer = module.SummaryWriter

        def scalar(_self: Any, tag: str, scalar_value: Any, *_args: Any, **_kwargs: Any) -> None:
            self._log({tag: scalar_value})

        def scalars(_self: Any, main_tag: str, values: Any, *_args: Any, **_kwargs: Any) -> None:
            self._log({f"{main_tag}/{tag}": value for tag, value in values.items()})

        self._tee(writer, "add_scalar", scalar)
        self._tee(writer, "add_scalars", scalars)

    def _wandb(self, module: ModuleType) -> None:
        def log(data: Mapping[str, Any], *_args: Any, **_kwargs: Any) -> None:
            self._log(data)

        self._tee(module, "log", log)  # before `init`, which replaces it with the run's own
        if (run := getattr(getattr(module, "sdk", None), "wandb_run", None)) is not None:
            self._tee(run.Run, "log", lambda _self, data, *_a, **_k: self._log(data))

    def _tee(self, owner: Any, name: str, also: Callable[..., None]) -> None:
        original = getattr(owner, name)

        @functools.wraps(original)
        def both(*args: Any, **kwargs: Any) -> Any:
            with suppress(Exception):
                also(*args, **kwargs)
            return original(*args, **kwargs)

        setattr(owner, name, both)
        self._undo.append(lambda: setattr(owner, name, original))


def _after_loading(loader: Loader, patch: Callable[[ModuleType], None]) -> None:
    """Call `patch` with the module once this loader has executed it."""
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        execute(module)
        with suppress(Exception):  # another version has other names: its numbers are not seen
            patch(module)

    loader.exec_module = exec_module  # type: ignore[method-assign]  # patches once, when it is imported
