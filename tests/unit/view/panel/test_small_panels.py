"""At 80x24 and 40x10 no text of a panel is cut: it is wrapped, or shortened in words."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.recorded import STEPS, RecordedRun
from tests.unit.view.panel.test_view_panels import FITTED, LINE, WHOLE, counts, reads
from tuitrain.catalog import new_spec
from tuitrain.core.detail import BATCH, CONFUSION, FIT, SURFACE
from tuitrain.core.events import CheckpointSaved, Warned
from tuitrain.core.series import GRADIENT_NORM, SHARES
from tuitrain.store.delta import Cursor
from tuitrain.tui.views import VIEWS, Panel
from tuitrain.view.panel import health, loss_curve, model
from tuitrain.view.panel.event_log import event_log, events
from tuitrain.view.panel.forks import KeptEpoch, kept_epochs
from tuitrain.view.picture import plain
from tuitrain.view.state.fold import fold
from tuitrain.view.state.snapshot import Snapshot

PANELS = [panel for view in VIEWS for panel in view.panels]
SIZES = [(80, 17), (40, 6)]
"""A panel alone at 80x24 and at 40x10."""
NAMED = re.compile(r" [^ …]+( \w*)?… .*(%|–|\d)$")
"""A line whose name is cut, and no number."""
LOOK = {
    "input": "(64, 1, 8, 8) float32", "target": "(64,) int64", "output": "(64, 10) float32",
    "gradient_norm": 0.83, "update_ratio": 0.0004, "losses": [0.25] * 32, "places": [1.26] * 32,
}  # fmt: skip


@pytest.fixture
def digits(run_paths) -> Iterator[RecordedRun]:
    run = RecordedRun(run_paths.record)
    yield run
    run.close()


def with_details(run: RecordedRun, more=()) -> None:
    run.trains(2)
    for name, body in {**WHOLE, BATCH: LOOK, **dict(more)}.items():
        run.details(name, body)


def with_series(run: RecordedRun) -> Snapshot:
    run.measures(GRADIENT_NORM, lambda step: 1 / step)
    for part, series in SHARES.items():
        run.measures(series, lambda step, part=part: 0.75 if part == "data" else 0.05)
    now = run.now()
    return fold(now, run.reader.since(Cursor(), lambda _events: now.segments), alive=True)


def cut_lines(panel: Panel, run: Snapshot, of: RecordedRun, size) -> list[str]:
    text = plain(panel.draw(run, reads(of, ["one"]), *size))
    return [line for line in text.splitlines() if "…" in line]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.id)
def test_what_is_missing_is_said_in_full(digits, panel, size):
    empty = digits.now()
    assert cut_lines(panel, empty, digits, size) == []
    watched = replace(empty, spec=replace(digits.spec, watched=("train.py",)))
    assert cut_lines(panel, watched, digits, size) == []
    digits.trains(1)
    for state in ("running", "stopped"):
        assert cut_lines(panel, replace(digits.now(), state=state), digits, size) == []


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.id)
def test_what_a_panel_shows_is_not_cut(digits, panel, size):
    with_details(digits)
    run = with_series(digits)
    for state in ("running", "paused"):
        cut = cut_lines(panel, replace(run, state=state), digits, size)
        assert [line for line in cut if not NAMED.match(line)] == []


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.id)
def test_what_a_panel_shows_of_numbers_is_not_cut(run_paths, panel, size):
    numbers = RecordedRun(run_paths.record, new_spec("diabetes"))
    with_details(numbers, {FIT: {**FITTED, "limit": 12_345.5}, SURFACE: LINE})
    cut = cut_lines(panel, numbers.now(), numbers, size)
    assert [line for line in cut if not NAMED.match(line)] == []
    numbers.close()


def test_what_waits_for_data_is_told_beside_another_panel(digits):
    digits.trains(2)
    text = plain(health.shares(with_series(digits), reads(digits), 34, 6))
    assert re.search("data: waits +█+.* 75%", text)
    assert "…" not in text


def test_the_log_has_every_event_in_full_and_a_few_rows_their_beginnings(digits):
    reason = "this file was read two weeks ago, and has been moved to another place since then"
    digits.records(Warned(reason))
    run = digits.now()
    for text in (plain(event_log(run, 40, 6)), plain(events(run, 40, 12))):
        lines = [line[10:].strip() for line in text.splitlines()]
        assert reason in " ".join(lines)
    assert "this file was read two weeks …" in plain(events(run, 40, 4))
    assert "another place since then" in plain(event_log(run, 40, 1)), "its newest line"


def test_before_the_first_batch_no_record_is_said_to_be_of_older_versions(digits):
    said = plain(loss_curve.curve(digits.now(), reads(digits), 80, 17))
    assert "no batch is trained yet: . trains one" in said


def test_where_the_matrix_has_no_room_the_most_confused_classes_are_told(digits):
    digits.trains(1)
    digits.details(CONFUSION, counts(10, wrong=3))
    small, wide = (
        plain(model.confusion(digits.now(), reads(digits), *size)) for size in ((40, 6), (40, 17))
    )
    assert "0 taken for 9  3 of 10  30%" in small
    assert "0  7  ·  ·  ·  ·  ·  ·  ·  ·  3" in wide, "all columns, in fewer cells"


@pytest.mark.parametrize(
    ("cells", "said"),
    [(70, "2  val loss 1.719    accuracy 0.4270  best"), (34, "2  accuracy 0.4270  best")],
)
def test_a_kept_epoch_has_the_metric_in_its_line_before_the_loss(digits, cells, said):
    digits.trains(2)
    ended = digits.now().last_epoch
    saved = CheckpointSaved(1, ended.step, 2, "best", "00002-take1-step46.pt", 1, "00", "00")
    assert KeptEpoch(saved, ended, is_best=True).line(cells).strip() == said


def test_a_kept_epoch_is_told_with_what_decided_the_best(digits):
    digits.trains(2)
    ended = digits.now().last_epoch
    saved = CheckpointSaved(1, ended.step, 2, "best", "00002-take1-step46.pt", 1, "00", "00")
    said = KeptEpoch(saved, ended, monitor="auroc").line(70)
    assert said.strip() == f"2  val loss 1.719    auroc {ended.metrics['auroc']:.4f}"


def test_the_best_epoch_of_a_long_run_is_among_the_kept_and_marked(digits):
    digits.trains(1)
    file = f"00001-take1-step{STEPS}.pt"
    digits.records(CheckpointSaved(1, STEPS, 1, "best", file, 1, "00", "00"))
    digits.trains(600, improved=False)
    run = digits.now()
    assert run.best not in run.epochs, "those of a long run are the newest"
    (kept,) = kept_epochs(run)
    assert kept.is_best
    assert kept.line(70).rstrip().endswith("  best")
