"""A run whose record was removed says so, and nobody begins it anew over its checkpoints."""

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
