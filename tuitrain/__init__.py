"""A terminal cockpit for training neural networks.

From Python, without PyTorch: `connect("name")` returns a `Run`, `runs()` the names of all, and a
`Task` describes data, model and losses of one's own. `watch()` watches a training loop, `Lightning`
and `hf` those of Lightning and Transformers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "Answer", "Lightning", "NoSuchRun", "Refused", "Run", "RunEnded", "Task", "TuitrainError",
    "WrongUse", "connect", "hf", "runs", "watch",
]  # fmt: skip

if TYPE_CHECKING:
    from tuitrain.connection.answer import Answer
    from tuitrain.connection.run import Run, connect, runs
    from tuitrain.core.errors import NoSuchRun, Refused, RunEnded, TuitrainError, WrongUse
    from tuitrain.task import Task
    from tuitrain.watcher.huggingface import hf
    from tuitrain.watcher.lightning import Lightning
    from tuitrain.watcher.loop import watch
else:

    def __getattr__(name: str) -> Any:
        """Import a public thing when it is asked for: importing the package does nothing."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        at_home = {"Run": "connection.run", "connect": "connection.run", "runs": "connection.run",
                   "Answer": "connection.answer", "Task": "task",
                   "watch": "watcher.loop", "Lightning": "watcher.lightning",
                   "hf": "watcher.huggingface"}  # fmt: skip
        module = import_module(f"{__name__}.{at_home.get(name, 'core.errors')}")
        return getattr(module, name)
