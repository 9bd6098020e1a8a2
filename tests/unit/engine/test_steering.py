"""Commands in the loop, from a script: at which step they come, and what becomes of them."""

from collections.abc import Iterator, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tuitrain.catalog import new_spec
from tuitrain.core.commands import Change, Command, Pause, Request, Resume, Step, Stop, SwapLoss
from tuitrain.core.events import (
    BatchDone,
    CommandAccepted,
    CommandDropped,
    CommandRefused,
    EpochEnded,
    Finished,
    LossSwapped,
    Paused,
    Resumed,
    SettingChanged,
    StepsTaken,
    Stopped,
)
from tuitrain.engine.build import build
from tuitrain.engine.loop import train
from tuitrain.engine.state.weights import weights_sha256
from tuitrain.engine.steering import Steering
from tuitrain.engine.training import Training

PER_EPOCH = 6


def small(epochs: int = 3, **more) -> Training:
    torch.set_num_threads(1)
    return build(new_spec("digits", model="linear", batch_size=256, epochs=epochs, **more))


class Script:
    """Commands that come at given steps; a loop that waits without an end gets the next one."""

    def __init__(self, run: Training, *commands: tuple[int, Request]) -> None:
        self._run = run
        self._commands = list(commands)

    def __call__(self, wait_s: float | None) -> Sequence[Request]:
        due = [request for step, request in self._commands if step <= self._run.step]
        if not due and wait_s is None:
            assert self._commands, "the loop waits for ever"
            due = [self._commands[0][1]]
        self._commands = [command for command in self._commands if command[1] not in due]
        return due


def trained(run: Training, *commands: tuple[int, Command | tuple[Command, str]], **how) -> list:
    requests = [
        (step, Request.new(*command) if isinstance(command, tuple) else Request.new(command))
        for step, command in commands
    ]
    return list(train(run, Steering(run, Script(run, *requests), **how)))


def of(events: list, *kinds: type) -> list:
    return [event for event in events if isinstance(event, kinds)]


def test_a_swap_takes_effect_at_the_end_of_the_epoch_and_not_before():
    events = trained(small(), (2, SwapLoss("mse")))

    (swapped,) = of(events, LossSwapped)
    assert (swapped.step, swapped.epoch) == (PER_EPOCH, 1)
    assert (swapped.previous, swapped.loss) == ("cross-entropy", "mse")
    losses = [float(event.loss) for event in of(events, BatchDone)]
    assert min(losses[:PER_EPOCH]) > max(losses[PER_EPOCH:])
    assert [event.loss_name for event in of(events, EpochEnded)] == ["cross-entropy", "mse", "mse"]


def test_the_same_loss_with_another_parameter_is_another_loss():
    smooth = "cross-entropy:label_smoothing=0.1"
    events = trained(
        small(),
        (1, (SwapLoss(smooth), "batch")),
        (2, SwapLoss("cross-entropy:label_smoothing=0.10")),
        (3, (SwapLoss("cross-entropy:label_smoothing=0"), "batch")),
    )

    swaps = [(event.previous, event.loss) for event in of(events, LossSwapped)]
    assert swaps == [("cross-entropy", smooth), (smooth, "cross-entropy")]
    (refused,) = of(events, CommandRefused)
    assert refused.reason == f"{smooth} is in use already"


def test_a_swap_at_the_batch_boundary_counts_from_the_next_batch():
    events = trained(small(), (2, (SwapLoss("mse"), "batch")))

    assert [event.step for event in of(events, LossSwapped)] == [2]


def test_a_pause_holds_after_the_batch_in_hand():
    events = trained(small(), (4, Pause()), (99, Resume()))

    kinds = [type(event) for event in events]
    at = kinds.index(Paused)
    assert events[at].step == 4
    assert kinds[at + 1 : at + 4] == [CommandAccepted, Resumed, BatchDone]
    assert len(of(events, BatchDone)) == 3 * PER_EPOCH


def test_a_pause_at_the_epoch_holds_after_its_validation():
    events = trained(small(), (1, (Pause(), "epoch")), (99, Resume()))

    at = [type(event) for event in events].index(Paused)
    assert isinstance(events[at - 1], EpochEnded)
    assert (events[at].step, events[at].epoch) == (PER_EPOCH, 1)


def test_a_pause_at_the_epoch_asked_before_the_first_batch_waits_for_the_first_epoch():
    events = trained(small(), (0, (Pause(), "epoch")), (99, Resume()))

    assert [event.step for event in of(events, Paused)] == [PER_EPOCH]


def test_a_pause_holds_after_the_last_epoch_before_the_run_is_finished():
    events = trained(small(epochs=1), (1, (Pause(), "epoch")), (99, Resume()))

    kinds = [type(event) for event in events]
    assert kinds.index(EpochEnded) < kinds.index(Paused) < kinds.index(Finished)


def test_a_swap_between_two_epochs_takes_effect_at_once():
    events = trained(small(), (1, (Pause(), "epoch")), (99, SwapLoss("mse")), (99, Resume()))

    kinds = [type(event) for event in of(events, Paused, LossSwapped, Resumed)]
    assert kinds == [Paused, LossSwapped, Resumed]


def test_a_command_that_waits_never_holds_up_later_ones():
    events = trained(small(), (1, SwapLoss("mse")), (2, Pause()), (99, Resume()))

    assert [event.step for event in of(events, Paused, LossSwapped)] == [2, PER_EPOCH]


def test_a_run_can_wait_before_its_first_batch():
    events = trained(small(), (99, SwapLoss("mse")), (99, Resume()), paused=True)

    assert isinstance(events[0], Paused)
    assert [event.step for event in of(events, LossSwapped)] == [0]


