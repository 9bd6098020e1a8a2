"""A watched loop's run: its lock, record and inbox, from the first hook to the last word."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tuitrain.core.commands import Request, Stop
from tuitrain.core.events import (
    WATCHING,
    Failed,
    Finished,
    LastWord,
    StartupReached,
    Stopped,
    Warned,
)
from tuitrain.core.files import read_text
from tuitrain.core.safe import safe
from tuitrain.core.spec import RunSpec
from tuitrain.engine.state.checkpoint import Checkpoints
from tuitrain.engine.steering import Steering
from tuitrain.record import process
from tuitrain.record.controls import Controls
from tuitrain.record.files import Files, Lost
from tuitrain.record.recorder import Recorder
from tuitrain.store.disk_reserve import release
from tuitrain.store.filesystem import network_filesystem
from tuitrain.store.paths import RunPaths
from tuitrain.store.writer import RunWriter
from tuitrain.watcher import ranks
from tuitrain.watcher.hooks import Hooks
from tuitrain.watcher.replaced import Replaced
from tuitrain.watcher.tees import Tees
from tuitrain.watcher.times import microseconds
from tuitrain.watcher.watch import Ending, Watch
from tuitrain.watcher.watched import Watched, why_wrong
from tuitrain.watcher.watching import NEEDED, OF_SETTINGS, UNSEEN
from tuitrain.worker.failure import is_of_another_rank
from tuitrain.worker.startup import stop_before_training, waiting_commands

if TYPE_CHECKING:
    from tuitrain.watcher import following

AnySession: TypeAlias = "Session | following.Session"
current: AnySession | None = None
"""The session of this process, if its loop is being watched."""
_LOOK_S = 0.25
_PATIENCE_S = 5.0
_LONGEST_NOTE = 1 << 16
_OF_THE_RECORD = (Lost, OSError, sqlite3.Error)
"""Errors of its files; those of a checkpoint are warnings."""
_NO_STEP = (
    "no training step was seen: a step of an optimizer of torch.optim, or a backward pass, in this "
    "process"
)
_REPLACED = "the script became another program here, which is not watched"
HOOKED = "optimizers, loss functions, backward passes and data loaders of PyTorch"


class Session:
    """The one watched loop of this process."""

    def __init__(
        self,
        paths: RunPaths,
        lock: int,
        *,
        end: Callable[[], bool],
        has_launcher: bool = False,
        comes_within_s: float = ranks.COMES_WITHIN_S,
    ) -> None:
        """`end` makes the loop end by itself, and returns whether it can; else Ending is raised.

        A launcher has the lock, and is the owner of the run. Other processes that train with this
        one are waited for until they take their first step, `comes_within_s` at most.
        """
        spec = paths.read_spec()
        self._has_launcher, self._parent = has_launcher, os.getppid()
        self._release_lock = process.keep_lock(lock)
        if not has_launcher:
            process.write_owner(paths.owner)
        network = network_filesystem(paths.directory)
        journal: Literal["wal", "delete"] = "delete" if network else "wal"
        self._writer = RunWriter(paths.record, answered=paths.answered, journal=journal)
        self.paths, self._end = paths, end
        self._files = Files(paths, lock)
        self.recorder = Recorder(self._writer, time.perf_counter, check=self._files.look_after)
        self.recorder.time_with(microseconds)
        self._signal: str | None = None
        self._pid = os.getpid()
        loop_of, steering_of, watch_of = _kinds()
        loop = loop_of(spec)
        controls = Controls(
            paths.inbox, known=set(), ending=lambda: self._signal,
            idle=self.recorder.flush_if_due, checkpoints=paths.checkpoints,
        )  # fmt: skip
        self._controls = controls
        steering = steering_of(
            loop, controls, checkpoints=Checkpoints(paths.checkpoints), paused=spec.paused
        )
        self.watch = watch_of(loop, steering, self.recorder, title=_title(spec), end=self._stop)
        self.watch.expect_others(comes_within_s)
        self.recorder.read_rows, loop.epoch_loss.read = self.watch.rows, self.recorder.gather
        self.hooks, self._tees = Hooks(self.watch, self._lose_hook), Tees(self.log)
        self._replaced = Replaced(self._become_another)
        self._is_open = self._is_logging = True
        if spec.loss:
            loop.change("loss", loop.loss_named(spec.loss))
        self.recorder.take(StartupReached(f"{WATCHING} {_title(spec)}: waiting for its first step"))

    @property
    def name(self) -> str:
        """The name of its run."""
        return self.paths.name

    def start(self) -> None:
        """Put the hooks in their places."""
        global current
        self.hooks.install()
        self._tees.install()
        self._replaced.install()
        self.watch.announce()
        current = self

    def greet(self, command: Sequence[str]) -> None:
        """Say what is watched."""
        say(f"{self.name}: watching {' '.join(command)}; hooked: {HOOKED}")

    def take_leave(self, error: BaseException | None, code: int) -> int:
        """Say how a script ended that did not end by itself, and return its exit code."""
        other = self._failed_rank()
        failure = other.error if other else self.watch.failure
        if failure:  # a framework may have ended the script in its own way
            say(f"{self.name}: {failure}")
            return code or 1
        if isinstance(error, Ending):
            say(f"{self.name}: stopped at step {self.watch.loop.step:,}")
        return code

    def log(self, values: Mapping[str, Any]) -> None:
        """Record numbers by name; a failure is reported once."""
        if self._is_open and self._is_logging:
            try:
                self.watch.log(dict(values))
            except Exception as error:  # noqa: BLE001 - the loop must go on, whatever it is
                self._is_logging = False
                self._lose("the numbers that the script logs", error)

    def end_on_signal(self, number: int) -> None:
        """Stop at the next step when a signal comes, if there is one within a few seconds.

        Stop at once if it comes again, or before any step.
        """
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, self._note)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self._signal or not self.watch.loop.step:
            raise Ending(signal.Signals(number).name)
        self._signal = signal.Signals(number).name
        insisting = threading.Timer(_PATIENCE_S, self._insist, (number,))
        insisting.daemon = True
        insisting.start()

    def _insist(self, number: int) -> None:
        """Send the signal again: the script takes no more steps, but evaluates, waits or saves."""
        if self._is_open and not self.watch.has_ended:
            os.kill(os.getpid(), number)

    def close(self, error: BaseException | None) -> None:
        """Record how the loop ended, and release the run. Never raises."""
        if not self._is_open or os.getpid() != self._pid:  # a forked child has the same atexit
            return
        self._forget()
        try:
            release(self.paths.disk_reserve)  # space for the last word on a full disk
            self._last_word(error)
            self.recorder.close()
            self._writer.close()
            self._controls.close()
        except Exception as failure:  # noqa: BLE001 - the loop's own end must not change
            say(f"the end of the run is not recorded: {why_wrong(failure)}")
        finally:
            self._release()

    def _become_another(self) -> None:
        """Record the end of a run whose process becomes another program, which is not watched."""
        if self._is_open and os.getpid() == self._pid:
            with suppress(Exception):
                self.recorder.take(Warned(_REPLACED, step=self.watch.loop.step))
            self.close(None)

    def _last_word(self, error: BaseException | None) -> None:
        watch, loop = self.watch, self.watch.loop
        if watch.has_ended:
            return  # the stop is its last word
        if watch.started is None and (stop := self._stop_request()) is not None:
            stop_before_training(stop, self.paths, self._writer, self.recorder)
            return
        watch.close()
        word = self._failed_rank() or _word(error, loop)
        if watch.started is None and isinstance(word, Finished):
            self.recorder.take(Warned(_NO_STEP))
        if not (self._has_launcher and isinstance(word, Failed) and is_of_another_rank(word.error)):
            self.recorder.take(word)  # else its launcher will know which rank it is

    def _failed_rank(self) -> Failed | None:
        """Return that another rank failed, which is what this one ends of, by its launcher."""
        if self._has_launcher:
            with suppress(OSError):
                return Failed(read_text(self.paths.failed_rank, most=_LONGEST_NOTE))
        return None

    def _stop_request(self) -> Request | None:
        """Return a request to stop that waits for the first step."""
        waiting = waiting_commands(self.paths)
        return next((request for request in waiting if isinstance(request.command, Stop)), None)

    def stop_before_first_step(self) -> None:
        """Send this process a SIGTERM once a stop is asked for before there is a step to end at."""

        def look() -> None:
            while self._is_open and not self.watch.loop.step:
                if self._stop_request() is not None:
                    os.kill(os.getpid(), signal.SIGTERM)
                    return
                time.sleep(_LOOK_S)

        threading.Thread(target=look, daemon=True).start()

    def _stop(self) -> None:
        """Make the loop end: by its framework, or by an interrupt."""
        self.hooks.remove()  # the script may go on, with what follows its training
        if not self._end():
            _say_nothing_in_threads()
            raise Ending("stopped")

    def _lose_hook(self, hook: str, error: Exception) -> None:
        """Report a hook that failed; without one that is needed, end the record."""
        if isinstance(error, _OF_THE_RECORD):
            hook = "after_step"  # whichever it was, no step can be recorded any more
        self._lose(UNSEEN[hook], error)
        if hook in OF_SETTINGS:
            self.watch.leave()  # other ranks would go on with what this one cannot do any more
        if hook in NEEDED:
            self._give_up(f"watching ended at step {self.watch.loop.step}: {why_wrong(error)}")

    def _lose(self, seen: str, error: Exception) -> None:
        """Report what is not seen any more."""
        text = f"{seen} cannot be seen any more ({why_wrong(error)}); training goes on"
        say(text)
        with suppress(Exception):
            self.recorder.take(Warned(safe(text), step=self.watch.loop.step))

    def _give_up(self, text: str) -> None:
        """End the record while the loop goes on."""
        self._forget()
        with suppress(Exception):
            release(self.paths.disk_reserve)
            self.recorder.fail(Failed(safe(text)))
            self.recorder.close()
            self._writer.close()
        self._release()
        if self._has_launcher and os.getppid() == self._parent:
            os.kill(self._parent, ranks.GAVE_UP)  # it has the lock

    def _release(self) -> None:
        """Let the files of the run go: this process may live on, as that of a notebook."""
        with suppress(OSError):
            self._release_lock()
            self._files.close()

    def _forget(self) -> None:
        """Take the hooks out: nothing more is seen."""
        global current
        self._is_open = False
        self.hooks.remove()
        self.watch.leave()
        self._tees.remove()
        self._replaced.remove()
        current = None


def _say_nothing_in_threads() -> None:
    """Let no traceback be printed of a thread that a stop ends, as of the main one."""
    usual = threading.excepthook

    def hook(ended: threading.ExceptHookArgs) -> None:
        if not issubclass(ended.exc_type, Ending):
            usual(ended)

    threading.excepthook = hook


def say(text: str) -> None:
    """Print one line where the script's errors go; nothing where that is closed or gone."""
    with suppress(OSError, ValueError):
        if sys.stderr is not None:  # else it would go to the script's output
            print(f"tuitrain: {safe(text)}", file=sys.stderr, flush=True)  # noqa: T201 - for the user


def _kinds() -> tuple[type[Watched], type[Steering], type[Watch]]:
    """Return the classes of a loop, of its steering and of its watch, for one or many processes."""
    if ranks.count() == 1:
        return Watched, Steering, Watch
    from tuitrain.watcher import leading

    return leading.Watched, leading.Steering, leading.Watch


def _word(error: BaseException | None, loop: Watched) -> LastWord:
    code = error.code if isinstance(error, SystemExit) else None
    if isinstance(error, KeyboardInterrupt):
        return Stopped(None, *loop.position, str(error) or "SIGINT")
    if error is not None and not isinstance(error, SystemExit | GeneratorExit):
        return Failed(safe(why_wrong(error)))
    if not isinstance(code, int | None):
        return Failed(safe(f"the script ended itself: {code}"))
    return Failed(f"the script ended with exit code {code}") if code else Finished(*loop.position)


def _title(spec: RunSpec) -> str:
    return safe(os.path.basename(spec.task) or spec.task, limit=60)  # noqa: PTH119 - of a/ too
