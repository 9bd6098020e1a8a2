import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuitrain.core.commands import Pause, Request, Resume, Step, SwapLoss
from tuitrain.store import inbox

PAUSE = {"id": "a", "asked_at": 1.0, "kind": "pause", "at": "batch", "command": {}}


def changed(**changes):
    return json.dumps({**PAUSE, **changes})


def written(folder: Path, content: str | bytes, name: str = "a.json") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_commands_are_read_in_the_order_in_which_they_were_sent(tmp_path):
    requests = [
        Request(f"{at:016x}0000", 1.0, command, "batch")
        for at, command in enumerate((Pause(), Step(3), SwapLoss("mse"), Resume()))
    ]
    for request in reversed(requests):
        inbox.put(tmp_path, request)
    assert [inbox.read(path) for path in inbox.waiting(tmp_path)] == requests


def test_commands_of_a_tight_loop_keep_their_order_whatever_the_clock_does(tmp_path, monkeypatch):
    stopped, backwards = iter([10**18] * 300), iter(range(10**18, 0, -1000))
    for clock in (lambda: next(stopped), lambda: next(backwards), time.time_ns):
        with monkeypatch.context() as patch:
            patch.setattr(time, "time_ns", clock)
            for count in range(1, 301):
                inbox.put(tmp_path, Request.new(Step(count)))
        sent = inbox.waiting(tmp_path)
        assert [read.command.count for read in map(inbox.read, sent)] == list(range(1, 301))
        for path in sent:
            path.unlink()


SENDER = """
import sys
from pathlib import Path
from tuitrain.core.commands import Request, Step
from tuitrain.store import inbox

for line in sys.stdin:
    inbox.put(Path(sys.argv[1]), Request.new(Step(int(line))))
    print(flush=True)
"""


def test_commands_that_two_processes_send_in_turn_keep_their_order(tmp_path):
    line = [sys.executable, "-c", SENDER, str(tmp_path)]
    with (
        subprocess.Popen(line, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as one,
        subprocess.Popen(line, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other,
    ):
        for count in range(1, 201):
            sender = (one, other)[count % 2]
            sender.stdin.write(f"{count}\n")
            sender.stdin.flush()
            sender.stdout.readline()
    sent = [inbox.read(path).command.count for path in inbox.waiting(tmp_path)]
    assert sent == list(range(1, 201))


def test_a_look_that_misses_a_command_leaves_those_that_came_after_it(tmp_path, monkeypatch):
    """A folder that changes while it is listed may show a file, and not one that came before."""
    first, second = (inbox.put(tmp_path, Request.new(command)) for command in (Pause(), Resume()))
    scandir, looks = os.scandir, iter(["first look"])

    @contextmanager
    def missing_the_first(folder):
        with scandir(folder) as entries:
            is_first = next(looks, None)
            yield [entry for entry in entries if not (is_first and entry.name == first.name)]

    monkeypatch.setattr(os, "scandir", missing_the_first)
    assert inbox.waiting(tmp_path) == [first, second]


def test_a_new_command_is_read_as_it_was_put(tmp_path):
    request = Request.new(SwapLoss("mse"), "batch")
    assert inbox.read(inbox.put(tmp_path, request)) == request


def test_a_command_becomes_visible_whole(tmp_path):
    """Whatever a reader sees at any moment of a put, it is the whole command or none."""
    request = Request.new(Pause())
    seen = []

    def look(frame, event, argument):
        seen.append([inbox.read(path) for path in inbox.waiting(tmp_path)])

    sys.setprofile(look)
    try:
        inbox.put(tmp_path, request)
    finally:
        sys.setprofile(None)
    assert [] in seen
    assert all(found in ([], [request]) for found in seen)
    assert [path.name for path in tmp_path.iterdir()] == [f"{request.id}.json"]


def test_a_command_is_for_its_owner_alone(tmp_path):
    assert inbox.put(tmp_path, Request.new(Pause())).stat().st_mode & 0o777 == 0o600


def test_what_is_not_a_command_yet_does_not_wait(tmp_path):
    written(tmp_path, changed(), ".a.tmp")
    written(tmp_path, changed(), "a.txt")
    assert inbox.waiting(tmp_path) == []


def test_a_file_in_good_order_is_a_command(tmp_path):
    assert inbox.read(written(tmp_path, changed())) == Request("a", 1.0, Pause(), "batch")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("", id="empty"),
        pytest.param(changed()[:40], id="torn"),
        pytest.param(b"\xff\xfe\x00", id="not text"),
        pytest.param("null", id="null"),
        pytest.param("[]", id="a list"),
        pytest.param("3", id="a number"),
        pytest.param("[" * 100_000, id="nested without end"),
        pytest.param("{}", id="nothing in it"),
        pytest.param(changed(id="b"), id="another's id"),
        pytest.param(changed(id=None), id="no id"),
        pytest.param(changed(kind="dance"), id="unknown kind"),
        pytest.param(changed(kind=["pause"]), id="kind is a list"),
        pytest.param(changed(at="never"), id="unknown boundary"),
        pytest.param(changed(at=["batch"]), id="boundary is a list"),
        pytest.param(changed(asked_at="now"), id="time is a word"),
        pytest.param(changed(asked_at=10**400), id="time beyond a float"),
        pytest.param(changed(asked_at=float("nan")), id="time is nan"),
        pytest.param(changed(asked_at=float("inf")), id="time is infinite"),
        pytest.param(changed(command=[]), id="command is a list"),
        pytest.param(changed(command={"force": True}), id="unknown argument"),
        pytest.param(changed(kind="step", command={"count": 0}), id="no steps"),
        pytest.param(changed(kind="step", command={"count": 1.5}), id="half a step"),
        pytest.param(changed(kind="step", command={"count": True}), id="true steps"),
        pytest.param(changed(kind="step", command={"count": "3"}), id="steps as text"),
        pytest.param(changed(kind="pace", command={"batches_per_s": "3"}), id="pace as text"),
        pytest.param(changed(kind="pace", command={"batches_per_s": 10**400}), id="endless pace"),
        pytest.param(changed(kind="loss", command={"loss": 5}), id="loss is a number"),
        pytest.param(changed(kind="stop", command={"why": {"a": []}}), id="reason is no text"),
    ],
)
def test_a_file_that_is_not_a_command_is_passed_over(tmp_path, content):
    assert inbox.read(written(tmp_path, content)) is None


