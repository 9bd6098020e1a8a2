import math
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from tuitrain.core.errors import TuitrainError
from tuitrain.core.events import (
    CommandAccepted,
    CommandRefused,
    Detail,
    EpochEnded,
    Finished,
    StartupReached,
)
from tuitrain.core.segment import FAR, Segment
from tuitrain.core.series import Series
from tuitrain.store.delta import Cursor, Delta
from tuitrain.store.reader import RunReader
from tuitrain.store.rollup import Bucket
from tuitrain.store.schema import VERSION, BatchRow, key_of
from tuitrain.store.writer import DETAILS_KEPT, MeasuredRow, RunWriter, Stamped


def batch(step, loss=0.5, take=1):
    return BatchRow(key_of(take, step), 1, loss, 0.001, 64, step, 1, 2, 3, 4, 5, 6)


def batches(losses, first=1, take=1):
    return [batch(step, loss, take) for step, loss in enumerate(losses, first)]


def epoch(number, val_loss=0.5, *, improved=False, take=1):
    return EpochEnded(take, number * 10, number, "mse", 0.5, val_loss, {}, improved=improved)


def of_steps(take, first, last):
    return Segment(take, first, last, 0, FAR)


def stamped(*events):
    return [Stamped(1.0, 10, event) for event in events]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run ?#%2F.db"


@pytest.fixture
def writer(path):
    with closing(RunWriter(path)) as writer:
        yield writer


@pytest.fixture
def reader(path):
    return RunReader(path)


def test_a_record_that_is_not_there_yet_reads_as_empty(path, reader):
    assert reader.since(Cursor()) == Delta((), (), None, Cursor())
    assert reader.end() == Cursor()
    assert reader.batches(0, 1) == []
    assert reader.losses(1, 1, 100, 0) == []
    assert reader.validations(of_steps(1, 1, 100), 0) == []
    assert reader.epoch_values(of_steps(1, 1, 100), 0) == {}
    assert reader.last_epoch(of_steps(1, 1, 100)) is None
    assert reader.best(of_steps(1, 1, 100), "metrics", {"accuracy": 1}) == {}
    assert not path.exists()


def test_series_are_read_only_after_something_was_written(writer, reader):
    def segments_after(_events):
        return [of_steps(1, 1, FAR)]

    norm = Series("grad norm")
    writer.write([batch(1)], stamped(epoch(1)), [MeasuredRow(key_of(1, 1), norm, 2.0)])
    first = reader.since(Cursor(), segments_after)
    assert norm in [summary.series for summary in first.series]
    assert reader.since(first.cursor, segments_after) == Delta((), (), first.latest, first.cursor)

    writer.write([batch(2)], [], [MeasuredRow(key_of(1, 2), norm, 3.0)])
    assert reader.since(first.cursor, segments_after).series[1].last == 3.0


def test_a_record_whose_tables_are_being_made_just_now_reads_as_empty(path, reader):
    path.touch()
    assert reader.since(Cursor()) == Delta((), (), None, Cursor())


def test_a_new_record_reads_as_empty(writer, reader):
    assert reader.since(Cursor()) == Delta((), (), None, Cursor())
    assert reader.losses(1, 1, 100, 4) == []


def test_what_is_written_is_read_at_once(writer, reader):
    writer.write(batches([0.5, 0.25]), stamped(StartupReached("loading"), epoch(1)))
    delta = reader.since(Cursor())
    assert [recorded.event for recorded in delta.events] == [StartupReached("loading")]
    assert (delta.events[0].at, delta.events[0].elapsed_s) == (1.0, 0.01)
    assert delta.epochs == (epoch(1),)
    assert delta.latest == batch(2, 0.25)
    assert reader.batches(0, 1) == batches([0.5, 0.25])


def test_what_was_read_is_not_read_again(writer, reader):
    writer.write(batches([0.5]), stamped(StartupReached("a"), epoch(1)))
    cursor = reader.since(Cursor()).cursor
    assert reader.since(cursor) == Delta((), (), batch(1), cursor)
    writer.write([], stamped(StartupReached("b"), epoch(2)))
    delta = reader.since(cursor)
    assert [recorded.event for recorded in delta.events] == [StartupReached("b")]
    assert delta.epochs == (epoch(2),)


