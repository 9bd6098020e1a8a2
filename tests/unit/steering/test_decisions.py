"""A loop that is not ours, steered by the same decisions: no torch, no record, no file."""

import pickle
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuitrain.core.commands import (
    Change,
    FindRate,
    Pause,
    Request,
    Resume,
    Rollback,
    SaveCheckpoint,
    Step,
    Stop,
    SwapLoss,
    Undo,
)
from tuitrain.core.errors import CannotSave, WrongUse
from tuitrain.core.events import (
    CheckpointSaved,
    CommandAccepted,
    CommandDropped,
    CommandRefused,
    Event,
    LossSwapped,
    NotFinite,
    Paused,
    Resumed,
    SettingChanged,
    StepsTaken,
    Stopped,
    TakeOpened,
)
from tuitrain.steering.apply import apply
from tuitrain.steering.decisions import Decision, Decisions
from tuitrain.steering.directives import Directive
from tuitrain.steering.steerable import Position

PER_EPOCH = 4
SLOPES = {"square": lambda x: 2 * x, "distance": lambda x: (x > 0) - (x < 0)}


class Descent:
    """One weight on its way down a slope; it knows two losses and no batch size."""

    def __init__(self) -> None:
        self.take, self.step, self.weight = 1, 0, 8.0
        self.loss, self.lr, self.pace = "square", 0.1, None
        self.steps_per_epoch = PER_EPOCH
        self.has_boundaries, self.why_not_steered = True, None

    @property
    def position(self) -> Position:
        return Position(self.take, self.step, self.step // PER_EPOCH)

    @property
    def is_between_epochs(self) -> bool:
        return self.step % PER_EPOCH == 0

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"loss": self.loss, "lr": self.lr, "pace": self.pace}

    def loss_named(self, text: str) -> str:
        if text not in SLOPES:
            raise WrongUse(f"no loss {text!r}")
        return text

    def why_not(self, setting: str, value: Any) -> str | None:
        known = (*self.settings, "undo", "rollback", "checkpoint")
        return None if setting in known else f"a descent has no {setting}"

    def change(self, setting: str, value: Any) -> None:
        setattr(self, setting, value)

    def use(self, settings: Mapping[str, Any]) -> None:
        for setting, value in settings.items():
            self.change(setting, value)

    def state(self) -> dict[str, Any]:
        return {"weight": self.weight, "step": self.step, **self.settings}

    def restore(self, state: Mapping[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)

    def descend(self) -> None:
        self.weight -= self.lr * SLOPES[self.loss](self.weight)
        self.step += 1


class Memory:
    """Keeps every state that it is given, as long as it has room."""

    best = waiting = None

    def __init__(self) -> None:
        self.kept: tuple[CheckpointSaved, ...] = ()
        self.states: list[dict[str, Any]] = []
        self.has_room = True

    def save(self, run, why, *, command=None, is_needed=False) -> Iterator[Event]:
        if not self.has_room:
            raise CannotSave("memory", OSError(28, "No space left on device"))
        saved = CheckpointSaved(
            *run.position,
            why,
            str(len(self.states)),
            0,
            "",
            "",
            run.is_between_epochs,
            command=command,
        )
        self.states.append(run.state())
        self.kept = (*self.kept, saved)
        yield saved

    def loaded(self, saved: CheckpointSaved):
        yield from ()
        return self.states[int(saved.file)]

    def save_best(self) -> Iterator[Event]:
        yield from ()

    leave_best = save_best

    def go_back(self, opened: TakeOpened) -> None:
        pass


class Steered:
    """A descent with commands that come after given steps; what waits for ever is told to go on.

    `others` are descents elsewhere: they are sent the directives and decide nothing.
    """

    def __init__(self, script: Sequence[tuple[int, Request]] = (), others: int = 0, **how) -> None:
        self.run, self.memory = Descent(), Memory()
        self.others = [(Descent(), Memory()) for _ in range(others)]
        self.decisions = Decisions(self.run, self.memory, **how)
        self.script = list(script)
        self.events: list[Event] = []
        self._do(self.memory.save(self.run, "start"))
        for run, memory in self.others:
            list(memory.save(run, "start"))

    def descend(self, steps: int = 3 * PER_EPOCH) -> list[Event]:
        self._obey(self.decisions.between())
        while self.run.step < steps and not self.decisions.stopped:
            for run in (self.run, *(run for run, _ in self.others)):
                run.descend()
            self._obey(self.decisions.after_batch())
            if self.run.is_between_epochs:
                self._obey(self.decisions.between())
        self._do(self.decisions.close(request for _, request in self.script))
        return self.events

    def _obey(self, decisions: Iterator[Decision]) -> None:
        self._do(decisions)
        came = [item for item in self.script if item[0] <= self.run.step]
        self.script = [item for item in self.script if item not in came]
        self._do(self.decisions.receive(request for _, request in came))
        while self.decisions.paused and not self.decisions.stopped:
            request = self.script.pop(0)[1] if self.script else Request.new(Resume())
            self._do(self.decisions.receive([request]))

    def _do(self, decisions: Iterator[Decision]) -> None:
        for decision in decisions:
            if not isinstance(decision, Directive):
                self.events.append(decision)
                continue
            for event in apply(decision, self.run, self.memory):
                self.decisions.learn(event)
                self.events.append(event)
            for other in self.others:
                list(apply(pickle.loads(pickle.dumps(decision)), *other))


def steered(*commands, **how) -> tuple[Descent, list[Event]]:
    script = [(step, Request.new(command, *at)) for step, command, *at in commands]
    steered = Steered(script, **how)
    return steered.run, steered.descend()


def of(events: Sequence[Event], *kinds: type) -> list:
    return [event for event in events if isinstance(event, kinds)]


def test_it_is_paused_goes_step_by_step_and_goes_on():
    run, events = steered((3, Pause()), (9, Step(2)), (9, Resume()))

    happened = [(type(event), event.step) for event in of(events, Paused, StepsTaken, Resumed)]
    assert happened == [(Paused, 3), (Resumed, 3), (StepsTaken, 5), (Paused, 5), (Resumed, 5)]
    assert run.step == 3 * PER_EPOCH


def test_a_swap_waits_for_its_boundary_and_a_rate_does_not():
    run, events = steered((1, SwapLoss("distance")), (2, Change("lr", 0.5)))

    (swapped,), (changed,) = of(events, LossSwapped), of(events, SettingChanged)
    assert (swapped.step, swapped.previous) == (PER_EPOCH, "square")
    assert (changed.step, changed.previous, changed.value) == (2, 0.1, 0.5)
    assert run.settings == {"loss": "distance", "lr": 0.5, "pace": None}


def test_a_command_that_waits_moves_to_the_boundary_for_which_it_is_asked_again():
    swap = SwapLoss("distance")
    _, events = steered((1, swap), (2, swap, "batch"), (2, swap, "batch"))

    first, *_ = of(events, CommandAccepted)
    (dropped,), (swapped,) = of(events, CommandDropped), of(events, LossSwapped)
    assert dropped == CommandDropped(first.command, "asked for again, at the batch boundary")
    assert swapped.step == 2
    (refused,) = of(events, CommandRefused)
    assert refused.reason == "distance is in use already"


def test_a_command_does_not_move_where_it_cannot_be():
    size = Change("batch-size", 2)
    _, events = steered((1, size), (2, size, "batch"))
    assert [event.reason for event in of(events, CommandRefused)] == [
        "a descent has no batch-size", "a batch size can change between epochs only"
    ]  # fmt: skip


def test_an_undo_takes_back_the_weight_the_step_and_the_setting():
    undisturbed, _ = steered()
    run, events = steered((2, Change("lr", 5.0)), (5, Undo()))

    (opened,) = of(events, TakeOpened)
    assert (opened.step, opened.left_at, opened.take) == (2, 5, 2)
    assert opened.undone == of(events, SettingChanged)[0].command
    assert run.weight == undisturbed.weight


def test_an_undo_can_be_undone():
    changed, _ = steered((2, Change("lr", 0.2)))
    run, events = steered((2, Change("lr", 0.2)), (5, Undo()), (4, Undo()))

    assert [event.take for event in of(events, TakeOpened)] == [2, 3]
    assert (run.lr, run.weight) == (changed.lr, changed.weight)


def test_a_rollback_keeps_the_settings():
    run, events = steered((4, SaveCheckpoint()), (5, Change("lr", 0.2)), (6, Rollback(1)))

    (opened,) = of(events, TakeOpened)
    assert (opened.why, opened.step) == ("rollback", PER_EPOCH)
    assert run.lr == 0.2


def test_a_stop_ends_it_with_a_checkpoint():
    run, events = steered((5, Stop()), (9, Pause()))

    assert [type(event) for event in events[-3:]] == [CheckpointSaved, Stopped, CommandRefused]
    assert run.step == 5


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (SwapLoss("cube"), "no loss 'cube'"),
        (SwapLoss("square"), "square is in use already"),
        (Change("weight-decay", 0.1), "a descent has no weight-decay"),
        (Undo(), "nothing was changed yet"),
        (FindRate(), "a descent has no lr-find"),
        (Rollback(7), "epoch 7 is not kept; kept are the epochs 0"),
    ],
)
def test_the_loop_itself_refuses_what_it_cannot_do(command, reason):
    _, events = steered((2, command))

    assert [event.reason for event in of(events, CommandRefused)] == [reason]


