"""Runs that are steered, killed anywhere and resumed end with the weights of an undisturbed run."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from hypothesis import given, note, settings
from hypothesis import strategies as st

from tuitrain.core.commands import Change, Pause, Request, Resume, Rollback, Step, SwapLoss, Undo
from tuitrain.core.events import BatchDone, EpochEnded, Finished, TakeOpened
from tuitrain.core.spec import RunSpec
from tuitrain.engine.checkpoint import Checkpoints
from tuitrain.engine.loop import train
from tuitrain.engine.resume import Position, resume
from tuitrain.engine.steering import Steering
from tuitrain.engine.training import Training, build
from tuitrain.engine.weights import weights_sha256

PER_EPOCH, EPOCHS = 6, 3
LAST = PER_EPOCH * EPOCHS

CHANGES = st.one_of(
    st.builds(
        SwapLoss,
        st.sampled_from(["mse", "cross-entropy", "cross-entropy:label_smoothing=0.1"]),
    ),
    st.builds(Change, st.just("lr"), st.sampled_from([0.001, 0.003, 0.01])),
    st.builds(Change, st.just("weight-decay"), st.sampled_from([0.0, 0.01])),
    st.builds(Change, st.just("clip-norm"), st.sampled_from([None, 0.5])),
    st.builds(Change, st.just("batch-size"), st.sampled_from([256, 400])),
    st.builds(Undo),
    st.builds(Rollback, st.just(0)),
)
HOLDS = st.one_of(st.builds(Pause), st.builds(Step, st.integers(1, 4)), st.builds(Resume))
WISHES = st.tuples(
    st.integers(0, LAST), CHANGES | HOLDS, st.sampled_from([None, "batch", "epoch"])
).map(lambda drawn: (drawn[0], Request.new(drawn[1], drawn[2])))


class Script:
    """Wishes that come at given steps, once; whoever waits without an end is told to go on."""

    def __init__(self, wishes: Sequence[tuple[int, Request]]) -> None:
        self.waiting = sorted(wishes, key=lambda each: each[0])
        self.run: Training | None = None

    def __call__(self, wait_s: float | None) -> Sequence[Request]:
        step = self.run.step
        due = [request for at, request in self.waiting if at <= step]
        self.waiting = [each for each in self.waiting if each[1] not in due]
        return due or ([Request.new(Resume())] if wait_s is None else [])


class Life:
    """One run directory in memory: what it recorded outlives its trainers."""

    def __init__(self, folder: Path, script: Script) -> None:
        self.folder, self.script = folder, script
        self.events: list = []
        self.recorded: Position | None = None
        self.ended = False

    def live(self, moments: int | None = None) -> Training:
        """Train until the end, or be killed after so many events."""
        torch.set_num_threads(1)
        run = build(
            RunSpec.of("digits", model="mlp:hidden=16", batch_size=256, epochs=EPOCHS, seed=3)
        )
        self.script.run = run
        checkpoints = Checkpoints(self.folder, self.events, clock=lambda: 0.0)
        steering = Steering(run, self.script, checkpoints=checkpoints, past=self.events)
        for count, event in enumerate(self._told(run, steering), start=1):
            self._record(event)
            if count == moments:
                return run
        self.ended = True
        return run

    def _told(self, run: Training, steering: Steering):
        if self.recorded is not None:
            yield from resume(run, steering, list(self.events), self.recorded)
        self.recorded = self.recorded or Position()
        yield run.started()
        if run.step == 0:
            yield from steering.checkpoints.save(run, "start", is_needed=True)
        yield from train(run, steering)

    def _record(self, event) -> None:
        if not isinstance(event, BatchDone | EpochEnded):
            self.events.append(event)
        if isinstance(event, BatchDone):
            self.recorded = self.recorded._replace(step=event.step)
        elif isinstance(event, (EpochEnded, TakeOpened)):
            self.recorded = Position(event.take, event.step, event.epoch)


def lived(wishes: Sequence[tuple[int, Request]], kills: Sequence[int]) -> tuple[str, Life]:
    with tempfile.TemporaryDirectory() as folder:
        life = Life(Path(folder), Script(wishes))
        for moments in (*kills, None):
            if not life.ended:
                run = life.live(moments)
        return weights_sha256(run.model), life


@given(
    st.lists(WISHES, max_size=6, unique_by=lambda each: each[1].id),
    st.lists(st.integers(1, 40), max_size=3),
)
@settings(max_examples=30, deadline=None)
def test_a_killed_run_ends_with_the_weights_of_an_undisturbed_one(wishes, kills):
    note([(at, each.wish, each.at) for at, each in wishes])
    undisturbed, one = lived(wishes, ())
    resumed, other = lived(wishes, kills)

    assert resumed == undisturbed
    assert isinstance(one.events[-1], Finished) or one.ended
    assert other.ended
