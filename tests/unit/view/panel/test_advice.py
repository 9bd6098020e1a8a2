"""What a user is told to do while a run waits: for as long as it waits because of that."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.recorded import started
from tuitrain.catalog import new_spec
from tuitrain.core.events import (
    CommandDropped,
    Event,
    NotFinite,
    Paused,
    Resumed,
    SettingChanged,
    StepsTaken,
    TakeOpened,
)
from tuitrain.store.delta import Cursor
from tuitrain.store.reader import RunReader
from tuitrain.store.writer import RunWriter, Stamped
from tuitrain.view.panel.advice import advice
from tuitrain.view.panel.news import as_message
from tuitrain.view.state.fold import fold
from tuitrain.view.state.snapshot import Silence, Snapshot

STARTED = replace(started(), settings={**started().settings, "lr": 0.5})
BAD = NotFinite(1, 7, 0, "loss")
PAUSED = Paused(None, 1, 11, 0)
"""Later than the bad batch: an accelerator's numbers are read some batches at once."""
LOWER = SettingChanged("w", 1, 11, 0, "lr", 0.1, 0.5, 23)
LONGER = SettingChanged("e", 1, 11, 0, "epochs", 80, 40, 23)
BACK = TakeOpened(
    "u", 2, 5, 0, "undo", "00001-take1-step1.pt", 1, {"loss": "mse", "lr": 0.5}, 23, 11, None
)
WENT_BACK = (
    NotFinite(1, 9, 0, "weight", "0.weight", since=2, back_at=0),
    TakeOpened(
        None, 2, 0, 0, "rollback", "00001-take1-step0.pt", 1, {"loss": "mse", "lr": 0.5}, 23, 9
    ),
    Paused(None, 2, 0, 0),
)


def after(folder: Path, *events: Event, on_nonfinite: str = "pause") -> Snapshot:
    writer = RunWriter(folder / "run.db")
    writer.write([], [Stamped(0.0, 0, event) for event in (STARTED, *events)])
    writer.close()
    spec = new_spec("digits", on_nonfinite=on_nonfinite)
    now = Snapshot.begin("a", folder, spec, 0.0)
    return fold(now, RunReader(folder / "run.db").since(Cursor()), alive=True)


@pytest.mark.parametrize(
    "events",
    [
        (BAD, PAUSED),
        (BAD, CommandDropped("s", "a pause came first"), PAUSED, LOWER),
        (BAD, PAUSED, LONGER),
    ],
)
def test_a_bad_batch_is_told_with_its_own_step_while_the_run_waits_for_it(events, tmp_path: Path):
    advised = advice(after(tmp_path, *events))

    assert advised is not None
    assert advised.trouble == "loss not finite at step 7: that step is not taken"
    assert advised.ways[0] == ("space go on" if LOWER in events else "r lower the rate (0.5)")
    assert "u undo" not in advised.ways, "there is no checkpoint from before a change"


@pytest.mark.parametrize(
    "events",
    [
        (BAD,),
        (BAD, PAUSED, Resumed(None, 1, 11, 0)),
        (BAD, PAUSED, Resumed(None, 1, 11, 0), Paused("p", 1, 20, 0)),
        (
            BAD,
            PAUSED,
            Resumed(None, 1, 11, 0),
            StepsTaken("s", 1, 12, 0, 1),
            Paused(None, 1, 12, 0),
        ),
        (BAD, PAUSED, BACK),
    ],
)
def test_it_is_told_no_longer_once_the_run_went_on_or_back(events, tmp_path: Path):
    assert advice(after(tmp_path, *events)) is None


def test_a_run_that_skips_bad_batches_is_not_paused_for_one(tmp_path: Path):
    assert advice(after(tmp_path, BAD, Paused("p", 1, 7, 0), on_nonfinite="skip")) is None


@pytest.mark.parametrize("mode", ["pause", "skip"])
def test_a_run_that_went_back_by_itself_says_from_what_while_it_stays_there(mode, tmp_path: Path):
    run = after(tmp_path, BAD, *WENT_BACK, on_nonfinite=mode)
    advised = advice(run)
    assert advised is not None
    assert advised.trouble == "weight 0.weight not finite between steps 2 and 9: back at step 0"
    assert advised.ways[0] == "r lower the rate (0.5)"
    assert as_message(run).endswith(f"{advised.trouble}; lower the rate, or scale the inputs")


def test_it_is_told_no_longer_once_the_run_that_skips_went_on(tmp_path: Path):
    events = (*WENT_BACK[:2], Paused("p", 2, 4, 0))
    assert advice(after(tmp_path, *events, on_nonfinite="skip")) is None


def test_a_batch_that_does_not_end_is_told_with_its_line_and_the_way_out(tmp_path: Path):
    run = replace(after(tmp_path), pid=77, busy=Silence(12, "net.py, line 7, in forward"))
    found = advice(run)
    assert found is not None
    assert found.trouble == "no batch has ended for 0:12, in net.py, line 7, in forward"
    assert found.ways[0].startswith("kill -9 77 ends it at once")
    assert advice(replace(run, busy=Silence(5))) is None, "a long batch is no trouble yet"
    found = advice(replace(run, busy=Silence(12, "net.py, line 7", is_validating=True)))
    assert found is not None
    assert found.trouble == "the validation has taken 0:12 so far, in net.py, line 7"
