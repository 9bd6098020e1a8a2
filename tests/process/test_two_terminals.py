"""Two clients steer a run at once: every command is applied once or refused, in one order."""

import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from random import Random

import pytest

from tests.conftest import Shell, until
from tests.process.conftest import Terminal, opened
from tuitrain import Refused, Run, connect
from tuitrain.connection.client import Client
from tuitrain.core.commands import (
    Boundary,
    Change,
    Command,
    Pause,
    Request,
    Resume,
    Rollback,
    SaveCheckpoint,
    Step,
    SwapLoss,
    Undo,
)
from tuitrain.store.delta import Cursor

Asked = tuple[Command, Boundary | None]

EVERY_KIND: list[Asked] = [
    (Pause(), None), (Pause(), "epoch"), (Resume(), None), (Resume(), None), (Step(3), None),
    (SwapLoss("mse"), None), (SwapLoss("l1"), "batch"), (SwapLoss("cross-entropy"), "batch"),
    (Change("lr", 0.002), None), (Change("weight-decay", 0.01), None),
    (Change("clip-norm", 1.0), None), (Change("batch-size", 128), None),
    (Change("batch-size", 64), "batch"), (Change("epochs", 90_000), None),
    (Change("pace", 300.0), None), (SaveCheckpoint(), None), (Rollback(), None),
    (Rollback(10**6), None), (Undo(), None), (Undo(), None),
]  # fmt: skip
APPLIED = {
    "paused", "resumed", "stepped", "loss_swapped", "setting_changed", "take_opened",
    "checkpoint_saved",
}  # fmt: skip


class Turns:
    """Sends commands of several clients in turn; only the sending itself is serialised.

    Of two commands on their way in the same instant the later one may arrive first.
    """

    def __init__(self) -> None:
        self.sent: list[Request] = []
        self._one_at_a_time = threading.Lock()

    def send(self, client: Client, commands: list[Asked]) -> None:
        for command, at in commands:
            cursor = client.record.end()
            with self._one_at_a_time:
                request = client.send(command, at)
                self.sent.append(request)
            until(partial(_is_answered, client, cursor, request), "there is a first answer")


def _is_answered(client: Client, cursor: Cursor, request: Request) -> bool:
    events = client.look(cursor).delta.events
    return any(getattr(recorded.event, "command", None) == request.id for recorded in events)


def test_two_clients_steer_at_once_and_every_command_has_one_answer(threaded: Shell):
    tuitrain = threaded
    clients = [tuitrain.start("a", "--epochs", "100000"), tuitrain.client("a")]
    turns = Turns()
    lists = [Random(number).sample(EVERY_KIND * 2, 40) for number in (1, 2)]

    with ThreadPoolExecutor() as pool:
        list(pool.map(turns.send, clients, lists))
    all_are_answered(tuitrain)

    answers = defaultdict(list)
    for event in connect("a", home=tuitrain.home).events(follow=False):
        if command := getattr(event, "command", None):
            answers[command].append(event)
    shown = [
        intervention
        for intervention in tuitrain.show("a")["interventions"]
        if intervention["id"] in answers
    ]
    ids = [request.id for request in turns.sent]
    assert ids == sorted(ids)
    assert [item["id"] for item in shown][: len(ids)] == ids, "in the order of their ids"
    for request in turns.sent:
        first, *rest = (event.kind for event in answers[request.id])
        if first == "command_refused":
            assert rest == []
            assert answers[request.id][0].reason
        else:
            assert first == "command_accepted"
            (effect,) = rest
            assert effect in APPLIED or answers[request.id][1].reason
    states = {item["state"] for item in shown}
    assert {"applied", "refused"} <= states <= {"applied", "undone", "refused", "dropped"}
    kinds = {item["kind"] for item in shown if item["state"] in ("applied", "undone")}
    others = {"step"}  # which the other's pause may always come before
    assert kinds | others == {command.kind for command, _ in EVERY_KIND}, (
        "of every kind some took effect"
    )


def all_are_answered(tuitrain: Shell) -> None:
    """Let the run come to the ends of epochs, for which some of the commands wait."""
    run = connect("a", home=tuitrain.home)
    run.set_pace(None)

    def nothing_waits() -> bool:
        for ask in (run.resume, partial(run.pause, at="epoch")):
            with suppress(Refused):
                ask()
        return all(
            intervention["state"] != "pending" for intervention in run.show()["interventions"]
        )

    until(nothing_waits, "every command is answered")


@pytest.fixture
def screens(tuitrain: Shell, terminals: list[Terminal]) -> list[Terminal]:
    tuitrain.start("a", "--epochs", "100000", "--paused")
    both = [opened(terminals, tuitrain, "attach", "a") for _ in range(2)]
    show_the_same(both, "● paused")
    return both


def show_the_same(screens: list[Terminal], *texts: str) -> None:
    def agree() -> bool:
        one, other = (screen.text() for screen in screens)
        return one == other and all(text in one for text in texts)

    until(agree, f"both screens are the same, with {texts}")


def test_two_screens_steer_at_once_and_show_the_same(tuitrain: Shell, screens: list[Terminal]):
    one, other = screens
    run = connect("a", home=tuitrain.home)
    one.press(" ")
    for screen in screens:
        screen.expect("● running")
    other.press(" ")
    show_the_same(screens, "● paused")
    one.press("l\x1b[B\r")
    show_the_same(screens, "asked: loss bce-with-logits")
    for _ in range(5):
        one.press(".")
        other.press(".")
    one.press("c")
    holds_after(run, 14, {"loss"})
    show_the_same(screens, "● paused", f"step     {run.steps}  ")
    other.press(" p")
    holds_after(run, 16, set())
    show_the_same(screens, "● paused", "loss: bce-with-logits")
    one.press("u")
    other.press("<")
    holds_after(run, 18, set())
    show_the_same(screens, "● paused", "loss: cross-entropy", "≤")

    shown = run.show()["interventions"]
    assert len({item["id"] for item in shown}) == len(shown)
    assert all(item["reason"] for item in shown if item["state"] in ("refused", "dropped"))


def holds_after(run: Run, keys: int, may_wait: set[str]) -> None:
    """Wait until so many keys are answered, nothing but some kinds waits, and it is paused."""

    def is_so() -> bool:
        asked = run.show()["interventions"]
        waiting = {item["kind"] for item in asked if item["state"] == "pending"}
        return len(asked) == keys and waiting <= may_wait and run.state == "paused"

    until(is_so, f"{keys} keys are answered")