def test_after_the_end_only_news_comes(writer, reader):
    writer.write([], stamped(StartupReached("a"), epoch(1)))
    end = reader.end()
    assert end == reader.since(Cursor()).cursor
    writer.write([], stamped(Finished(1, 10, 1)))
    assert [recorded.event for recorded in reader.since(end).events] == [Finished(1, 10, 1)]


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf, 0.0, 5e-324, 1e308])
def test_a_loss_comes_back_as_itself_whatever_it_is(writer, reader, loss):
    writer.write([batch(1, loss)], stamped(epoch(1, loss)))
    found = [
        reader.batches(0, 1)[0].loss,
        reader.since(Cursor()).latest.loss,
        reader.since(Cursor()).epochs[0].val_loss,
        reader.validations(of_steps(1, 1, 10), 0)[0].value,
        reader.last_epoch(of_steps(1, 1, 10)).val_loss,
    ]
    assert [repr(value) for value in found] == [repr(loss)] * 5


@pytest.mark.parametrize("level", [0, 4])
def test_a_bucket_without_a_finite_loss_says_so(writer, reader, level):
    writer.write(batches([math.nan, math.inf, -math.inf, math.nan] * 4), [])
    buckets = reader.losses(1, 1, 16, level)
    assert sum(bucket.finite for bucket in buckets) == 0
    assert all(math.isnan(value) for bucket in buckets for value in (bucket.low, bucket.high))
    assert math.isnan(buckets[0].mean)


def test_losses_whose_sum_is_beyond_a_float_still_have_their_extremes(writer, reader):
    writer.write(batches([1e308] * 16 + [-1e308] * 16), [])
    (bucket,) = reader.losses(1, 1, 32, 5)
    assert (bucket.low, bucket.high, bucket.finite) == (-1e308, 1e308, 32)
    assert isinstance(bucket.mean, float)


def test_a_write_that_fails_leaves_nothing_behind(writer, reader):
    with pytest.raises(sqlite3.IntegrityError):
        writer.write(batches([0.5] * 20), [*stamped(StartupReached("a")), *stamped(epoch(1)) * 2])
    assert reader.since(Cursor()) == Delta((), (), None, Cursor())
    assert reader.losses(1, 1, 20, 4) == []


def test_what_could_not_be_written_can_be_written_again(writer, reader):
    losses = [float(step) for step in range(1, 65)]
    with pytest.raises(sqlite3.IntegrityError):
        writer.write(batches(losses[:20]), stamped(epoch(1)) * 2)
    writer.write(batches(losses[:20]), stamped(epoch(1)))
    writer.write(batches(losses[20:], first=21), [])
    assert reader.losses(1, 1, 64, 4) == [
        Bucket(first, first + 15, first, first + 15, 16 * first + 120, 16)
        for first in (1, 17, 33, 49)
    ]


def test_a_batch_is_written_once(writer, reader):
    writer.write([batch(1, 0.5)], [])
    with pytest.raises(sqlite3.IntegrityError):
        writer.write([batch(1, 0.25)], [])
    assert reader.batches(0, 1) == [batch(1, 0.5)]


def test_takes_do_not_mix(writer, reader):
    writer.write(batches([1.0] * 40), stamped(epoch(1, 1.0)))
    writer.write(batches([2.0] * 40, take=2), stamped(epoch(1, 2.0, take=2)))
    assert {bucket.mean for bucket in reader.losses(1, 1, 1000, 3)} == {1.0}
    assert {bucket.mean for bucket in reader.losses(2, 1, 1000, 4)} == {2.0}
    assert sum(bucket.finite for bucket in reader.losses(2, 1, 1000, 4)) == 40
    assert reader.validations(of_steps(2, 1, 1000), 0) == [(10, 1, 2.0)]
    assert reader.last_epoch(of_steps(2, 1, 1000)) == epoch(1, 2.0, take=2)
    assert reader.since(Cursor()).latest == batch(40, 2.0, take=2)
    assert len(reader.batches(key_of(2, 0), 1)) == 40


