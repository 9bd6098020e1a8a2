"""A watched loop on a rank that follows: it does as the one that leads, and records nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter_ns
from typing import Any

from torch import Tensor, is_grad_enabled
from torch.optim import Optimizer

from tuitrain.core.spec import RunSpec
from tuitrain.engine.ranks.messages import Call
from tuitrain.engine.ranks.numbers import Numbers
from tuitrain.watcher import losses, objects, ranks
from tuitrain.watcher import session as sessions
from tuitrain.watcher.hooks import Hooks
from tuitrain.watcher.link import FOR_EVER_S, Entry, GoOn, Link, Measure, Over, Unreachable
from tuitrain.watcher.ranks import COMES_WITHIN_S
from tuitrain.watcher.stepping import Stepping
from tuitrain.watcher.watch import Ending
from tuitrain.watcher.watched import Watched, is_finite, why_wrong


class Follower(Stepping):
    """Meets `Watching`: counts steps, and meets the rank that leads."""

    def __init__(
        self, loop: Watched, entry: Entry, *, end: Callable[[], None], leave: Callable[[], None]
    ) -> None:
        """`end` makes the loop end, and `leave` lets it go on as the script has it."""
        self.loop, self._entry, self._end, self._leave = loop, entry, end, leave
        self.has_ended = self._is_alone = False
        self.notes: list[str] = []
        """Remarks of the user, which the rank that leads records."""
        self._link: Link | None = None
        self._meet_at = 0
        self._backward_ns = 0
        self._numbers: Numbers | None = None

    def after_loss(
        self, name: str, _value: Tensor, args: tuple[Any, ...], kwargs: Any, _began: int
    ) -> None:
        if self.loop.call is None and is_grad_enabled():
            self.loop.learn(losses.Call(name, args, kwargs).without_data())

    def after_backward(self, _loss: Any, _gradient: Any, began: int) -> None:
        self._backward_ns += perf_counter_ns() - began

    def scaled(self, _scaled: Any, _loss: Any, scaler: Any) -> None:
        self.loop.parts.add_scaler(scaler)

    def before_scaler_step(self) -> None:
        pass

    def after_scaler_step(self) -> None:
        pass

    def before_epoch(self, loader: Any) -> None:
        pass

    def after_fetch(self, iterator: Any, began: int) -> None:
        pass

    def meet(self, optimizer: Optimizer) -> None:
        self.optimizer = None  # the one before may have no other owner left
        self.loop.parts.meet(optimizer)
        self.optimizer = optimizer
        if self.loop.on_nonfinite != "alert" and objects.is_sharded(optimizer):
            self.loop.on_nonfinite = "alert"  # as on the rank that leads

    def is_finite(self, optimizer: Optimizer) -> bool:
        return is_finite(0.0, optimizer)

    def after_step(self, optimizer: Optimizer) -> None:
        """Count a step, and meet the rank that leads if that is agreed for it."""
        loop = self.loop
        loop.take_back_rates()
        if self.has_ended:
            return
        loop.step += 1
        if not self._is_alone:
            try:
                self._follow(optimizer)
            except Over:
                self._is_alone = True
                self._leave()
            except Unreachable as error:
                self.close()
                sessions.say(f"rank {ranks.rank()} goes on without being steered: {error}")

    def _follow(self, optimizer: Optimizer) -> None:
        if self._link is None:
            self._link = self._entry.join(objects.digest_of(optimizer))
            self._numbers = Numbers(self.loop.parts.device)
        elif self._numbers is not None:  # the first step is not like the others
            self._numbers.add(self._backward_ns / 1e9)
        self._backward_ns = 0
        if self.loop.step >= self._meet_at:
            self._attend(self._link)

    def step_by_hand(self, loss: Tensor) -> None:
        """Do nothing: without an optimizer, the ranks do not meet."""

    def _attend(self, link: Link) -> None:
        """Do what the rank that leads does, until it goes on."""
        within_s = COMES_WITHIN_S if self._meet_at else FOR_EVER_S  # at first it may save weights
        while not isinstance(order := link.receive(within_s), GoOn):
            if isinstance(order, Call):
                getattr(self.loop, order.method)(*order.arguments)
            elif isinstance(order, Measure) and self._numbers is not None:
                link.gathered(self._numbers.taken())
            within_s = FOR_EVER_S
        self._go_on(order)

    def _go_on(self, order: GoOn) -> None:
        self.loop.take, self._meet_at = order.take, self.loop.step + order.steps
        if order.has_stopped:
            self.has_ended = True
            self._end()

    def close(self) -> None:
        """Let the others know that this rank meets them no more."""
        if self._link is not None and not self._is_alone:
            self._link.leave(keeps_settings=True)
        self._is_alone = True


class Session:
    """The one watched loop of this process, as that of the rank that leads has it."""

    name = ""

    def __init__(
        self, spec: RunSpec, *, end: Callable[[], bool], comes_within_s: float = COMES_WITHIN_S
    ) -> None:
        loop = Watched(spec)
        self._loop_ends, self._entry = end, Entry(leads=False, comes_within_s=comes_within_s)
        self.watch = Follower(loop, self._entry, end=self._stop, leave=self.close)
        self.hooks = Hooks(self.watch, self._lose_hook)
        if spec.loss:
            loop.change("loss", loop.loss_named(spec.loss))

    def start(self) -> None:
        """Put the hooks in their places."""
        self.hooks.install()
        self._entry.announce()
        sessions.current = self

    def log(self, values: Mapping[str, Any]) -> None:
        """Do nothing: those of the rank that leads are recorded."""

    def close(self, _error: BaseException | None = None) -> None:
        """Take the hooks out. Never raises."""
        self.hooks.remove()
        self.watch.close()
        if sessions.current is self:
            sessions.current = None

    def greet(self, _command: Sequence[str]) -> None:
        """Say nothing: the rank that leads does."""

    def take_leave(self, _error: BaseException | None, code: int) -> int:
        """Return the exit code of the script."""
        return code

    def _stop(self) -> None:
        self.hooks.remove()
        if not self._loop_ends():
            raise Ending("stopped")

    def _lose_hook(self, _hook: str, error: Exception) -> None:
        """Let the loop go on as the script has it."""
        sessions.say(f"rank {ranks.rank()} is not steered any more: {why_wrong(error)}")
        self.close()
