"""Count how often training makes the host wait for the device, on the CPU by what is dispatched.

python -m benchmarks.host_reads: prints what 1,000 steps came to, as JSON: the flushes of the
recorder, and where `_local_scalar_dense` was called (what `item`, `float` and `bool` of a tensor
become). A flush reads by `tolist`, which dispatches nothing here and waits once on an accelerator.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks import workload
from tuitrain.catalog import new_spec
from tuitrain.core.events import BatchDone
from tuitrain.engine.build import build
from tuitrain.engine.loop import train
from tuitrain.engine.steering import Steering
from tuitrain.record.recorder import Recorder
from tuitrain.store.writer import RunWriter

STEPS = 1000


class Dispatched(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's has no types
    """Counts operators by name."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's has no types
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.counts[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))

    @property
    def reads(self) -> int:
        return self.counts["_local_scalar_dense"]


class CountedWriter(RunWriter):
    """Counts its transactions."""

    writes = 0

    def write(self, *what: Any) -> None:
        self.writes += 1
        super().write(*what)


def main() -> None:
    run = build(new_spec(workload.TASK, **workload.SETTINGS))
    run.is_synchronous = False  # as on an accelerator
    reads: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder, Dispatched() as dispatched:
        writer = CountedWriter(Path(folder) / "run.db")
        recorder = Recorder(writer)
        recorder.time_with(run.stopwatch.microseconds)
        events = train(run, Steering(run))
        while run.step < STEPS:
            before = dispatched.reads
            event = next(events)
            made = dispatched.reads
            recorder.take(event)
            reads["steps" if isinstance(event, BatchDone) else "validations"] += made - before
            reads["recorder"] += dispatched.reads - made
        writer.close()
    print(json.dumps({"flushes": writer.writes, **reads}))


if __name__ == "__main__":
    main()