@pytest.mark.parametrize("level", [0, 2, 4, 5])
def test_a_take_that_begins_late_is_read_from_where_it_begins(writer, reader, level):
    writer.write(batches(list(range(21, 101)), first=21, take=2), [])
    buckets = reader.losses(2, 1, 100, level)
    assert buckets[0].first == 21
    assert sum(bucket.finite for bucket in buckets) == 80
    assert all(bucket.low == bucket.first for bucket in buckets)


def test_every_so_many_steps_are_steps_of_their_take(writer, reader):
    writer.write(batches([0.0] * 10), [])
    writer.write(batches([0.0] * 10, take=2), [])
    found = reader.batches(key_of(1, 6), 3)
    assert [(row.take, row.step) for row in found] == [(1, 9), (2, 3), (2, 6), (2, 9)]


def test_batches_are_counted_from_the_first_of_their_epoch_whatever_its_length(writer, reader):
    """Epochs of 5, then of 7 batches; a second take goes on in the middle of the second one."""
    rows = [batch(step)._replace(epoch=1 if step <= 5 else 2 if step <= 12 else 3)
            for step in range(1, 17)]  # fmt: skip
    rows += [batch(step, take=2)._replace(epoch=2) for step in range(9, 12)]
    ends = [replace(epoch(1), step=5), replace(epoch(2), step=12)]
    writer.write(rows, stamped(*ends))
    found = reader.batches_of_epochs((0, key_of(2, 11)), 3, begin=0)
    assert [(number, row.take, row.step) for number, row in found] == [
        (0, 1, 1), (3, 1, 4), (0, 1, 6), (3, 1, 9), (6, 1, 12), (0, 1, 13), (3, 1, 16), (3, 2, 9)
    ]  # fmt: skip


def test_the_first_epoch_of_a_fork_counts_from_where_it_begins(writer, reader):
    writer.write([batch(step)._replace(epoch=5) for step in range(93, 99)], [])
    found = reader.batches_of_epochs((key_of(1, 94), key_of(1, 98)), 2, begin=92)
    assert [(number, row.step) for number, row in found] == [(2, 95), (4, 97)]


def test_a_first_look_at_a_long_run_still_has_its_best_epoch(writer, reader):
    events = [epoch(number, improved=number == 3) for number in range(1, 601)]
    writer.write([], stamped(*events))
    delta = reader.since(Cursor())
    assert delta.best == epoch(3, improved=True)
    assert delta.epochs == tuple(events[-500:])
    assert reader.since(delta.cursor).epochs == ()


def test_a_reader_that_slept_for_many_epochs_misses_none_that_matter(writer, reader):
    writer.write([], stamped(epoch(1, improved=True)))
    cursor = reader.since(Cursor()).cursor
    writer.write([], stamped(*(epoch(n, improved=n == 100) for n in range(2, 902))))
    slept = reader.since(cursor, lambda events: [of_steps(1, 1, FAR)])
    fresh = reader.since(Cursor(), lambda events: [of_steps(1, 1, FAR)])
    assert slept.is_anew
    assert slept.epochs == fresh.epochs == tuple(epoch(n) for n in range(402, 902))
    assert slept.best == fresh.best == epoch(100, improved=True)


def test_epochs_are_those_of_the_given_segments(writer, reader):
    writer.write([], stamped(*(epoch(n, improved=True) for n in (1, 2, 3))))
    writer.write([], stamped(epoch(2, 9.0, take=2)))
    segments = [Segment(1, 1, 10, 0, 1), Segment(2, 21, FAR, 1, FAR)]
    delta = reader.since(Cursor(), lambda events: segments)
    assert delta.epochs == (epoch(1, improved=True), epoch(2, 9.0, take=2))
    assert delta.best == epoch(1, improved=True)


def test_what_is_read_is_of_one_moment(writer, path):
    """A flush between two statements of a read must not be half seen."""
    writer.write([batch(1)], stamped(StartupReached("a")))
    flushes = iter([([batch(2)], stamped(Finished(1, 2, 0), epoch(1)))])

    def flush(_events):
        for rows, events in flushes:
            writer.write(rows, events)
        return [of_steps(1, 1, FAR)]

    delta = RunReader(path).since(Cursor(), flush)
    assert (len(delta.events), delta.epochs, delta.latest) == (1, (), batch(1))


