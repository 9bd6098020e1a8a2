"""The commands of a screen until the record has their answers."""

from tests.recorded import in_home
from tuitrain.connection import pending
from tuitrain.connection.client import Client
from tuitrain.connection.pending import PendingCommands
from tuitrain.core.commands import Change, Pause
from tuitrain.core.events import CommandRefused, Finished
from tuitrain.store import inbox


def test_a_command_is_pending_until_its_answer_and_withdrawn_when_the_run_ends(home, monkeypatch):
    run, client = in_home(home, "a"), Client(home / "runs" / "a")
    commands = PendingCommands(client)
    assert (bool(commands), commands.texts(), commands.silent_s) == (False, (), 0.0)
    commands.send(Pause())
    commands.send(Change("pace", 5.0))
    assert commands.texts() == ("pause", "pace 5")
    assert commands.pace_after(run.now()) == 5.0, "the next key steps on from there"
    monkeypatch.setattr(pending, "SILENT_S", 0.0)
    assert commands.texts()[-1] == "no answer for 0 s"
    assert not commands.update(run.now())
    first, second = map(inbox.read, inbox.waiting(client.paths.inbox))
    run.records(CommandRefused(first.id, "pause", "", "no", first.asked_at))
    assert commands.update(run.now())
    assert commands.texts()[0] == "pace 5"
    run.records(Finished(1, 0, 0, ""))
    assert not commands.update(run.now())
    assert not commands
    assert second.id not in [path.stem for path in inbox.waiting(client.paths.inbox)]
