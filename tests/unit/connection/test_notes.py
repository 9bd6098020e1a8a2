"""Notes and tags: kept beside the record, of a run that has ended, too."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.recorded import in_home
from tuitrain import connect
from tuitrain.connection.follower import snapshot
from tuitrain.core.notes import Note
from tuitrain.view.panel.event_log import event_log
from tuitrain.view.picture import plain


@pytest.fixture
def ended(home):
    run = in_home(home, "a", epochs=2)
    run.trains(2)
    run.finishes()
    return home / "runs" / "a"


def test_an_ended_run_is_noted_and_tagged_and_its_record_stays_as_it_was(tuitrain, ended):
    before = (ended / "run.db").read_bytes()
    said = tuitrain("ctl", "a", "note", "-5 is too high a rate").stdout
    assert said == "note -5 is too high a rate: applied at step 46, epoch 2\n"
    for name in ("baseline", "hard", "-hard", "über", "baseline"):
        tuitrain("ctl", "a", "tag", name)
    assert (ended / "run.db").read_bytes() == before, "what a replay repeats"
    shown = tuitrain.show("a")
    assert shown["tags"] == ["baseline", "über"]
    (note,) = shown["notes"]
    assert (note["text"], note["step"], note["epoch"]) == ("-5 is too high a rate", 46, 2)
    assert note["at"].endswith("+00:00")
    text = tuitrain("show", "a").stdout
    assert "step 46  -5 is too high a rate" in text
    assert "tags         baseline, über" in text
    head, row = tuitrain("ls").stdout.splitlines()
    assert head.endswith("TAGS            NOTE")
    assert row.endswith("baseline, über  -5 is too high a rate")


def test_an_answer_in_json_has_the_keys_of_every_command(tuitrain, ended):
    answer = json.loads(tuitrain("ctl", "a", "note", "a  b\nc", "--json").stdout)
    assert answer["detail"] == "a b c", "on one line"
    assert (answer["kind"], answer["state"], answer["step"]) == ("note", "applied", 46)
    assert answer["id"] == tuitrain.show("a")["notes"][0]["id"]


def test_a_notebook_writes_them_too(ended, home):
    run = connect("a", home=home)
    run.note("the best so far")
    run.tag("best")
    run.tag("old")
    run.untag("old")
    assert run.show()["tags"] == ["best"]


@pytest.mark.parametrize("words", [("note", " "), ("note", "x" * 2001), ("tag", "two words"),
                                   ("tag", "-"), ("tag", "a" * 33)])  # fmt: skip
def test_what_is_no_note_or_tag_is_wrong_use(tuitrain, ended, words):
    assert "tuitrain: " in tuitrain("ctl", "a", *words, code=2).stderr
    assert not (ended / "notes.jsonl").exists()


def test_notes_of_a_run_from_elsewhere_are_shown_and_not_obeyed(tuitrain, ended):
    one = {"id": "1", "kind": "note", "at": 1.0, "take": 1, "step": 3, "epoch": 0}
    lines = [
        json.dumps({**one, "text": "\x1b]0;owned\x07red\x1b[31m"}),
        json.dumps({**one, "text": "\x1b[2J", "kind": "tag"}),
        json.dumps({**one, "step": -1, "text": "no step"}), "{", "[" * 9_000, '{"kind": "note"',
    ]  # fmt: skip
    (ended / "notes.jsonl").write_text("\n".join(lines))
    tuitrain("ctl", "a", "note", "after a line that a full disk cut short")
    for command in (("show", "a"), ("ls",)):
        assert "\x1b" not in tuitrain(*command).stdout
    shown = tuitrain.show("a")
    assert [note["text"] for note in shown["notes"]][1:] == [
        "after a line that a full disk cut short"
    ]
    assert len(shown["notes"]) == 2, "nothing but what can have been written"


def test_a_link_in_the_place_of_the_notes_is_not_written_through(tuitrain, ended, tmp_path):
    target = tmp_path / "precious"
    target.write_text("mine")
    (ended / "notes.jsonl").symlink_to(target)
    assert "is a link" in tuitrain("ctl", "a", "note", "x", code=3).stderr
    assert target.read_text() == "mine"
    assert tuitrain.show("a")["notes"] == []


def test_many_writers_at_once_lose_no_note(ended, home):
    def write(number):
        connect("a", home=home).note(f"note {number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(40)))
    noted = {note["text"] for note in connect("a", home=home).show()["notes"]}
    assert noted == {f"note {number}" for number in range(40)}


def test_the_log_has_notes_at_their_time_and_a_search_finds_them(home):
    run = in_home(home, "b")
    client = connect("b", home=home)._client
    run.trains(1)
    client.write(Note("1", "note", "swapped to see", 1_799_999_999.0, 1, 23, 1))
    run.swaps("mse")
    client.write(Note("2", "tag", "odd", 1_800_000_001.0, 1, 23, 1))
    now = snapshot(client)
    lines = plain(event_log(now, 70, 9)).split("\n")
    assert lines[0][10:] == "note at step 23: swapped to see"
    shown = [line[10:] for line in lines if line]
    assert shown[-2:] == ["loss cross-entropy → mse after step 23", "tag odd at step 23"]
    found = plain(event_log(now, 70, 9, "SWAPPED")).split("\n")
    assert found[0] == f" 1 of the last {len(shown)} events have SWAPPED"
    assert found[1].endswith("swapped to see")
    assert plain(event_log(now, 70, 9, "zebra")).startswith(" none of the last ")