def test_an_epoch_without_a_validation_has_no_loss_of_one(writer, reader):
    writer.write([], stamped(epoch(1, math.nan), epoch(2, None)))
    assert [loss.step for loss in reader.validations(of_steps(1, 1, 100), 0)] == [10]
    assert reader.last_epoch(of_steps(1, 1, 100)).val_loss is None


def epoch_ended(number, accuracy, mse, take=1):
    return EpochEnded(
        take, number * 10, number, "mse", 0.5, mse, {"accuracy": accuracy}, improved=False,
        val_losses={"mse": mse, "l1": 0.5},
    )  # fmt: skip


def test_the_best_is_the_highest_or_the_lowest_by_its_sign_and_always_finite(writer, reader):
    nan, inf = math.nan, math.inf
    values = [(0.5, 3.0), (nan, nan), (0.9, -inf), (0.9, 2.0), (inf, inf), (0.1, 2.5)]
    writer.write(
        [], stamped(*(epoch_ended(number, *pair) for number, pair in enumerate(values, 1)))
    )
    assert reader.best(of_steps(1, 1, 60), "metrics", {"accuracy": 1}) == {"accuracy": (0.9, 3)}
    assert reader.best(of_steps(1, 1, 60), "metrics", {"accuracy": -1, "auroc": 1}) == {
        "accuracy": (0.1, 6)
    }
    assert reader.best(of_steps(1, 1, 60), "val_losses", {"mse": -1, "l1": -1}) == {
        "mse": (2.0, 4), "l1": (0.5, 1)
    }  # fmt: skip
    later = Segment(1, 41, 60, 4, FAR)
    assert reader.best(later, "val_losses", {"mse": -1}) == {"mse": (2.5, 6)}
    assert reader.best(of_steps(2, 1, 60), "val_losses", {"mse": -1}) == {}


def test_the_ids_of_answered_commands_are_known(writer):
    writer.write([], stamped(
        CommandAccepted("a", "pause", "", "batch", 1.0),
        CommandRefused("b", "resume", "", "it is not paused", 1.0),
        StartupReached("c"),
    ))  # fmt: skip
    assert writer.known_commands() == {"a", "b"}


def test_a_closed_record_is_one_plain_file_that_reading_leaves_alone(path, reader):
    with closing(RunWriter(path)) as writer:
        writer.write(batches([0.5] * 20), stamped(epoch(1)))
    assert [item.name for item in path.parent.iterdir()] == [path.name]
    path.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        assert reader.since(Cursor()).latest == batch(20)
        assert [item.name for item in path.parent.iterdir()] == [path.name]
    finally:
        path.parent.chmod(0o700)


def test_a_record_whose_trainer_was_killed_is_read_to_its_last_write(path, reader, tmp_path):
    with closing(RunWriter(path)) as writer:
        writer.write(batches([0.5] * 20), stamped(epoch(1)))
        crashed = tmp_path / "crashed.db"
        for suffix in ("", "-wal"):  # what a kill leaves
            crashed.with_name(crashed.name + suffix).write_bytes(
                path.with_name(path.name + suffix).read_bytes()
            )
    assert RunReader(crashed).since(Cursor()).latest == batch(20)


def test_a_reader_in_the_middle_of_a_write_sees_the_state_before_it(path, writer, reader):
    writer.write([batch(1)], [])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin immediate")
        other.execute("delete from batch")
        assert reader.since(Cursor()).latest == batch(1)
        other.execute("rollback")


def test_a_record_is_for_its_owner_alone(path, writer):
    writer.write([batch(1)], [])
    assert {item.stat().st_mode & 0o777 for item in path.parent.iterdir()} == {0o600}


def test_a_record_of_a_newer_version_asks_for_an_upgrade(path, reader):
    with closing(RunWriter(path)) as writer:
        writer.write([batch(1)], [])
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"pragma user_version = {VERSION + 1}")
    with pytest.raises(TuitrainError, match="upgrade tuitrain"):
        reader.since(Cursor())