def test_a_step_that_is_asked_for_before_a_paused_run_waits_is_trained():
    events = trained(small(), (0, Step(1)), (99, Resume()), paused=True)

    assert [event.step for event in of(events, Paused, StepsTaken)] == [0, 1, 1]


def test_steps_are_trained_one_by_one_and_then_it_pauses():
    events = trained(small(), (3, Pause()), (99, Step(2)), (99, Resume()))

    assert [event.step for event in of(events, Paused)] == [3, 5]
    (stepped,) = of(events, StepsTaken)
    assert (stepped.step, stepped.count) == (5, 2)


def test_steps_count_batches_across_an_epochs_end():
    events = trained(small(), (PER_EPOCH - 1, Step(3)), (99, Resume()))

    assert [event.step for event in of(events, Paused)] == [PER_EPOCH + 2]


def test_a_pause_ends_stepping_and_says_so():
    events = trained(small(), (1, Step(4)), (2, Pause()), (99, Resume()))

    assert [event.step for event in of(events, Paused)] == [2]
    assert len(of(events, CommandDropped)) == 1


def test_going_on_takes_back_a_pause_that_has_not_come():
    events = trained(small(), (1, (Pause(), "epoch")), (2, Resume()))

    assert not of(events, Paused)
    assert len(of(events, CommandDropped)) == 1


def test_a_stop_ends_after_the_batch_in_hand():
    events = trained(small(), (4, Stop()))

    assert len(of(events, BatchDone)) == 4
    assert [event.step for event in of(events, Stopped)] == [4]
    assert not of(events, Finished)


@pytest.mark.parametrize(
    ("commands", "reason"),
    [
        ([(2, Resume())], "it is not paused"),
        ([(2, SwapLoss("cross-entropy"))], "cross-entropy is in use already"),
        ([(2, SwapLoss("CrossEntropyLoss"))], "cross-entropy is in use already"),
        ([(2, SwapLoss("mes"))], "no loss 'mes'; did you mean 'mse'?"),
        ([(2, SwapLoss("mse")), (3, SwapLoss("mse"))], "mse is asked for already"),
        ([(2, Pause()), (99, Pause()), (99, Resume())], "it is paused already, at step 2"),
        ([(2, Stop()), (2, Pause())], "the run has ended"),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(commands, reason):
    events = trained(small(), *commands)

    assert [event.reason for event in of(events, CommandRefused)] == [reason]


def test_a_change_that_waits_is_kept_when_the_run_stops_and_a_pause_is_dropped():
    events = trained(small(), (1, SwapLoss("mse")), (2, (Pause(), "epoch")), (3, Stop()))

    asked = {event.asks: event.command for event in of(events, CommandAccepted)}
    assert [event.command for event in of(events, CommandDropped)] == [asked["pause"]]


class Clock:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.now, self.waits = 100.0, []

    def __call__(self) -> float:
        return self.now

    def wait(self, wait_s: float | None) -> Sequence[Request]:
        if wait_s:
            self.waits.append(wait_s)
            self.now += wait_s
        return ()


def test_a_pace_makes_the_loop_wait_between_batches():
    clock, run = Clock(), small(epochs=1, pace=10)
    list(train(run, Steering(run, clock.wait, clock=clock)))

    assert sum(clock.waits) == pytest.approx((PER_EPOCH - 1) / 10)


def test_a_new_pace_is_reported():
    events = trained(small(), (2, Change("pace", 5000.0)))

    assert [event.value for event in of(events, SettingChanged)] == [5000.0]


COMMANDS = st.one_of(
    st.builds(Pause),
    st.builds(Resume),
    st.builds(Step, st.integers(1, 9)),
    st.builds(SwapLoss, st.sampled_from(["mse", "cross-entropy"])),
    st.builds(Change, st.just("pace"), st.sampled_from([None, 1e6])),
)


@given(
    st.lists(
        st.tuples(st.integers(0, 3 * PER_EPOCH), COMMANDS, st.sampled_from(["batch", "epoch"])),
        max_size=8,
    )
)
@settings(max_examples=25, deadline=None)
def test_every_command_is_answered_once_and_pausing_changes_no_weights(script):
    def requests() -> Iterator[tuple[int, Request]]:
        for step, command, at in script:
            yield step, Request.new(command, at)
        for _ in range(len(script) * 10):
            yield 10_000, Request.new(Resume())

    run = small()
    scripted = Script(run, *requests())
    events = list(train(run, Steering(run, scripted)))

    asked = [item.command for item in of(events, CommandAccepted, CommandRefused)]
    assert len(asked) == len(set(asked))
    ended = [
        item.command
        for item in of(
            events, Paused, Resumed, StepsTaken, LossSwapped, SettingChanged, CommandDropped
        )
        if item.command
    ]
    assert len(ended) == len(set(ended)), "a command has one end"
    assert set(ended) <= {item.command for item in of(events, CommandAccepted)}
    assert [item.step for item in of(events, BatchDone)] == list(range(1, 3 * PER_EPOCH + 1))

    again = small()
    swaps = {item.step: item.loss for item in of(events, LossSwapped)}
    if 0 in swaps:
        again.change("loss", swaps[0])
    for event in train(again, Steering(again)):
        if isinstance(event, BatchDone | EpochEnded) and event.step in swaps:
            at_end = event.step % PER_EPOCH == 0
            if not at_end or isinstance(event, EpochEnded):
                again.change("loss", swaps[event.step])
    assert weights_sha256(again.model) == weights_sha256(run.model)
