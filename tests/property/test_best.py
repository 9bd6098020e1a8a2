"""However a run is steered and killed: where it pauses or ends, its best epoch has a checkpoint."""

import os
import tempfile
from functools import cache
from pathlib import Path

from hypothesis import given, note, settings
from hypothesis import strategies as st

from tests.property.test_resume import Life, Script
from tuitrain.catalog import new_spec
from tuitrain.core.commands import Change, Pause, Request, Rollback, Stop, Undo
from tuitrain.core.events import Finished, Paused, Stopped, TakeOpened
from tuitrain.engine.build import build
from tuitrain.engine.loop import validate
from tuitrain.engine.state.checkpoint_file import read_state
from tuitrain.engine.training import Training
from tuitrain.history.checkpoints import best_kept
from tuitrain.history.lineage import Lineage

EPOCHS, PER_EPOCH = 8, 3
SPEC = new_spec("digits", model="linear", batch_size=512, epochs=EPOCHS, lr=0.01)

STEERED = st.one_of(
    st.builds(Rollback, st.sampled_from(["best", None, 0, 1, 2, 3, 5])),
    st.builds(Undo),
    st.builds(Change, st.just("lr"), st.sampled_from([0.001, 0.1, 3.0])),  # the last one does harm
    st.builds(Change, st.just("pace"), st.sampled_from([1e6, 1e7])),
    st.builds(Pause),
)
COMMANDS = st.tuples(
    st.integers(0, EPOCHS * PER_EPOCH), STEERED, st.sampled_from(["batch", "epoch"])
).map(lambda drawn: (drawn[0], Request.new(drawn[1], drawn[2])))


@cache
def evaluated() -> Training:
    return build(SPEC)


def leading_metric(weights) -> float:
    run = evaluated()
    run.model.load_state_dict(weights)
    return validate(run, with_samples=False).ended.metrics[run.monitor.quantity.name]


class Watched(Life):
    """A life in which the best epoch is looked for wherever it rests."""

    looked = 0

    def _record(self, event) -> None:
        super()._record(event)
        if isinstance(event, Paused | Stopped | Finished):
            self.look()

    def look(self) -> None:
        run, saved = self.script.run, best_kept(Lineage().after(self.events))
        assert run is not None
        if run.epoch == 0:
            return
        self.looked += 1
        assert saved is not None
        state = read_state(self.folder / saved.file, saved.sha256)
        assert leading_metric(state["model"]) == state["monitor"][0] == run.monitor.best
        assert state["position"]["batch"] == 0


@given(
    st.lists(COMMANDS, max_size=8, unique_by=lambda item: item[1].id),
    st.lists(st.integers(1, 40), max_size=3),
)
@settings(max_examples=int(os.environ.get("EXAMPLES", "12")), deadline=None)
def test_where_a_run_pauses_or_ends_its_best_epoch_has_a_checkpoint(commands, kills):
    note([(at, item.command, item.at) for at, item in commands])
    note(kills)
    with tempfile.TemporaryDirectory() as folder:
        life = Watched(Path(folder), Script(commands), SPEC)
        for moments in (*kills, None):
            if not life.ended:
                life.live(moments)
        assert life.looked


def test_a_run_that_went_back_to_its_best_epoch_and_was_killed_has_it_still(tmp_path: Path):
    asked = [
        (4, Pause(), "batch"),
        (7, Change("lr", 3.0), "batch"),
        (14, Rollback("best"), "batch"),
        (20, Stop(), "batch"),
    ]
    life = Watched(tmp_path, Script([(at, Request.new(*how)) for at, *how in asked]), SPEC)
    life.live(40)
    life.live()
    assert life.looked == 2
    whys = [event.why for event in life.events if isinstance(event, TakeOpened)]
    assert whys == ["rollback", "resume"]


def test_an_undo_finds_the_best_epoch_of_its_time_though_others_were_better_since(tmp_path: Path):
    asked = [
        (7, Change("lr", 0.02), "batch"),
        *((step, Pause(), "batch") for step in (10, 13, 16, 19, 22)),
        (22, Undo(), "batch"),
        (22, Stop(), "batch"),
    ]
    life = Watched(tmp_path, Script([(at, Request.new(*how)) for at, *how in asked]), SPEC)
    life.live()
    bests = [event.epoch for event in life.events if getattr(event, "why", "") == "best"]
    assert bests[-1] > 2, "there were better ones"
    assert [event.epoch for event in life.events if isinstance(event, Stopped)] == [2]
    assert life.looked == 6
