"""What was answered and is missing from a record is noticed, and nothing else is."""

import shutil
import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuitrain.core.events import (
    CheckpointSaved,
    CommandAccepted,
    CommandDropped,
    CommandRefused,
    Event,
    LossSwapped,
    StartupReached,
)
from tuitrain.store.answered import Answered
from tuitrain.store.writer import RunWriter, Stamped

names = st.text(max_size=6)
events = st.one_of(
    st.builds(CommandAccepted, names, names, names, st.just("batch"), st.just(0.0)),
    st.builds(CommandRefused, names, names, names, names, st.just(0.0)),
    st.builds(CommandDropped, names, names),
    st.builds(
        LossSwapped, names, st.just(1), st.integers(1, 9), st.just(0), st.just("mse"), st.just("l1")
    ),
    st.builds(StartupReached, names),
    st.just(CheckpointSaved(1, 1, 1, "epoch", "a.pt", 1, "", "")),
)
flushes = st.lists(st.lists(events, max_size=3), min_size=1, max_size=6)


def write(writer: RunWriter, events: list[Event]) -> None:
    writer.write([], [Stamped(0.0, 0, item) for item in events])


def files_of(folder: Path, kept: Path) -> Path:
    """Return a copy of the run as a kill leaves it."""
    return shutil.copytree(folder, kept)


@settings(max_examples=30)
@given(flushes, st.data())
def test_a_record_at_any_kill_answers_for_what_was_acknowledged_before_it(flushes, data):
    with tempfile.TemporaryDirectory() as made:
        run, kills = Path(made) / "run", Path(made) / "kills"
        run.mkdir()
        writer = RunWriter(run / "run.db", answered=run / "answered.json")
        for number, flush in enumerate(flushes):
            write(writer, flush)
            files_of(run, kills / str(number))
        writer.close()
        record = data.draw(st.integers(0, len(flushes) - 1), label="the record is of")
        digest = data.draw(st.integers(0, len(flushes) - 1), label="the digest is of")
        shutil.rmtree(run)
        shutil.copytree(kills / str(record), run)
        (run / "answered.json").unlink(missing_ok=True)
        if (file := kills / str(digest) / "answered.json").exists():
            shutil.copy(file, run)
        had = Answered.read(kills / str(record) / "answered.json").count
        expected = Answered.read(run / "answered.json").count

        resumed = RunWriter(run / "run.db", answered=run / "answered.json")
        missing = resumed.missing_answers
        resumed.close()

    if expected > had:
        assert missing is not None
        assert missing.startswith(f"{expected - had} of {expected} answers")
    else:
        assert missing is None, "a kill before the digest is written loses nothing"


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A run that was killed with its changes in the write-ahead log."""
    run = tmp_path / "run"
    run.mkdir()
    writer = RunWriter(run / "run.db", answered=run / "answered.json")
    write(writer, [StartupReached("loading")])
    writer.close()
    writer = RunWriter(run / "run.db", answered=run / "answered.json")
    for step in range(1, 4):
        write(writer, [CommandAccepted(f"w{step}", "loss", f"l{step}", "batch", 0.0)])
        write(writer, [LossSwapped(f"w{step}", 1, step, 0, f"l{step}", "mse")])
    killed = files_of(run, tmp_path / "killed")
    writer.close()
    return killed


def opened(run: Path) -> RunWriter:
    return RunWriter(run / "run.db", answered=run / "answered.json")


def test_one_flipped_bit_in_the_log_is_noticed_and_named_once(recorded: Path):
    log = recorded / "run.db-wal"
    content = bytearray(log.read_bytes())
    content[content.rindex(b"l2")] ^= 1
    log.write_bytes(content)

    writer = opened(recorded)
    assert writer.missing_answers is not None
    assert "of 6 answers to commands" in writer.missing_answers
    assert "loss swapped l3" in writer.missing_answers
    writer.accept_missing()
    writer.close()
    writer = opened(recorded)
    assert writer.missing_answers is None
    write(writer, [CommandDropped("w9", "why")])
    writer.close()
    assert opened(recorded).missing_answers is None


def test_a_changed_answer_is_noticed(recorded: Path):
    record = sqlite3.connect(recorded / "run.db")
    record.execute("update event set body = replace(body, 'l2', 'l4')")
    record.commit()
    record.close()
    assert opened(recorded).missing_answers == (
        "the first 6 answers to commands are not those that were given"
    )


_ODD = '{"count": %s, "sha256": "0", "newest": []}'


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", "null", '{"count": "x"}', "[" * 9999, "x" * 99_999, _ODD % "Infinity",
     _ODD % "-3", _ODD % "1e300"],
)  # fmt: skip
def test_a_digest_that_cannot_be_read_claims_nothing(recorded: Path, content: str):
    (recorded / "answered.json").write_text(content)
    assert opened(recorded).missing_answers is None


def test_only_its_owner_reads_the_digest(recorded: Path):
    assert (recorded / "answered.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in recorded.glob(".*")] == []
