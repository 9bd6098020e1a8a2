"""The bars and numbers of a run that goes on, has ended, or is long."""

from dataclasses import replace

import pytest

from tests.recorded import STEPS, in_home, started
from tuitrain.core.events import CheckpointSaved, SettingChanged
from tuitrain.core.problem import Card
from tuitrain.history.lineage import Lineage
from tuitrain.view.panel.event_log import events
from tuitrain.view.panel.panels import epochs, progress
from tuitrain.view.panel.vitals import vitals
from tuitrain.view.picture import plain


@pytest.fixture
def run(home):
    return in_home(home, "a", epochs=2)


def test_a_finished_run_has_no_time_left(run):
    run.trains(2)
    going = replace(run.now(), state="running", rate=23.0)
    run.finishes()
    assert "left" not in plain(progress(run.now(), 100))
    assert "0:00" not in plain(progress(going, 100))


def test_large_counts_have_separators(run):
    run.trains(1)
    now, more = run.now(), SettingChanged("w", 1, STEPS, 1, "epochs", 40_000, 2, 15_625)
    long = replace(
        now, lineage=now.lineage.after([more]), rate=100.0, state="running",
        position=(1, 5_000, 1_234),
    )  # fmt: skip
    assert "/15,625  " in plain(progress(long, 100))
    assert "1,234/40,000 epochs" in plain(progress(long, 100))
    assert "1,234/40,000" in plain(vitals(long, 120))


def test_the_time_left_of_a_long_run_is_not_cut(run):
    run.trains(1)
    now, more = run.now(), SettingChanged("w", 1, STEPS, 1, "epochs", 40_000, 2, 15_625)
    long = replace(
        now, lineage=now.lineage.after([more]), rate=100.0, state="running",
        position=(1, 5_000, 11_234),
    )  # fmt: skip
    epoch, whole = plain(progress(long, 80)).splitlines()
    assert whole.rstrip().endswith(" left")
    ends = [max(line.rfind("━"), line.rfind("╸")) for line in (epoch, whole)]
    assert ends[0] == ends[1]


def test_a_new_best_is_an_event_and_many_in_a_row_are_one_line(run):
    run.trains(1)
    for epoch in range(1, 300):
        file = f"{epoch:05d}-take1-step{epoch}.pt"
        run.records(CheckpointSaved(1, epoch, epoch, "best", file, 1, "00", "00"))
    lines = [
        line for line in plain(events(run.now(), 80, 40)).splitlines() if "best so far" in line
    ]
    assert len(lines) == 1
    assert "saved epoch 299: best so far" in lines[0]
    assert "parameters on" in plain(events(run.now(), 80, 40)), "the rest is not pushed out"


def test_what_was_found_out_about_the_data_stands_among_the_events(run):
    notes = ("houses.csv: 800 rows", "id  dropped  it counts the rows")
    run.records(replace(started(), card=Card("a table", notes=notes, origin="/my/houses.csv")))
    shown = plain(events(run.now(), 80, 40)).splitlines()
    first = next(number for number, line in enumerate(shown) if notes[0] in line)
    assert "data from /my/houses.csv" in shown[first - 1]
    assert notes[1] in shown[first + 1]
    assert "parameters on" in shown[first + 2]


def test_the_table_of_epochs_of_a_run_that_rests_has_the_last_ones_and_the_best(run):
    run.trains(30)
    now = run.now()
    for state in ("paused", "finished"):
        rests = replace(now, state=state, rate=10_000.0, best=now.epochs[2])
        first, *others = plain(epochs(rests, 60, 9)).splitlines()[1:]
        assert first.split()[0] == "3"
        assert "★" in first
        assert [int(row.split()[0]) for row in others] == list(range(24, 31))
    live = replace(now, state="running", rate=115.0, best=now.epochs[22])
    rows = plain(epochs(live, 60, 6)).splitlines()[1:]
    shown = [int(row.split()[0]) for row in rows if row.strip()]
    assert 23 in shown, "the best, though only every other epoch or fewer is shown"
    assert shown == sorted(shown)


def test_the_table_of_short_epochs_is_two_fifths_full_at_least(run):
    run.trains(30)
    live = replace(run.now(), state="running", rate=2300.0)
    for rows in (4, 8, 15, 20, 29):
        shown = [line for line in plain(epochs(live, 60, rows + 1)).splitlines()[1:] if line]
        assert 2 * rows // 5 <= len(shown) <= rows


def test_a_script_without_epochs_has_no_bar_to_fill(run):
    run.trains(1)
    now = run.now()
    spec = replace(now.spec, watched=("a.py",))
    begun = [replace(now.started, steps_per_epoch=steps) for steps in (0, 100)]
    endless = replace(
        now, spec=spec, lineage=Lineage.of(spec, begun[:1]), rate=30.0, state="running"
    )
    dots, *text = plain(progress(endless, 80)).removeprefix(" run").split()
    assert set(dots) == {"·"}
    assert text == ["23", "steps,", "no", "epochs", "seen"]
    epochs_known = replace(endless, lineage=Lineage.of(spec, begun[1:]), rate=1.0)
    shown = plain(progress(epochs_known, 100))
    assert "0/100  1:40 left" in shown
    assert "1 epoch, 23 steps" in shown


def test_a_number_wider_than_its_column_widens_it(run):
    run.trains(3)
    epoch = run.now().epochs[-1]
    wide = replace(epoch, epoch=1_234_567, train_loss=-1.23e-120, val_loss=-1.23e-05)
    now = replace(run.now(), epochs=(*run.now().epochs[:-1], wide), state="paused", best=None)
    lines = plain(epochs(now, 60, 5)).splitlines()
    assert lines[-1].split()[:3] == ["1,234,567", "-1.23e-120", "-1.23e-05"]
    for name, cell in (("epoch", "1,234,567"), ("train", "-1.23e-120"), ("val", "-1.23e-05")):
        assert lines[0].index(name) + len(name) == lines[-1].index(cell) + len(cell)


@pytest.mark.parametrize("width", [1, 5, 7, 12, 16, 20, 24, 30, 33])
def test_a_number_without_room_ends_with_an_ellipsis(run, width):
    run.trains(1)
    numbers = {*plain(epochs(run.now(), 60, 2)).split(), ""}
    for number in plain(epochs(run.now(), width, 2)).split():
        assert number in numbers or number.endswith("…")