def test_a_record_of_version_2_is_read_and_then_written_as_one_of_today(path, reader):
    with closing(RunWriter(path)) as writer:
        writer.write([batch(1)], [])
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("alter table latest_batch_losses rename to glance")
        db.execute("""insert into glance values (1, '{"step": 7, "losses": {"mse": 0.5}}')""")
        db.execute("pragma user_version = 2")
    assert reader.latest_batch_losses(1) == (7, {"mse": 0.5})
    assert reader.since(Cursor()).latest == batch(1)
    with closing(RunWriter(path)) as writer:
        writer.latest_batch_losses(1, 8, {"mse": 0.25})
    assert reader.latest_batch_losses(1) == (8, {"mse": 0.25})
    assert reader.latest_batch_losses(2) == (0, {}), "after an undo"


def test_events_of_a_newer_version_are_skipped_and_not_read_again(path, writer, reader):
    writer.write([], stamped(StartupReached("a")))
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("insert into event (at, elapsed_ms, kind, body) values (1, 1, 'danced', '{}')")
    delta = reader.since(Cursor())
    assert [recorded.event for recorded in delta.events] == [StartupReached("a")]
    assert reader.since(delta.cursor).events == ()


def test_a_file_that_is_no_record_is_said_to_be_unreadable(path, reader):
    path.write_bytes(b"this is not a database, but a page of text\n" * 100)
    with pytest.raises(TuitrainError, match="cannot be read: its record: file is not a database"):
        reader.since(Cursor())


def confusion(writer, epochs, *, improved=False):
    for number in epochs:
        detail = Detail(1, number, "confusion", {"counts": [[number]]})
        writer.write([], stamped(replace(epoch(number, improved=improved), step=number)), [],
                     [detail])  # fmt: skip


def test_a_detail_is_read_by_its_step_and_name_alone(writer, reader):
    confusion(writer, [7])
    assert reader.detail(key_of(1, 7), "confusion") == {"counts": [[7]]}
    assert reader.detail(key_of(1, 7), "samples") is None
    assert reader.detail(key_of(1, 6), "confusion") is None


def test_a_detail_is_strict_json_whatever_numbers_it_has(writer, reader):
    writer.write([], [], [], [Detail(1, 7, "curve", {"points": [0.5, math.nan, -math.inf]})])
    assert reader.detail(key_of(1, 7), "curve") == {"points": [0.5, "nan", "-inf"]}


def test_details_of_the_newest_and_of_the_best_epochs_are_kept(writer, reader):
    confusion(writer, [1], improved=True)
    confusion(writer, range(2, 2 * DETAILS_KEPT + 1))
    kept = [step for step in range(2 * DETAILS_KEPT + 1)
            if reader.detail(key_of(1, step), "confusion")]  # fmt: skip
    assert kept == [1, *range(DETAILS_KEPT + 1, 2 * DETAILS_KEPT + 1)]


def test_values_of_a_write_that_fails_are_not_there_and_can_be_written_again(writer, reader):
    norm = Series("norm")
    rows = [MeasuredRow(key_of(1, step), norm, float(step)) for step in range(1, 40)]
    with pytest.raises(sqlite3.IntegrityError):
        writer.write([batch(1), batch(1)], [], [])
    with pytest.raises(sqlite3.Error):
        writer.write([], [], [*rows, MeasuredRow(key_of(1, 40), norm, "no number")])
    assert reader.values("norm", 1, (1, 99), 4) == []
    writer.write([], [], rows)
    assert [item.high for item in reader.values("norm", 1, (1, 99), 4)] == [16.0, 32.0, 39.0]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.0, 5e-324, 1e308])
def test_a_value_comes_back_as_itself_whatever_it_is(writer, reader, value):
    writer.write([], [], [MeasuredRow(key_of(2, 5), Series("a", "MB", "epoch"), value)])
    (found,) = reader.measured(Series("a"), 2, (1, 9), 9)
    assert found.value == value or math.isnan(value) == math.isnan(found.value)
    assert reader.series() == [Series("a", "MB", "epoch")]
