"""A run whose record was removed says so, and is not begun anew over its checkpoints."""

import pytest

from tests.conftest import Shell
from tuitrain.core.errors import Refused
from tuitrain.trainer import supervisor


def test_a_run_without_its_record_is_said_to_lack_it_and_is_not_resumed(threaded: Shell):
    run = threaded.halted("a")
    run.paths.record.unlink()

    assert threaded.show("a")["error"] == "its record, run.db, is gone"
    with pytest.raises(Refused, match=r"a has lost its record, run\.db: put it back, or begin"):
        supervisor.resume(run.paths)


def test_so_does_a_run_that_answered_no_command(threaded: Shell):
    run = threaded.trained("a")
    run.paths.record.unlink()

    assert threaded.show("a")["error"] == "its record, run.db, is gone"


def test_an_empty_folder_that_a_copy_left_out_is_made_at_a_resume(threaded: Shell):
    run = threaded.halted("a")
    run.paths.inbox.rmdir()
    assert threaded("resume", "a", "--epochs", "3", "--plain").stdout
    assert threaded.show("a")["state"] == "finished"