def test_a_change_is_dropped_where_the_present_cannot_be_saved():
    steered = Steered([(2, Request.new(Change("lr", 0.5)))])
    steered.memory.has_room = False
    (dropped,) = of(steered.descend(), CommandDropped)

    assert "No space left" in dropped.reason
    assert steered.run.lr == 0.1


def test_what_is_not_finite_pauses_at_the_next_batch():
    steered = Steered(on_nonfinite="pause")
    steered.decisions.learn(NotFinite(1, 1, 0, "loss"))

    (event,) = of(steered.descend(), Paused)
    assert (event.step, event.command) == (1, None)


def test_what_is_not_finite_fails_the_run_with_its_step_where_it_shall_stop():
    steered = Steered(on_nonfinite="stop", way_on="tuitrain resume a goes on")
    steered.decisions.learn(NotFinite(1, 1, 0, "loss"))

    *_, saved, failed = steered.descend()
    assert (saved.step, saved.why) == (1, "stop")
    assert failed.error == (
        "the loss was not finite at step 1, which left the weights as they were; "
        "tuitrain resume a goes on"
    )
    assert failed.exit_code == 1


COMMANDS = st.one_of(
    st.builds(Pause),
    st.builds(Resume),
    st.builds(Step, st.integers(1, 6)),
    st.builds(SwapLoss, st.sampled_from(sorted(SLOPES))),
    st.builds(Change, st.just("lr"), st.sampled_from([0.05, 0.1, 0.2])),
    st.builds(SaveCheckpoint),
    st.builds(Undo),
    st.builds(FindRate),
    st.builds(Rollback, st.sampled_from([None, 0, 1, 2])),
)
REQUESTS = st.builds(Request.new, COMMANDS, st.sampled_from(["batch", "epoch"]))


@given(st.lists(st.tuples(st.integers(0, 3 * PER_EPOCH), REQUESTS), max_size=8))
@settings(max_examples=60, deadline=None)
def test_who_is_sent_the_directives_does_what_the_one_who_decides_does(script):
    steered = Steered(script, others=2)
    events = steered.descend()

    for run, memory in steered.others:
        assert (run.take, run.state()) == (steered.run.take, steered.run.state())
        assert memory.kept == steered.memory.kept
    accepted = [event.command for event in of(events, CommandAccepted)]
    answered = [
        event.command
        for event in events
        if not isinstance(event, CommandAccepted | CommandRefused)
        and getattr(event, "command", None)
    ]
    assert sorted(answered) == sorted(accepted), "each is answered once, and nothing else is"
