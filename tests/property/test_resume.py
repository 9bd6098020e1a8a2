"""Runs that are steered, killed anywhere and resumed end with the weights of an undisturbed run."""

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, note, settings
from hypothesis import strategies as st

from tuitrain.catalog import new_spec
from tuitrain.core.commands import Change, Pause, Request, Resume, Rollback, Step, SwapLoss, Undo
from tuitrain.core.events import (
    BatchDone,
    CommandAccepted,
    CommandRefused,
    Detail,
    EpochEnded,
    Fact,
    Finished,
    Measured,
    TakeOpened,
)
from tuitrain.core.spec import RunSpec
from tuitrain.engine.build import build
from tuitrain.engine.data import Samples
from tuitrain.engine.loop import train
from tuitrain.engine.state.checkpoint import Checkpoints
from tuitrain.engine.state.resume import Position, resume
from tuitrain.engine.state.start import Start, begin
from tuitrain.engine.state.weights import weights_sha256
from tuitrain.engine.steering import Steering
from tuitrain.engine.streaming import Streamed
from tuitrain.engine.training import Training

PER_EPOCH, EPOCHS = 6, 3
LAST = PER_EPOCH * EPOCHS
SPEC = new_spec(
    "digits",
    model="mlp:hidden=16,norm=batch,dropout=0.2",
    optimizer="adam:schedule=cosine",
    batch_size=256,
    epochs=EPOCHS,
    seed=3,
)

CHANGES = st.one_of(
    st.builds(
        SwapLoss,
        st.sampled_from(["mse", "cross-entropy", "focal:gamma=1", "multi-margin"]),
    ),
    st.builds(Change, st.just("lr"), st.sampled_from([0.001, 0.003, 0.01])),
    st.builds(Change, st.just("weight-decay"), st.sampled_from([0.0, 0.01])),
    st.builds(Change, st.just("clip-norm"), st.sampled_from([None, 0.5])),
    st.builds(Change, st.just("batch-size"), st.sampled_from([256, 400])),
    st.builds(Change, st.just("schedule"), st.sampled_from(["constant", "cosine", "linear"])),
    st.builds(Undo),
    st.builds(Rollback, st.sampled_from([0, "best"])),
)
HOLDS = st.one_of(st.builds(Pause), st.builds(Step, st.integers(1, 4)), st.builds(Resume))
COMMANDS = st.tuples(
    st.integers(0, LAST), CHANGES | HOLDS, st.sampled_from([None, "batch", "epoch"])
).map(lambda drawn: (drawn[0], Request.new(drawn[1], drawn[2])))


class Script:
    """Commands that come at given steps, once; whoever waits without an end is told to go on."""

    def __init__(self, commands: Sequence[tuple[int, Request]]) -> None:
        self.waiting = sorted(commands, key=lambda item: item[0])
        self.run: Training | None = None
        self.unanswered: set[str] = set()

    def __call__(self, wait_s: float | None) -> Sequence[Request]:
        step = self.run.step
        due = [request for at, request in self.waiting if at <= step]
        self.waiting = [item for item in self.waiting if item[1] not in due]
        self.unanswered |= {item.id for item in due}
        return due or ([Request.new(Resume())] if wait_s is None else [])