def test_a_file_that_is_gone_or_a_folder_is_passed_over(tmp_path):
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "astray.json").symlink_to(tmp_path / "nowhere")
    assert inbox.waiting(tmp_path) == []
    assert inbox.read(tmp_path / "gone.json") is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "id": st.just("a") | json_values,
        "asked_at": st.just(1.0) | json_values,
        "kind": st.sampled_from(["pause", "step", "loss", "pace", "stop"]) | json_values,
        "at": st.sampled_from(["batch", "epoch"]) | json_values,
        "command": st.fixed_dictionaries({"count": json_values})
        | st.fixed_dictionaries({"batches_per_s": json_values})
        | st.fixed_dictionaries({"loss": json_values})
        | st.fixed_dictionaries({"why": json_values})
        | json_values,
    },
)


@given(bodies)
def test_whatever_a_file_holds_reading_it_gives_a_command_that_survives_its_own_file(
    tmp_path_factory, body
):
    path = written(tmp_path_factory.getbasetemp(), json.dumps(body))
    request = inbox.read(path)
    if request is not None:
        assert isinstance(request.command.detail, str)
        assert Request.from_json(request.to_json()) == request


@given(st.binary(max_size=60))
def test_no_bytes_end_a_trainer(tmp_path_factory, content):
    assert inbox.read(written(tmp_path_factory.getbasetemp(), content)) is None


def test_a_command_that_a_killed_sender_left_half_written_does_not_block_others(tmp_path):
    request = Request.new(Pause())
    half = written(tmp_path, b"{", f".{request.id}.json.beef.tmp")
    assert inbox.put(tmp_path, request) == tmp_path / f"{request.id}.json"
    assert sorted(tmp_path.iterdir()) == [half, tmp_path / f"{request.id}.json"]
    assert inbox.waiting(tmp_path) == [tmp_path / f"{request.id}.json"]
