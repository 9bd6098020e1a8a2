"""A trainer in a thread of this process: the worker's own code, without starting PyTorch again.

For tests of what a run does. What a *process* does (it is killed, detached, owned, it outlives a
terminal) needs one, which `tests.conftest.Shell.process` starts.
"""

import os
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor

import torch

from tuitrain.record.recorder import Recorder
from tuitrain.store.paths import RunPaths
from tuitrain.store.writer import RunWriter
from tuitrain.trainer import supervisor
from tuitrain.trainer.supervisor import Started
from tuitrain.worker.failure import record_failure
from tuitrain.worker.trainer import train_run


class TrainerThread(threading.Thread):
    """Trains a run and then closes the lock; as much of a `Popen` as callers use."""

    def __init__(self, paths: RunPaths, lock: int) -> None:
        super().__init__(name=f"trainer of {paths.name}", daemon=True)
        self._paths = paths
        self._lock = lock
        self._told_to_end: str | None = None
        self.returncode: int | None = None

    def run(self) -> None:
        writer = RunWriter(self._paths.record, answered=self._paths.answered)
        recorder = Recorder(writer, executor=ThreadPoolExecutor(1))
        code = 0
        try:
            spec = self._paths.read_spec()
            train_run(self._paths, spec, writer, recorder, lambda: self._told_to_end)
        except Exception as error:  # noqa: BLE001 - as the worker does
            with self._paths.log.open("a") as log:
                traceback.print_exc(file=log)
            failure = record_failure(error, self._paths, recorder, writer)
            code = failure.exit_code
        finally:
            recorder.close()
            writer.close()
            os.close(self._lock)
            self.returncode = code

    def poll(self) -> int | None:
        return self.returncode

    def wait(self) -> int | None:
        self.join()
        return self.returncode

    def end(self) -> None:
        self._told_to_end = "the test ended"
        self.join()


class TrainerThreads:
    """Starts trainers as threads in the place of processes.

    Two that train at once share PyTorch's random numbers: not where weights are compared.
    """

    def __init__(self) -> None:
        self._begun: list[TrainerThread] = []

    def launch(self, paths: RunPaths, lock: int, *, module: str, owned: bool) -> Started:
        torch.set_num_threads(1)
        paths.log.touch(0o600)
        thread = TrainerThread(paths, os.dup(lock))
        self._begun.append(thread)
        thread.start()
        return Started(paths, thread)

    def close(self) -> None:
        for thread in self._begun:
            thread.end()


def in_place_of_processes(monkeypatch) -> TrainerThreads:
    """Let every trainer that this process starts be a thread of it."""
    threads = TrainerThreads()
    monkeypatch.setattr(supervisor, "_launch", threads.launch)
    return threads