class Life:
    """One run directory in memory: what it recorded outlives its trainers."""

    def __init__(
        self,
        folder: Path,
        script: Script,
        spec: RunSpec = SPEC,
        made: Callable[[RunSpec], Training] = build,
    ) -> None:
        self.made = made
        self.folder, self.script, self.spec = folder, script, spec
        self.origin = folder / "origin.pt"
        self.losses: dict[int, float] = {}
        self.val_losses: dict[str, float] = {}
        """Those of the last epoch."""
        self.events: list = []
        self.recorded: Position | None = None
        self.ended = False

    def live(self, moments: int | None = None) -> Training:
        """Train until the end, or be killed after so many batches and other events.

        What is measured does not count, since that comes by the clock. Never while a command is
        unanswered: it would come again, but maybe at another step.
        """
        torch.set_num_threads(1)
        run = self.made(self.spec)
        self.script.run = run
        # a best epoch waits ten steps for its checkpoint, unless another comes first
        checkpoints = Checkpoints(self.folder, self.events, clock=lambda: run.step / 10)
        steering = Steering(run, self.script, checkpoints=checkpoints, earlier=self.events)
        count = 0
        for event in self._recorded(run, steering):
            self._record(event)
            count += not isinstance(event, Measured | Detail)
            if moments is not None and count >= moments and not self.script.unanswered:
                return run
        self.ended = True
        return run

    def _recorded(self, run: Training, steering: Steering):
        start = Start(self.spec, self.origin)
        if self.recorded is None:
            yield from begin(run, steering, start)
        else:
            yield from resume(run, steering, start, list(self.events), self.recorded)
        self.recorded = self.recorded or run.position
        yield run.started()
        if not steering.checkpoints.kept:
            yield from steering.checkpoints.save(run, "start", is_needed=True)
        yield from train(run, steering)

    def _record(self, event) -> None:
        if not isinstance(event, Fact | EpochEnded):
            self.events.append(event)
        if isinstance(event, CommandAccepted | CommandRefused):
            self.script.unanswered.discard(event.command)
        if isinstance(event, BatchDone):
            self.recorded = self.recorded._replace(step=event.step)
            self.losses[event.step] = float(event.loss)
        elif isinstance(event, EpochEnded | TakeOpened):
            self.val_losses = getattr(event, "val_losses", self.val_losses)
            self.recorded = Position(event.take, event.step, event.epoch)


def lived(
    commands: Sequence[tuple[int, Request]],
    kills: Sequence[int],
    made: Callable[[RunSpec], Training] = build,
    spec: RunSpec = SPEC,
) -> tuple[str, Life]:
    with tempfile.TemporaryDirectory() as folder:
        life = Life(Path(folder), Script(commands), spec, made)
        for moments in (*kills, None):
            if not life.ended:
                run = life.live(moments)
        return weights_sha256(run.model), life


@given(
    st.lists(COMMANDS, max_size=6, unique_by=lambda item: item[1].id),
    st.lists(st.integers(1, 40), max_size=3),
)
@settings(max_examples=int(os.environ.get("EXAMPLES", "12")), deadline=None)
def test_a_killed_run_ends_with_the_weights_of_an_undisturbed_one(commands, kills):
    note([(at, item.command, item.at) for at, item in commands])
    undisturbed, one = lived(commands, ())
    resumed, other = lived(commands, kills)

    assert resumed == undisturbed
    assert other.val_losses == one.val_losses, "of the losses that were used, and of no others"
    assert isinstance(one.events[-1], Finished) or one.ended
    assert other.ended


class Read:
    """The digits, one by one."""

    def __init__(self, samples: Samples) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.samples.inputs[index], self.samples.targets[index]


def shaken(sample: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return sample + 0.1 * torch.randn(sample.shape, generator=generator)


def streamed(workers: int) -> Callable[[RunSpec], Training]:
    def made(spec: RunSpec) -> Training:
        run = build(spec)
        assert isinstance(run.data.train, Samples)
        source = Streamed(Read(run.data.train), workers, shaken)
        run.data = replace(run.data, train=source)
        return run

    return made


@pytest.mark.parametrize("workers", [0, 2])
def test_it_is_so_with_augmented_samples_from_any_number_of_workers(workers):
    asked = [
        (3, SwapLoss("mse"), "batch"),
        (8, Change("lr", 0.01), None),
        (9, SwapLoss("l1"), None),
        (14, Undo(), None),
    ]
    commands = [(at, Request.new(command, where)) for at, command, where in asked]
    undisturbed, life = lived(commands, (), streamed(0))
    resumed, other = lived(commands, (9, 5, 12), streamed(workers))

    assert resumed == undisturbed
    assert life.ended
    assert other.ended
    assert sum(isinstance(event, TakeOpened) for event in other.events) > 2
